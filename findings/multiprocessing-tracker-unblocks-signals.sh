#!/usr/bin/env bash
# Signals that a thread blocks before it starts a process: multiprocessing lets SIGINT and SIGTERM through again.
#
# One would expect: after `signal.pthread_sigmask(SIG_BLOCK, {SIGINT})` a process that is started inherits the mask, so that
# Ctrl-C at the terminal is its parent's alone, whatever thread starts it (handlers can be set in the main thread only).
# What happens (CPython 3.8.18 to 3.13.0): the first process, queue or lock of a Python starts the resource tracker, which
# blocks both signals for a moment, and then unblocks them instead of setting back the mask that was there.
# Why it matters to a pipeline of series: its workers train for hours and save when their parent tells them to; the first of
# them, alone, would be ended by the same Ctrl-C in the middle of an epoch. `resource_tracker.ensure_running()` first helps.
#
# Needs a Python from 3.8 on; installs nothing. Exit 0: as described here; 1: it has changed.
set -euo pipefail
python3 - <<'PYTHON'
import signal
import sys
from multiprocessing import resource_tracker


def blocked_after(*, started_before):
    if started_before:
        resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    resource_tracker.ensure_running()  # what starting a process does
    found = signal.SIGINT in signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return found


first, then = blocked_after(started_before=False), blocked_after(started_before=True)
print(f"Python {sys.version.split()[0]}: SIGINT still blocked {first} where that starts the tracker, {then} where it runs")
sys.exit(int(not (then and not first)))
PYTHON
