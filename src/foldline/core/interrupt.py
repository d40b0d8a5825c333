"""Ctrl-C and SIGTERM while cells are trained: finish the step, save, then stop.

Inside `deferred()` the first signal is only noted. Code that can be interrupted checks `requested()` where stopping is
safe, saves, and calls `stop_if_requested()`. A second signal stops at once, as everywhere else; so does the first one
inside `immediate()`, where there is nothing to save.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# One process has one set of signal handlers, so that the state they set is the module's.
_requested = False
_immediate = False
_deferring = False


class Stopped(KeyboardInterrupt):
    """Raised at a safe point after the first signal."""


def requested() -> bool:
    """Return whether a signal has requested this process to stop."""
    return _requested


def request() -> None:
    """Request this process to stop, as a signal would: another one that it works with was told to."""
    global _requested
    _requested = True


def stop_if_requested() -> None:
    """Stop here if a signal has requested that.

    Raises:
        Stopped
    """
    if _requested:
        raise Stopped


@contextmanager
def deferred(*signals: signal.Signals) -> Iterator[None]:
    """Only note the first of these signals. Outside the main thread, where no handler can be set, nothing changes."""
    global _requested, _deferring
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _: Any) -> None:
        global _requested
        if _requested:
            raise KeyboardInterrupt
        _requested = True
        if _immediate:
            raise Stopped

    # A signal that was ignored on entry stays ignored, as Python itself leaves it: a script that starts a run with `&`,
    # or nohup, wants it to survive the Ctrl-C that ends the script. None: a handler that Python could not set again.
    heeded = [number for number in signals if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, handle) for number in heeded}
    outer, _deferring = _deferring, True
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _deferring = outer
        _requested = _requested and outer  # whoever defers around this block has yet to stop


@contextmanager
def immediate() -> Iterator[None]:
    """Stop at the first signal, too, while this context is open: for a wait on another process."""
    global _immediate
    _immediate = True
    try:
        yield
    finally:
        _immediate = False
