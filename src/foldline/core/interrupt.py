"""Ctrl-C and SIGTERM while cells are trained: finish the step, save, then stop.

Inside `deferred()` the first signal only asks; who can be interrupted looks at `asked()` where it is safe, saves, and
calls `obey()`. A second Ctrl-C stops at once, as everywhere else; and so does the first one inside `at_once()`, where
nothing runs that could be saved.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_asked = False
_at_once = False


class Obeyed(KeyboardInterrupt):
    """Stopped where it is safe, because the first signal asked for it."""


def asked() -> bool:
    """Somebody wants this process to stop."""
    return _asked


def obey() -> None:
    """Stop, if that was asked for.

    Raises:
        Obeyed
    """
    if _asked:
        raise Obeyed


@contextmanager
def deferred(*signals: signal.Signals) -> Iterator[None]:
    """Let the first of these signals only ask. Outside the main thread, which can set no handlers, nothing changes."""
    global _asked
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, _: Any) -> None:
        global _asked
        if _asked:
            raise KeyboardInterrupt
        _asked = True
        if _at_once:
            raise Obeyed

    before = {number: signal.signal(number, ask) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked = False


@contextmanager
def at_once() -> Iterator[None]:
    """Let the first signal, too, stop what is done here: a wait for another process."""
    global _at_once
    _at_once = True
    try:
        yield
    finally:
        _at_once = False
