"""Kaggle: credentials, its service, downloading, submitting, and the notebook that predicts offline."""
