"""The cluster that cells run on: one that is joined, or one that is started on this machine and ends with the session.

Nothing is ended that was not started here: `ray stop`, which ends every Ray process of a machine, is never called.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

from foldline.core.errors import TryAgain, UserError
from foldline.run.executor_config import ExecutorConfig

LOCAL = "local"  # Ray's word for a cluster of its own on this machine
LEFT_SET = ("RAY_AUTH_MODE", "PYTHONBREAKPOINT")  # variables that Ray 2.60 sets as it joins or starts a cluster
ADDRESS = "RAY_ADDRESS"  # variable that says which cluster to join
# Ray 2.60 says why a head refused only in a line of its log on standard error, not in the error that it raises.
TOKEN_ASKED = (
    " If Ray wrote InvalidAuthToken, the head asks for a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to a "
    "file with the head's token where ~/.ray/auth_token has another (docs/how-to/cluster.md, Tokens)."
)
_kept: ContextVar[ExitStack | None] = ContextVar("kept", default=None)


def require() -> None:
    """Check that Ray is installed; nothing is imported or started.

    Raises:
        UserError: it is not.
    """
    if importlib.util.find_spec("ray") is None:
        raise UserError(
            'executor.kind = "ray" needs Ray, which is not installed here: set FOLDLINE_EXTRAS=ray once, as in '
            "`FOLDLINE_EXTRAS=ray ./run.sh doctor`, or install '.[ray]' into an environment of your own."
        )


def address_of(config: ExecutorConfig) -> str:
    """Return the address to join: executor.address, else RAY_ADDRESS; LOCAL: none is named."""
    return config.address or os.environ.get(ADDRESS) or LOCAL


def connected() -> bool:
    """Whether this process is part of a cluster now; imports nothing."""
    import sys

    ray: Any = sys.modules.get("ray")
    return ray is not None and hasattr(ray, "is_initialized") and bool(ray.is_initialized())


@contextmanager
def kept() -> Iterator[None]:
    """Keep the first cluster that is opened inside the block until its end: a verb opens one for all that it trains."""
    with ExitStack() as stack:
        token = _kept.set(stack)
        try:
            yield
        finally:
            _kept.reset(token)


@contextmanager
def opened(config: ExecutorConfig) -> Iterator[None]:
    """Be part of a cluster inside the block. One that this process is part of already is used, and left as it is.

    Raises:
        UserError: Ray is not installed; TryAgain: no cluster answers at the address.
    """
    require()
    if connected():
        yield
    elif (stack := _kept.get()) is not None:
        stack.enter_context(_joined(address_of(config)))
        yield
    else:
        with _joined(address_of(config)):
            yield


@contextmanager
def _joined(address: str) -> Iterator[None]:
    if address.startswith("ray://"):
        raise UserError(
            f"executor.address, or {ADDRESS}: {address!r} is that of Ray's client, from outside of a cluster. foldline "
            "runs on one of its nodes, where HOST:PORT, without ray://, or 'auto' is the address."
        )
    with _variable("RAY_USAGE_STATS_ENABLED", "0"), _restored(*LEFT_SET), ExitStack() as around:
        _init(address)
        try:
            _print_nothing(around)
            if address == LOCAL:  # for processes that this one starts: the workers of a search
                around.enter_context(_variable(ADDRESS, _own_address()))
            yield
        finally:
            import ray

            ray.shutdown()


def _init(address: str) -> None:
    import ray

    options: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {}
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **options)
    except Exception as error:  # what Ray raises where a node does not start in time has no class of its own
        ray.shutdown()
        what, way_out = "No cluster could be started", ""
        if address != LOCAL:
            what, way_out = f"No cluster could be joined at {address!r} (executor.address, or {ADDRESS})", TOKEN_ASKED
        reason = " ".join(str(error).split()).removesuffix(".")
        raise TryAgain(f"{what}: {reason}.{way_out} Executors 'serial' and 'process' need none.") from error
    finally:
        if in_main:  # Ray sets a handler of its own, which would end this process in the middle of things
            signal.signal(signal.SIGTERM, before)


def _own_address() -> str:
    import ray

    return str(ray.get_runtime_context().gcs_address)


def _print_nothing(around: ExitStack) -> None:
    """Keep Ray from printing what happens to nodes and workers on standard output, where --json is: it is said by us.

    log_to_driver=False is not enough, and there is no public switch.
    """
    from ray._private import worker

    if hasattr(worker, "_worker_logs_enabled"):
        around.callback(setattr, worker, "_worker_logs_enabled", worker._worker_logs_enabled)
        worker._worker_logs_enabled = False


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment inside the block."""
    with _restored(name):
        os.environ[name] = value
        yield


@contextmanager
def _restored(*names: str) -> Iterator[None]:
    """Let variables of the environment be behind the block what they were before, whatever sets them inside."""
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
