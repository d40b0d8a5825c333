"""A command that kills itself just before one of its operations on files: what lies on the disk then is what is tested.

Operations are those that Python's audit events report, and waits for the disk. Locks are left out: they hold nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.fault_injection import children
from benchmarks.fault_injection.children import Child

EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
COUNT = "operations.txt"  # beside the home folder


def start(home: Path, words: list[str], at: int) -> Child:
    """Start a command line of foldline that kills itself before its operation `at`, counted from 1; 0: it does not."""
    return children.start(_command, words, str(home), at, environment={"FOLDLINE_HOME": str(home)})


def operations(home: Path, words: list[str]) -> int:
    """Run a command line to its end, and return how many operations on files it has done."""
    with start(home, words, 0) as child:
        ended = child.ended()
    if ended.code != 0:
        raise RuntimeError(f"{' '.join(words)} ended with {ended.code} without any fault: {ended.err}")
    return int((home.parent / COUNT).read_text())


def _command(words: list[str], home: str, at: int) -> int:
    from foldline.cli.main import main

    done, report = 0, str(Path(home).parent / COUNT)

    def count() -> None:
        nonlocal done
        done += 1
        if done == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if ((event == "open" and _writes(given)) or event in EVENTS) and _counts(given[0], home):
            count()

    sys.addaudithook(hook)
    os.fsync = _counted(os.fsync, count)
    code = main(words)
    number = done
    Path(report).write_text(str(number))
    return code


def _writes(given: tuple[Any, ...]) -> bool:
    return bool(given[2] and given[2] & WRITES)


def _counts(path: Any, home: str) -> bool:
    """Whether it is a file of the home folder or beside it; one given by its name alone lies in an opened folder."""
    if isinstance(path, int):
        return False
    text = os.fsdecode(path)
    inside = text.startswith(str(Path(home).parent)) or not text.startswith("/")
    return inside and "/locks/" not in text and not text.endswith((".lock", ".pyc", COUNT))


def _counted(function: Callable[..., Any], count: Callable[[], None]) -> Callable[..., Any]:
    def wrapped(*given: Any, **named: Any) -> Any:
        count()
        return function(*given, **named)

    return wrapped
