"""Tuning: a search for better values of any config key, with Optuna, over ordinary cells.

tuning_file.py       read the file of a search: [tune], [space], the config it starts from
search_space.py      what may be varied; a trial's values as overrides of that config
optuna_storage.py    where the Optuna study is stored: a journal that survives kills, SQLite, PostgreSQL, a gRPC proxy
leases.py            which trials are running: a file lock for each, which the kernel frees when its worker dies
trial_queue.py       which trial comes next: dead trials are queued again, the number of trials is kept
trial_evaluation.py  train and score one sampled config, fold by fold
trial_runner.py      run one trial: report scores, prune it, queue it again
workers.py           the worker processes, and how killed ones are replaced
pruning.py           which trials are pruned: compared at the same fold and epoch only
final_check.py       compare baseline and best where the search has not looked
search_progress.py   what the terminal shows meanwhile
tuning_page.py       the HTML page
"""
