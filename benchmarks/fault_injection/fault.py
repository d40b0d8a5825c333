"""One fault and how it ended, and what a kind of faults is. A file of this folder holds one kind or a few alike."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Outcome(Enum):
    """How a fault ended. Every one but FINE and OUTSIDE is a bug of foldline."""

    FINE = "fine"  # the same result as without the fault, or one sentence that says the rule and the way out
    SILENT = "silent wrong result"
    LOST = "lost data"
    TRACEBACK = "traceback"
    UNCLEAR = "unclear message"  # exit 2, but no sentence with a way out, or several; or another exit code
    HANG = "hang"
    OUTSIDE = "ended outside"  # another library ended the process: counted, and its input thrown away


@dataclass(frozen=True)
class Fault:
    """One fault that was tried."""

    what: str  # what was done to what, with all that makes it again
    outcome: Outcome
    detail: str = ""  # of one that is not fine: what came


@dataclass(frozen=True)
class Kind:
    """A kind of faults: a row of the table in docs/reliability.md."""

    name: str
    promise: str  # what a user may rely on
    how: str  # how it is tested
    share: float  # of the time, relative to the other kinds
    # Endless: (seed, an empty folder of its own) -> faults, each already judged. Closed when its time is over.
    faults: Callable[[int, Path], Generator[Fault, None, None]]
