"""A function called on many items, several of them in one forked child; an item that ends the child is found.

Each answer is written as soon as it is there: the first item without one is the one that the child ended at. The items
behind it go to another child, so that every item gets an answer of its own.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.fault_injection import children
from benchmarks.fault_injection.children import Ended

PATIENCE_S = 60.0  # for one batch: an item takes hundredths of a second


def answers(function: Callable[[Any], Any], items: Sequence[Any], scratch: Path) -> list[Any | Ended]:
    """Call a function of a module on each item; of an item that ended its child, how that ended.

    scratch: a folder in which this call may write.
    """
    given, written = scratch / "batch-items", scratch / "batch-answers"
    found: list[Any | Ended] = []
    while len(found) < len(items):
        given.write_bytes(pickle.dumps(list(items[len(found) :])))
        written.unlink(missing_ok=True)
        with children.start(_work, function, str(given), str(written)) as child:
            ended = child.ended(PATIENCE_S)
        found += _read(written)
        if len(found) < len(items):
            found.append(ended)
    return found


def _work(function: Callable[[Any], Any], given: str, written: str) -> int:
    """Answer all items, in the child."""
    with Path(written).open("ab") as stream:
        for item in pickle.loads(Path(given).read_bytes()):
            stream.write(pickle.dumps(function(item)))
            stream.flush()
    return 0


def _read(path: Path) -> list[Any]:
    """Read the answers that are complete."""
    found: list[Any] = []
    if path.exists():
        with path.open("rb") as stream:
            while True:
                try:
                    found.append(pickle.load(stream))
                except (EOFError, pickle.UnpicklingError):  # the end, or half an answer
                    break
    return found
