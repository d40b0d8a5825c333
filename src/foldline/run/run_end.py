"""How a run ends after its cells: what fails or is stopped then is told to whoever has noted that they are trained.

Blend, report and submission are made in other rooms, so each verb as a whole is watched. Imports no library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from foldline.core.errors import Finding

OnFailure = Callable[[BaseException], None]
_trained: ContextVar[dict[Path, OnFailure] | None] = ContextVar("trained", default=None)


@contextmanager
def watched() -> Iterator[None]:
    """Tell the runs that are trained inside the block of what ends it; not of a finding, before which all is done."""
    runs: dict[Path, OnFailure] = {}
    token = _trained.set(runs)
    try:
        yield
    except Finding:
        raise
    except BaseException as error:
        for on_failure in runs.values():
            on_failure(error)
        raise
    finally:
        _trained.reset(token)


def trained(path: Path, on_failure: OnFailure) -> None:
    """Note a run whose cells are trained. path: of its progress.json."""
    if (runs := _trained.get()) is not None:
        runs[path] = on_failure


def begins(path: Path) -> None:
    """Forget an older run of a progress.json: another one of the same verb writes it from now on."""
    (_trained.get() or {}).pop(path, None)
