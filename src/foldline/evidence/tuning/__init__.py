"""Tuning: a search for better values of any config key, by Optuna, over cells like all others.

settings.py   the file of a search: [tune], [space], the config it starts from
space.py      what may be varied, and a trial's values as overrides of that config
storage.py    where a study lies: a journal that survives kills, SQLite, PostgreSQL, a gRPC proxy
leases.py     which trials are alive: a lock for each, that the kernel frees when its worker dies
study.py      whose turn it is: dead trials are queued again, no more are begun than were asked for
pruning.py    which trials go on: compared at the same fold and epoch only
trial.py      one sampled config, fold by fold
workers.py    the processes that try, and who replaces them when they are killed
check.py      the last check: baseline and best where the search has not looked
board.py      what the terminal shows meanwhile
page.py       what was found, as a page
"""
