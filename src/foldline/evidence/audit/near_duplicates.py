"""Series that occur twice: across folds, in both files, or among the series that a model is pre-trained on.

Two breaths of one session are similar without being copies; details distinguish them. A series is represented by its
inputs and its time steps (the clock's jitter is different in each series), each scaled to a standard deviation of 1.
The distance of two series is the root mean square of the differences. A copy is nearer than NEAR, and much nearer than
the other series around it (Lowe's ratio test, https://doi.org/10.1023/B:VISI.0000029664.99615.94), so that a dense
region is no copy. Each audit reports the distances of nearest neighbours; docs/how-to/audit.md has those of the real
sample.

For speed the first steps are projected at random to 12 numbers a series (Johnson and Lindenstrauss 1984,
https://doi.org/10.1090/conm/026/737400), a k-d tree finds candidates among those, and exact distances are computed for
the few candidates: of the first steps, and then of all steps, because short series of flags agree by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from foldline.core.chunks import chunks
from foldline.data import assemble, loading
from foldline.data.table import Table
from foldline.evidence.audit import audit_plots
from foldline.evidence.audit.audit_check import CheckResult, counted, listed
from foldline.evidence.audit.audit_context import AuditContext

NEAR = 0.01  # standard deviations: a copy with less noise than this is found
AROUND = 16  # the neighbour whose distance measures the density
RATIO = 0.05  # a copy is nearer than this share of that distance
SAME_TARGET = 0.1  # standard deviations: the targets of a copy agree
STEPS = 128  # first steps of a series, by which candidates are found
BLOCK = 4_000_000  # values that are compared at once: 32 MB
SKETCH = 12  # numbers a series in the projection
COPIES = 8  # nearest neighbours of a series that are candidates
SHOWN = 2000  # series in the picture
NEVER = np.iinfo(np.int64).max  # side of training series that no fold holds out


@dataclass(frozen=True)
class ComparedSeries:
    """All series that are compared. N series of all tables."""

    tables: Sequence[Table]
    side: np.ndarray  # (N,) fold of a training series, or NEVER; -1: test; -2 and below: series to pre-train on
    steps: int

    def name(self, place: int) -> str:
        """Format a series as `breath_id 17 (fold 2)`."""
        starts = np.cumsum([0, *(len(table.lengths) for table in self.tables)])
        number = int(np.searchsorted(starts, place, side="right")) - 1
        table, side = self.tables[number], int(self.side[place])
        training = "in no fold" if side == NEVER else f"fold {side}"
        where = training if side >= 0 else "test" if side == -1 else "pre-training"
        return f"{table.data.key} {table.keys[int(place - starts[number])]} ({where})"

    def channels(self) -> Iterator[np.ndarray]:
        """Yield (N, steps) float32 of the time steps and of each input, scaled; constant ones are left out."""
        data = self.tables[0].data
        times = np.concatenate([_steps(table, data.order, self.steps) for table in self.tables])
        yield from _scaled(np.diff(times, axis=1, prepend=times[:, :1]))
        for name in data.numeric_inputs:
            yield from _scaled(np.concatenate([_steps(table, name, self.steps) for table in self.tables]))

    def columns(self) -> Iterator[np.ndarray]:
        """Yield (rows,) float64 of the time steps and of each input, scaled; constant ones are left out."""
        data = self.tables[0].data
        times = np.concatenate([table.frame[data.order].to_numpy() for table in self.tables]).astype(np.float64)
        gaps = np.diff(times, prepend=0.0)
        gaps[np.cumsum(self.lengths) - self.lengths] = 0.0
        inputs = (np.concatenate([_values(table, name) for table in self.tables]) for name in data.numeric_inputs)
        for values in (gaps, *inputs):
            if scale := _scale(values, values):
                yield values / scale

    @property
    def lengths(self) -> np.ndarray:
        """(N,) number of steps."""
        return np.concatenate([table.lengths for table in self.tables])

    def targets(self) -> Iterator[np.ndarray]:
        """Yield (n, steps) float32 of each column of the truth, scaled; n training series; one step of one answer."""
        table = self.tables[0]
        for values in table.y.T:
            known = np.where(np.isnan(values), np.nanmean(values), values)
            yield from _scaled(known[:, None] if table.task.on_series else _first(table, known, self.steps))


def check(context: AuditContext) -> CheckResult:
    """No two copies are on two sides of a split."""
    compared = _gathered(context)
    sketch = _sketch(compared)
    if sketch is None:
        return CheckResult("not checked", "all series have the same inputs and time steps")
    tree, side = cKDTree(sketch), compared.side
    pairs, distance = _copies(compared, tree, sketch)
    labelled, agree = (side[pairs] >= 0).all(axis=1), _agree(compared, pairs)
    nearest = _nearest(compared, tree, sketch)
    facts = {"series": len(side), "pairs": len(pairs), "nearest": float(nearest.min())}
    picture = audit_plots.histogram(
        np.log10(np.maximum(nearest, 1e-6)), np.log10(NEAR), "log10 of the nearest distance"
    )
    unlike = int((labelled & ~agree).sum())
    if unlike > (labelled & agree).sum():
        detail = f"the inputs do not distinguish series: {unlike} pairs agree in them, but not in the target"
        return CheckResult("not checked", detail, facts, picture)
    crossing = (side[pairs[:, 0]] != side[pairs[:, 1]]) & (agree | ~labelled) & (side[pairs].max(axis=1) >= -1)
    if crossing.any():
        order = np.flatnonzero(crossing)[np.argsort(distance[crossing], kind="stable")]
        shown = [f"{compared.name(a)} and {compared.name(b)}" for a, b in pairs[order]]
        return CheckResult("LEAK", f"copies: {listed(shown, 2)}", facts, picture)
    inside = f"; copies on one side: {counted(len(pairs), 'pair')}" if len(pairs) else ""
    part = f" in their first {compared.steps} steps" if compared.steps < compared.lengths.max() else ""
    detail = f"{len(side)} series, nearest neighbours {nearest.min():.3g} apart{part} (a copy: {NEAR:g}){inside}"
    return CheckResult("clean", detail, facts, picture)


def _gathered(context: AuditContext) -> ComparedSeries:
    """Collect training, test and pre-training series."""
    competition = context.competition
    tables = [competition.train, competition.test]
    assigned = context.folds.assignment
    # what no fold holds out is trained on: a side of its own
    sides = [np.where(assigned < 0, NEVER, assigned), np.full(len(competition.test.lengths), -1)]
    for number, model in enumerate(context.config.models):
        if model.pretrain is not None and model.pretrain.source != "simulate":
            source = assemble.source_of(competition.data, Path(model.pretrain.source), "train")
            levels, facts = competition.levels, competition.train.facts
            tables.append(loading.load_table(source, competition.data, labelled=True, levels=levels, facts=facts))
            sides.append(np.full(len(tables[-1].lengths), -2 - number))
    lengths = np.concatenate([table.lengths for table in tables])
    steps = min(STEPS, max(2, int(np.quantile(lengths, 0.1))))
    return ComparedSeries(tables, np.concatenate(sides), steps)


def _steps(table: Table, name: str, steps: int) -> np.ndarray:
    """(n, steps) a column's first steps in each series; the last value is repeated in shorter series."""
    return _first(table, _values(table, name), steps)


