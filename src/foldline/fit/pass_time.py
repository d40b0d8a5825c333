"""How long a pass takes by its size, measured on passes that take a moment, however large the real ones are.

A size is (items, length): series and their steps for a network, rows and rounds for boosted trees. Passes grow from a
small one, first in length, then in items, as long as the next may be expected to take little. What is larger follows
from a sum of terms that can only grow, each with a cost of its own, fitted to what was measured:

    1         what a pass takes whatever its size: operations that are dispatched, the update of weights
    length    the same of each step of a recurrence that goes step by step, and of each round
    items     what a series takes whatever its length
    items * length, and where work grows with its square (counted_work.py) items * length^2

The largest pass that was measured is met exactly: caches make large passes dearer than small ones tell.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

FACTOR = 4  # from a size to the next
PASS_S = 0.4  # a pass that is expected to take longer is not made,
SECOND_S = 2.0  # but for the first longer, and the first larger one: by them costs are told apart
TRIALS = 3  # of a size; the fastest counts, as noise only ever adds time
ENOUGH_S = 0.3  # of trials of a size
DEAR_S = 1.0  # a pass that takes so long is made once

Clock = Callable[[], float]  # -> s; time.process_time counts processor time instead


class Size(NamedTuple):
    """How large a pass is."""

    items: int  # series, or rows
    length: int  # steps of each, or rounds


FIRST = Size(2, 32)  # two series: normalisation over a batch needs more than one


@dataclass(frozen=True)
class PassTime:
    """Seconds of passes that were measured, the largest one last, and of all others by what these say."""

    measured: tuple[tuple[Size, float], ...]
    quadratic: bool  # whether a series' work may grow with the square of its length

    def seconds(self, items: float, length: float) -> float:
        """Return the seconds of a pass of any size."""
        last, seconds = self.measured[-1]
        costs = self._costs()
        of_last = float(_terms(*last, self.quadratic) @ costs)
        return seconds * float(_terms(items, length, self.quadratic) @ costs) / of_last

    def _costs(self) -> np.ndarray:
        """Return the seconds of each term's unit, none below 0: those of the least squared relative errors."""
        from scipy.optimize import nnls  # imported where it is used: it takes a while

        if len(self.measured) == 1:  # as if it were in proportion to all steps
            return np.array([0.0, 0.0, 0.0, 1.0, 0.0][: 4 + self.quadratic])
        terms = np.array([_terms(*size, self.quadratic) for size, _ in self.measured])
        seconds = np.array([seconds for _, seconds in self.measured])
        unit = terms.max(axis=0)  # so that all terms are of one size where they count
        return np.asarray(nnls(terms / unit / seconds[:, None], np.ones(len(seconds)))[0] / unit)


def _terms(items: float, length: float, quadratic: bool) -> np.ndarray:
    linear = [1.0, length, items, items * length]
    return np.array([*linear, items * length**2] if quadratic else linear)


def measure(
    run: Callable[[Size], object],
    largest: Size,
    quadratic: bool = False,
    clock: Clock = time.perf_counter,
    first: Size = FIRST,
    pass_s: float = PASS_S,
) -> PassTime:
    """Measure passes from a small one up to the largest one, or to the last that takes a moment.

    Args:
        run: makes a pass.
        quadratic: whether a series' work may grow with the square of its length.
        first: smallest size.
        pass_s: a pass that is expected to take longer is not made.
    """
    found: dict[Size, float] = {}

    def look(size: Size) -> Size:
        if size not in found:
            found[size] = _timed(run, size, clock)
        return size

    def grow(size: Size, axis: str) -> Size:
        """Measure passes that grow along an axis; return the last one."""
        power = 1 + quadratic if axis == "length" else 1
        look(size)
        while True:
            is_first = all(getattr(each, axis) >= getattr(size, axis) for each in found)
            bigger = _grown(size, largest, axis, found[size] / (SECOND_S if is_first else pass_s), power)
            if bigger == size:
                return size
            size = look(bigger)

    few = Size(*map(min, first, largest))
    run(few)  # what a process pays once: imports, compiling
    longest = grow(few, "length")
    if grow(longest, "items") == longest:  # too long for more than a few: what more cost, shorter ones tell
        grow(max(size for size in found if found[size] <= found[longest] / FACTOR or size == few), "items")
    # What an item costs whatever its length, and what each of its steps costs, both lengths of many tell apart.
    look(Size(max(size.items for size in found), few.length))
    measured = sorted(found.items(), key=lambda each: each[0].items * each[0].length)
    return PassTime(tuple(measured), quadratic)


def _grown(size: Size, largest: Size, axis: str, share: float, power: int) -> Size:
    """Return the next size along an axis; the same where there is none, or it would take too long.

    share: of the time that the next one may take, which this one takes.
    """
    own, most = getattr(size, axis), getattr(largest, axis)
    for factor in (FACTOR, 2):
        bigger = min(own * factor, most)
        if share * (bigger / own) ** power <= 1:
            return size._replace(**{axis: bigger})
    return size


def _timed(run: Callable[[Size], object], size: Size, clock: Clock) -> float:
    """Return the seconds of a pass; the first of a size, for which kernels are chosen, counts only where it is dear."""
    trials: list[float] = []
    while len(trials) < 2 or (len(trials) <= TRIALS and sum(trials) <= ENOUGH_S):
        began = clock()
        run(size)
        trials.append(max(clock() - began, 1e-9))
        if trials[0] > DEAR_S:
            return trials[0]
    return min(trials[1:])
