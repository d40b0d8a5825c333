"""A storage that goes away for a while: a database that is restarted, a proxy, a shared folder that is unmounted.

Who opens one that has answered before, a worker that takes a killed one's place, waits for it as those that run do.

Optuna's clients connect again by themselves, and the calls in between fail. Such a call is made again. Where it had
been carried out and only its answer was lost, that does no harm: a trial that nobody works on is found dead and queued
again, and a trial that has ended refuses to end twice.
"""

from __future__ import annotations

import errno
import functools
import time
from collections.abc import Callable
from typing import Any

from optuna.storages import BaseStorage

from foldline.core import interrupt
from foldline.core.errors import TryAgain, complain

LONGEST_S = 300.0  # of waiting for an answer, in all, unless tune.patience_s says otherwise
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 5.0  # between two tries; each is twice as long as the one before
CALLS = sorted(name for name in vars(BaseStorage) if not name.startswith("_"))
# What a folder says whose disk or server is away: unmounted, or mounted and not reached, or not to be written to.
AWAY = {
    *(errno.EROFS, errno.EACCES),
    *(errno.ENOENT, errno.ESTALE, errno.EIO, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH),
    *(errno.ENETDOWN, errno.ENETUNREACH, errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE, errno.ENODEV, errno.ENXIO),
}


def retrying(storage: BaseStorage, where: str, patience_s: float = LONGEST_S) -> BaseStorage:
    """Return a storage that hands all calls on, and makes them again while nothing answers.

    Args:
        where: what is away then, for the message: "at HOST:PORT".
        patience_s: after so much waiting the call fails.
    """
    calls = {name: staticmethod(retried(getattr(storage, name), where, patience_s)) for name in CALLS}
    made: BaseStorage = type("RetryingStorage", (BaseStorage,), calls)()
    return made


def retried(call: Callable[..., Any], where: str, patience_s: float) -> Callable[..., Any]:
    """Return a function that calls again while nothing answers; arguments as of `retrying`."""

    @functools.wraps(call)
    def made_again(*arguments: Any, **named: Any) -> Any:
        waited, wait = 0.0, FIRST_WAIT_S
        while True:
            try:
                return call(*arguments, **named)
            except Exception as error:
                if not is_unavailable(error):
                    raise
                if waited >= patience_s:
                    raise TryAgain(
                        f"tune.storage: nothing has answered {where} for {_minutes(patience_s)}. See that it can be "
                        "reached, then run the same command again: it goes on with the study. A longer wait is "
                        "tune.patience_s=SECONDS."
                    ) from error
                if not waited:
                    why = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
                    complain(f"tune.storage: nothing answers {where}{why}; waiting, at most {_minutes(patience_s)}.")
            interrupt.stop_if_requested()
            time.sleep(wait)
            waited, wait = waited + wait, min(2 * wait, LONGEST_WAIT_S)

    return made_again


def _minutes(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def is_unavailable(error: Exception) -> bool:
    """Return whether an error says that a server or a folder can't be reached now, or was raised because of that."""
    each: BaseException | None = error
    while each is not None:
        if _grpc_is_away(each) or _database_is_away(each) or _system_says_away(each):
            return True
        each = each.__cause__ or each.__context__
    return False


def _system_says_away(error: BaseException) -> bool:
    """Whether it is the operating system's, or gRPC's proxy does not get ready, which has no number."""
    return isinstance(error, ConnectionError) or (isinstance(error, OSError) and error.errno in AWAY)


def _grpc_is_away(error: BaseException) -> bool:
    """Whether it is gRPC's error, known by its code, not by an import."""
    code = getattr(error, "code", None)
    return callable(code) and getattr(code(), "name", "") == "UNAVAILABLE"


def _database_is_away(error: BaseException) -> bool:
    """Whether it is SQLAlchemy's error of a lost or refused connection; Optuna and SQLAlchemy raise others from it.

    PostgreSQL's deadlocks are of this class, too: they ask for the same, to try again.
    """
    from sqlalchemy.exc import InterfaceError, OperationalError

    return isinstance(error, OperationalError | InterfaceError)