def _values(table: Table, name: str) -> np.ndarray:
    """(rows,) a column; where it is missing, a value far from all others: copies lack the same steps."""
    values = table.frame[name].to_numpy()
    missing = np.isnan(values)
    if not missing.any():
        return values
    known = values[~missing]
    apart = known.mean() + 3 * (known.std() or 1.0) if len(known) else 0.0
    return np.where(missing, apart, values)


def _first(table: Table, values: np.ndarray, steps: int) -> np.ndarray:
    """Lay the first steps of each series side by side: (rows,) -> (n, steps)."""
    inside = np.minimum(np.arange(steps), table.lengths[:, None] - 1)
    return np.asarray(values[table.starts[:, None] + inside], dtype=np.float64)


def _scaled(values: np.ndarray) -> Iterator[np.ndarray]:
    """Yield values centred step by step, with one scale for all; nothing if they are constant."""
    centred = values - values.mean(axis=0)
    if scale := _scale(centred, values):
        yield (centred / scale).astype(np.float32)


def _scale(centred: np.ndarray, values: np.ndarray) -> float:
    """Standard deviation; 0 if it is only rounding error."""
    scale = float(centred.std())
    return scale if scale > 1e-9 * max(1.0, float(np.abs(values).max())) else 0.0


def _sketch(compared: ComparedSeries) -> np.ndarray | None:
    """Project to (N, SKETCH), where distances approximate the root mean square of the differences."""
    rng, count = np.random.default_rng(0), 0
    total = np.zeros((len(compared.side), SKETCH))
    for channel in compared.channels():
        total += channel @ rng.normal(size=(compared.steps, SKETCH)).astype(np.float32)
        count += 1
    return total / np.sqrt(SKETCH * compared.steps * count) if count else None


def _copies(compared: ComparedSeries, tree: cKDTree, sketch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find (P, 2) pairs of copies and (P,) their distances."""
    radius = 2 * NEAR  # a projection stretches a distance to twice its length once in a million
    _, near = tree.query(sketch, k=COPIES + 1, distance_upper_bound=radius, workers=-1)
    first, place = np.nonzero(near < len(sketch))
    pairs = np.stack([first, near[first, place]], axis=1)
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0).reshape(-1, 2)
    distance = _distance(compared.channels(), pairs)
    kept = distance < NEAR
    pairs, distance = pairs[kept], distance[kept]
    around = min(AROUND, len(sketch) - 1) + 1
    density = tree.query(sketch[pairs[:, 0]], k=around)[0][:, -1] if len(pairs) else np.zeros(0)
    kept = distance < RATIO * density
    pairs, distance = pairs[kept], distance[kept]
    kept = _to_the_end(compared, pairs) < NEAR
    return pairs[kept], distance[kept]


def _to_the_end(compared: ComparedSeries, pairs: np.ndarray) -> np.ndarray:
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


def _distance(channels: Iterator[np.ndarray], pairs: np.ndarray) -> np.ndarray:
    """Compute (P,) root mean squares of the differences of pairs of series."""
    squares = [((channel[pairs[:, 0]] - channel[pairs[:, 1]]) ** 2).mean(axis=1) for channel in channels]
    return np.sqrt(np.mean(squares, axis=0)) if squares else np.zeros(len(pairs))


def _agree(compared: ComparedSeries, pairs: np.ndarray) -> np.ndarray:
    """(P,) bool: both are training series and their targets agree."""
    labelled = (compared.side[pairs] >= 0).all(axis=1)
    agree = np.zeros(len(pairs), dtype=bool)
    agree[labelled] = _distance(compared.targets(), pairs[labelled]) < SAME_TARGET
    return agree


def _nearest(compared: ComparedSeries, tree: cKDTree, sketch: np.ndarray) -> np.ndarray:
    """(n,) distances of some series from the one that is nearest in the projection."""
    chosen = np.random.default_rng(0).permutation(len(sketch))[:SHOWN]
    return _distance(compared.channels(), np.stack([chosen, tree.query(sketch[chosen], k=2)[1][:, -1]], axis=1))
