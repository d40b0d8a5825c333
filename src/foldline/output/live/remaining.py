"""How long a run may yet take, from what its cells have taken so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from foldline.run.progress_file import CellProgress

EARLY = 0.05  # share of a cell below which it says nothing about itself: what it has done so far is mostly start-up


class Remaining(NamedTuple):
    """What is left of a run's cells."""

    seconds: float | None  # None: nothing is known yet
    whole: bool  # whether each model with cells to train has shown how long one takes; else it takes longer


def remaining(cells: Sequence[CellProgress], at_a_time: int, now: float) -> Remaining:
    """Estimate what is left: each model's cells take as long as those of them that were trained in this run.

    Args:
        at_a_time: cells that are trained side by side.
        now: s since 1970.
    """
    known = _seconds_a_cell(cells, now)
    left = [(cell, known.get(cell.label)) for cell in cells if cell.state in ("waiting", "training")]
    each = [seconds * (1.0 - cell.done) for cell, seconds in left if seconds is not None]
    if left and not each:
        return Remaining(None, False)
    longest = max(each, default=0.0)  # the last cell is alone
    return Remaining(max(longest, sum(each) / max(1, at_a_time)), len(each) == len(left))


def _seconds_a_cell(cells: Sequence[CellProgress], now: float) -> dict[str, float]:
    """Compute how long a whole cell of each model takes, s, where that is known."""
    gained: dict[str, float] = {}
    spent: dict[str, float] = {}
    for cell in cells:
        new = cell.done - cell.before
        if cell.began is not None and cell.state in ("training", "done") and new >= EARLY:
            gained[cell.label] = gained.get(cell.label, 0.0) + new
            spent[cell.label] = spent.get(cell.label, 0.0) + (now if cell.ended is None else cell.ended) - cell.began
    return {label: spent[label] / share for label, share in gained.items()}
