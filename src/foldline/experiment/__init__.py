"""One experiment as a whole: its config, the work before and after its cells, its record under runs/, and inference.

- config.py, model_tables.py: a config file, checked and resolved; its [[model]] tables
- model_checks.py, teacher_checks.py: what these ask for that does not go together
- python_files.py: where a config's metric file and competition.py lie
- preparation.py: data, folds, features and the plan of cells, before anything is trained
- plan_summary.py, cell_runs.py: what a run is about to do, in words; its cells are run
- multi_config.py: several configs (and members from outside) as one experiment
- scoring.py: scores, blend and post-processing of finished cells; test predictions
- after_blend.py, ranked_rows.py: steps after the blend; open rows that an estimator settles
- baselines.py, linear_baseline.py: trivial baselines, rows of every score table
- loss_table.py: losses of each series, by phase and by exactness
- stored_experiment.py: one experiment's record under runs/: writing it, reading it back to predict or to report
- config_plans.py, python_copies.py: parts of a record: configs with their cells; copies of its Python files
- inference.py: a stored experiment predicts new series
- runs_index.py: all records under runs/, and the cells they need; clean.py: what can be deleted
"""
