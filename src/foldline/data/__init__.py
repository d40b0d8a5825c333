"""From files to checked series: roles, readers, checks, folds, metrics, and the store of features."""
