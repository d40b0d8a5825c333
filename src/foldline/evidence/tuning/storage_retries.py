"""A storage behind a proxy that may be restarted: its client connects again by itself, and the calls in between fail.

Such a call is made again. Where it had been carried out and only its answer was lost, that does no harm: a trial that
nobody works on is found dead and queued again, and a trial that has ended refuses to end twice.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from optuna.storages import BaseStorage

from foldline.core import interrupt
from foldline.core.errors import TryAgain

LONGEST_S = 300.0  # of waiting for an answer, in all
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0  # between two tries; each is twice as long as the one before
CALLS = sorted(name for name in vars(BaseStorage) if not name.startswith("_"))


def retrying(kind: type[BaseStorage], where: str) -> type[BaseStorage]:
    """Derive a storage whose calls are made again while nothing answers. where: its address, for the message."""
    calls = {name: _retried(getattr(kind, name), where) for name in CALLS}
    return type(f"Retrying{kind.__name__}", (kind,), calls)


def _retried(call: Callable[..., Any], where: str) -> Callable[..., Any]:
    @functools.wraps(call)
    def made_again(*arguments: Any, **named: Any) -> Any:
        waited, wait = 0.0, FIRST_WAIT_S
        while True:
            try:
                return call(*arguments, **named)
            except Exception as error:
                if not is_unavailable(error):
                    raise
                if waited >= LONGEST_S:
                    raise TryAgain(
                        f"tune.storage: nothing has answered at {where} for {LONGEST_S / 60:.0f} minutes. Start the "
                        "proxy, then run the same command again: it goes on with the study."
                    ) from error
            interrupt.stop_if_requested()
            time.sleep(wait)
            waited, wait = waited + wait, min(2 * wait, LONGEST_WAIT_S)

    return made_again


def is_unavailable(error: Exception) -> bool:
    """Return whether an error is gRPC's for a server that can't be reached; known by its code, not by an import."""
    code = getattr(error, "code", None)
    return callable(code) and getattr(code(), "name", "") == "UNAVAILABLE"
