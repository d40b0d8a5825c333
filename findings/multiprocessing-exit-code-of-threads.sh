#!/usr/bin/env bash
# The exit code of a process that a fork server has started: 255 for some that ended well, where threads start others.
#
# One would expect: a process that returns has exit code 0, whatever other threads of the parent do at that time.
# What happens (CPython 3.11.7; 3.12.1, 3.13.0 alike): Process.start() first asks after every process that this Python
# has started. If another thread is in join() of one of them, both read its status from one pipe, and whoever comes
# second sets 255. With four threads that start and join processes that do nothing, several in a hundred "fail".
# Known as github.com/python/cpython/issues/130895, where a process started otherwise may also be alive after join().
# Why it matters to a pipeline of series: a pool of threads that each run a worker process (one a fold, one a fault) calls
# finished work failed, now and then; repeating it only hides that. Starting and asking need one lock of one's own.
#
# Needs a Python from 3.11 on; installs nothing. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/look.py" <<'PYTHON'
import multiprocessing
import sys
import threading
from collections import Counter
from multiprocessing.connection import wait

PROCESSES, THREADS = 150, 4
ASKING = threading.Lock()


def nothing():
    """Do nothing, well."""


def codes(locked):
    context, found = multiprocessing.get_context("forkserver"), []

    def work():
        for _ in range(PROCESSES):
            process = context.Process(target=nothing)
            if locked:
                with ASKING:
                    process.start()
                wait([process.sentinel])
                with ASKING:
                    found.append(process.exitcode)
            else:
                process.start()
                process.join()
                found.append(process.exitcode)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(found)


if __name__ == "__main__":
    plain, locked = codes(locked=False), codes(locked=True)
    print(f"Python {sys.version.split()[0]}: exit codes {dict(plain)}; with one lock around start and exitcode {dict(locked)}")
    sys.exit(int(not (plain[255] > 0 and locked == {0: PROCESSES * THREADS})))
PYTHON
python3 "$folder/look.py"
