"""Kaggle: credentials, the service behind its package, downloading, submitting, and the offline notebook."""
