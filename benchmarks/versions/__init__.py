"""Two versions of foldline beside each other, in jobs that a user waits for: the parts of benchmarks/against.py.

checkouts.py      clones of both commits in a temporary folder, each set up by its own run.sh
process_costs.py  what a command and all processes that it starts cost: seconds, CPU seconds, peak memory
jobs.py           the jobs: what is prepared, what is timed
pairs.py          run a job's pairs, both versions in turn
tables.py         ratios as a table, Markdown and JSON
own_tests.py      the tests of the older version that both have; renamed_tests.txt: those with another name now
recurrent_epoch.py  a training loop of small recurrent networks, run by the Python of either version
"""
