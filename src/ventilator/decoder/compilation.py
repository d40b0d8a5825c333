"""Compile all kernels ahead, on two cores: the first call on a machine would compile them one after the other.

numba holds one lock while it compiles, so that threads can't share the work. A second process compiles one half of the
entry points; what it has compiled this process loads from the cache on disk. Callees are compiled with their callers.
"""

import contextlib
import functools
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
from numba.core import config

from ventilator.decoder.alone import clean_evidence, guesses, widest_test
from ventilator.decoder.chain import all_runs, chains, first_row, guess, write
from ventilator.decoder.equation import KEEP, Equation, solve
from ventilator.decoder.identify import gains_of, scores, total
from ventilator.decoder.kernels import CACHE
from ventilator.decoder.law import TARGETS, blank, digits, integral_error
from ventilator.decoder.line import lines
from ventilator.decoder.records import CHAIN, Breath, Gains
from ventilator.decoder.row0 import first_target, is_pair, on_target, pair_evidence, pair_scores
from ventilator.decoder.side import Bumps, join, long_sides, short_sides
from ventilator.decoder.zone import Zone

COMPLETE: Final = CACHE / "complete"  # there when all kernels of these sources are compiled
OTHER_HALF: Final = "from ventilator.decoder import compilation as c; c.end_with_parent(); c.compile_half(1)"
Entry = tuple[Any, tuple[Any, ...]]  # a kernel, and arguments of the types that it is called with


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def halves() -> tuple[Sequence[Entry], Sequence[Entry]]:
    """List all kernels that Python calls, in two halves that take about equally long and share few callees."""
    some, whole = np.zeros(2), np.zeros(2, np.int64)
    b, g = Breath(some, some, some, some, whole), Gains(1.0, 1.0, 1.0)
    track = blank.py_func(2)  # type: ignore[attr-defined]
    z = Zone(1, 1, some, some, some, some, some, some, some, 0.0, 0.0, 1, 0.0)
    found = Bumps(some, some, some, some, some, some)
    e = Equation(some, 0.0, 0.0, some, some, whole, some, 0.0, 0.0, whole, 1, 1)
    of_chains: list[Entry] = [
        (scores, (b, 1)),
        (clean_evidence, (b, 1.0, 1.0, TARGETS)),
        (pair_scores, (b, 0.0)),
        (guesses, (b,)),
        (all_runs, (b, g, track)),
        (chains, (b, g, 1.0, track)),
        (total, (b, g)),
        (guess, (b, g, 1, 1)),
        (write, (b, g, 1, 1, 1, track, CHAIN)),
        (pair_evidence, (b, g, 0.0)),
        (is_pair, (b, g, 0.0)),
        (on_target, (b, g, 0.0)),
        (first_target, (g, 0.0)),
        (widest_test, (b, g)),
        (integral_error, (b, g, 1)),
        (blank, (2,)),
        (digits, (1.0,)),
        (gains_of, (1,)),
        (first_row, (g,)),
    ]
    of_bumps_and_gaps: list[Entry] = [
        (solve, (e, g, np.zeros((KEEP, 2), np.int64))),
        (long_sides, (z, g, found)),
        (join, (z, g, 1, found)),
        (short_sides, (z, g, found)),
        (lines, (b,)),
    ]
    return of_chains, of_bumps_and_gaps


def compile_half(number: int) -> None:
    """Compile one of the two halves, or load what is compiled."""
    for function, arguments in halves()[number]:
        function.compile(tuple(numba.typeof(each) for each in arguments))


def compile_all(cores: int) -> None:
    """Compile whatever is not compiled yet; costs nothing where all is. cores: with one, this process does it alone."""
    if not config.DISABLE_JIT:
        _compile_all(COMPLETE, cores)


@functools.cache  # once in this process, even where the disk is full or read-only
def _compile_all(mark: Path, cores: int) -> None:
    if mark.exists():
        return
    if cores > 1 and (started := _other_half()):
        with started as other:
            try:
                compile_half(0)
                other.wait()
            finally:
                other.kill()  # does nothing where it has ended
                other.wait()
    compile_half(0)
    compile_half(1)
    with contextlib.suppress(OSError):
        mark.touch()


def _other_half() -> subprocess.Popen[bytes] | None:
    """Start a process that compiles the other half; what it fails at is done, or said, by this one. None: it can't."""
    if not sys.executable:
        return None
    with contextlib.suppress(OSError):
        return subprocess.Popen(
            [sys.executable, "-P", "-c", OTHER_HALF],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            stdin=subprocess.PIPE,  # closed when this process ends, however that is: the other one ends, too
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    return None


def end_with_parent() -> None:
    """Let this process end as soon as its standard input does, which its parent holds open."""

    def wait() -> None:
        os.read(0, 1)  # not through sys.stdin, whose lock would abort the process at its own end
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
