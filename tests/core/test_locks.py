"""Locks on files: a wait for one ends with Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from foldline.core import locks

WAITS = """
import signal, sys
from pathlib import Path

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a test starts may inherit SIGINT ignored
import polars  # puts a handler of its own before that one
from foldline.core import locks

with locks.lock(Path(sys.argv[1]), on_wait=lambda: print("waits", flush=True)):
    print("taken")
"""


def test_ctrl_c_ends_a_wait_for_a_lock(tmp_path: Path) -> None:
    with (
        locks.lock(tmp_path / "lock"),
        subprocess.Popen([sys.executable, "-c", WAITS, tmp_path / "lock"], stdout=-1, stderr=-1) as one,
    ):
        assert one.stdout is not None and one.stdout.readline() == b"waits\n"
        one.send_signal(signal.SIGINT)
        out, err = one.communicate(timeout=300)
    assert out == b"" and b"KeyboardInterrupt" in err
