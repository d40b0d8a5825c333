"""Series that are nearly copies of each other: their distance, and the pairs that are near.

A series is represented by its inputs and its time steps (the clock's jitter is different in each series), each scaled
to a standard deviation of 1. The distance of two series is the root mean square of the differences.

For speed the first steps are projected at random to 12 numbers a series (Johnson and Lindenstrauss 1984,
https://doi.org/10.1090/conm/026/737400), a k-d tree finds candidates among those, and exact distances are computed for
the few candidates: of the first steps, and then of all steps, because short series of flags agree by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from foldline.core.chunks import chunks
from foldline.data.table import Table

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

NEAR = 0.01  # standard deviations: a copy with less noise than this is found
STEPS = 128  # first steps of a series, by which candidates are found
BLOCK = 4_000_000  # values that are compared at once: 32 MB
SKETCH = 12  # numbers a series in the projection
COPIES = 8  # nearest neighbours of a series that are candidates


@dataclass(frozen=True, kw_only=True)
class Compared:
    """All series that are compared. N series of all tables."""

    tables: Sequence[Table]
    steps: int  # first ones, by which candidates are found
    inputs: tuple[str, ...] = field(default=())  # that are compared; empty: all that are numbers, and the time steps

    @staticmethod
    def steps_of(lengths: np.ndarray) -> int:
        """Choose how many first steps candidates are found by. lengths: (N,) of the series."""
        return min(STEPS, max(2, int(np.quantile(lengths, 0.1))))

    def channels(self) -> Iterator[np.ndarray]:
        """Yield (N, steps) float32 of the time steps and of each input, scaled; constant ones are left out."""
        data = self.tables[0].data
        if not self.inputs:
            times = np.concatenate([_steps(table, data.order, self.steps) for table in self.tables])
            yield from scaled(np.diff(times, axis=1, prepend=times[:, :1]))
        for name in self.inputs or data.numeric_inputs:
            yield from scaled(np.concatenate([_steps(table, name, self.steps) for table in self.tables]))

    def columns(self) -> Iterator[np.ndarray]:
        """Yield (rows,) float64 of the time steps and of each input, scaled; constant ones are left out."""
        data = self.tables[0].data
        names = self.inputs or data.numeric_inputs
        columns = (np.concatenate([_values(table, name) for table in self.tables]) for name in names)
        for values in columns if self.inputs else (self._gaps(), *columns):
            if scale := _scale(values, values):
                yield values / scale

    def _gaps(self) -> np.ndarray:
        """Return the time steps, (rows,) float64; 0 at the start of a series."""
        times = [table.frame[table.data.order].to_numpy() for table in self.tables]
        gaps = np.diff(np.concatenate(times).astype(np.float64), prepend=0.0)
        gaps[np.cumsum(self.lengths) - self.lengths] = 0.0
        return gaps

    @property
    def lengths(self) -> np.ndarray:
        """(N,) number of steps."""
        return np.concatenate([table.lengths for table in self.tables])


def _steps(table: Table, name: str, steps: int) -> np.ndarray:
    """(n, steps) a column's first steps in each series; the last value is repeated in shorter series."""
    return first_steps(table, _values(table, name), steps)


def _values(table: Table, name: str) -> np.ndarray:
    """(rows,) a column; where it is missing, a value far from all others: copies lack the same steps."""
    values = table.frame[name].to_numpy()
    missing = np.isnan(values)
    if not missing.any():
        return values
    known = values[~missing]
    apart = known.mean() + 3 * (known.std() or 1.0) if len(known) else 0.0
    return np.where(missing, apart, values)


def first_steps(table: Table, values: np.ndarray, steps: int) -> np.ndarray:
    """Lay the first steps of each series side by side: (rows,) -> (n, steps)."""
    inside = np.minimum(np.arange(steps), table.lengths[:, None] - 1)
    return np.asarray(values[table.starts[:, None] + inside], dtype=np.float64)


def scaled(values: np.ndarray) -> Iterator[np.ndarray]:
    """Yield values centred step by step, with one scale for all; nothing if they are constant."""
    centred = values - values.mean(axis=0)
    if scale := _scale(centred, values):
        yield (centred / scale).astype(np.float32)


def _scale(centred: np.ndarray, values: np.ndarray) -> float:
    """Standard deviation; 0 if it is only rounding error."""
    scale = float(centred.std())
    return scale if scale > 1e-9 * max(1.0, float(np.abs(values).max())) else 0.0


def sketch_of(compared: Compared) -> np.ndarray | None:
    """Project to (N, SKETCH), where distances approximate the root mean square of the differences."""
    rng, count = np.random.default_rng(0), 0
    total = np.zeros((len(compared.lengths), SKETCH))
    for channel in compared.channels():
        total += channel @ rng.normal(size=(compared.steps, SKETCH)).astype(np.float32)
        count += 1
    return total / np.sqrt(SKETCH * compared.steps * count) if count else None


def near_pairs(
    compared: Compared,
    tree: cKDTree,
    sketch: np.ndarray,
    near: float = NEAR,
    places: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find (P, 2) pairs of series that are near in their first steps, and (P,) their distances.

    places: (n,) ascending, of the series that sketch and tree are of; None: of all.
    """
    radius = 2 * near  # a projection stretches a distance to twice its length once in a million
    _, found = tree.query(sketch, k=COPIES + 1, distance_upper_bound=radius, workers=-1)
    first, place = np.nonzero(found < len(sketch))
    pairs = np.stack([first, found[first, place]], axis=1)
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0).reshape(-1, 2)
    pairs = pairs if places is None else places[pairs]
    distance = distance_of(compared.channels(), pairs)
    kept = distance < near
    return pairs[kept], distance[kept]


def to_the_end(compared: Compared, pairs: np.ndarray) -> np.ndarray:
    """Compute (P,) distances over all steps of the longer series; the last step of the shorter one is repeated."""
    lengths, squares, count = compared.lengths, np.zeros(len(pairs)), 0
    starts, longest = np.cumsum(lengths) - lengths, lengths[pairs].max(axis=1)
    size = max(1, BLOCK // int(longest.max(initial=1)))
    for column in compared.columns():
        count += 1
        for chunk in chunks(len(pairs), size):
            some, real = pairs[chunk], longest[chunk, None]
            steps = np.arange(real.max())
            one, other = (starts[side, None] + np.minimum(steps, lengths[side, None] - 1) for side in some.T)
            gaps = np.where(steps < real, column[one] - column[other], 0.0)
            squares[chunk] += (gaps**2).sum(axis=1)
    return np.asarray(np.sqrt(squares / (max(count, 1) * longest)))


def distance_of(channels: Iterator[np.ndarray], pairs: np.ndarray) -> np.ndarray:
    """Compute (P,) root mean squares of the differences of pairs of series."""
    squares = [((channel[pairs[:, 0]] - channel[pairs[:, 1]]) ** 2).mean(axis=1) for channel in channels]
    return np.sqrt(np.mean(squares, axis=0)) if squares else np.zeros(len(pairs))
