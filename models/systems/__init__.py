"""Whole models, one file each: networks with a head, and LightGBM."""
