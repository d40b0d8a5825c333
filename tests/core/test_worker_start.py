"""Workers: the script that started them is not run again, and Ctrl-C does not reach them, from whatever thread."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from foldline.core import worker_start

SCRIPT = """
import multiprocessing, signal, sys, threading
from foldline.core import worker_start

print("the script runs")

def start():
    with worker_start.starting():
        process = multiprocessing.get_context("spawn").Process(target=signal.raise_signal, args=(signal.SIGINT,))
        process.start()
    process.join(timeout=250)
    print("ended with", process.exitcode)

if "thread" in sys.argv:
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
else:
    start()
print(__file__ == sys.argv[0], __spec__)
"""


@pytest.mark.parametrize("where", ["main", "thread"])
def test_a_script_without_a_guard_starts_deaf_workers(where: str, tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(path), where], capture_output=True, text=True, check=True)
    assert done.stdout == "the script runs\nended with 0\nTrue None\n" and done.stderr == ""


def test_signals_and_main_are_as_before() -> None:
    main, blocked = sys.modules["__main__"], signal.pthread_sigmask(signal.SIG_BLOCK, [])
    before = dict(vars(main))
    with worker_start.starting():
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        assert vars(main).get("__file__") is None and main.__spec__ is None
    assert vars(main) == before and signal.pthread_sigmask(signal.SIG_BLOCK, []) == blocked
