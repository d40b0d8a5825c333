"""The command line: main.py reads it, verb_table.py lists the verbs, and each verb has a file."""
