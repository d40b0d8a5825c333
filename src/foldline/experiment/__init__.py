"""One experiment as a whole: its config, the work before and after its cells, its record under runs/, and inference.

- config.py, model_tables.py: a config file, checked and resolved; its [[model]] tables
- preparation.py: data, folds, features and the plan of cells, before anything is trained; then training the cells
- multi_config.py: several configs (and members from outside) as one experiment
- scoring.py: scores, blend and post-processing of finished cells; test predictions
- baselines.py, linear_baseline.py: trivial baselines, rows of every score table
- loss_table.py: losses of each series, by phase and by exactness
- stored_experiment.py: one experiment's record under runs/: writing it, reading it back to predict or to report
- config_plans.py, metric_copies.py: parts of a record: configs with their cells; the metric file's copy
- inference.py: a stored experiment predicts new series
- runs_index.py: all records under runs/, and the cells they need; clean.py: what can be deleted
"""
