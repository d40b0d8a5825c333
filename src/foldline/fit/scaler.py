"""Scaling of features and targets, fitted on the training part of a fold and on nothing else.

The even grid that a target's values lie on, if they do, is detected here too: a head that classifies needs it.
Statistics come from a sample of rows: sorting all rows of the full competition costs more than making its features, and
every worker fits a scaler at the same time. However many rows, series and features there are, it takes below 150 MiB.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from foldline.core.chunks import chunks
from foldline.core.distinct import distinct
from foldline.core.errors import unknown
from foldline.data.store import Store
from foldline.data.target_grid import Grid, detect_grids
from foldline.models.contract import Kind, Level, Targets

SAMPLE_ROWS = 1 << 19  # rows whose features the statistics are taken from at most; fewer rows: all of them
SAMPLE_VALUES = 1 << 24  # values, rows times features, at most: 64 MiB
SAMPLE_TARGETS = 1 << 20  # values of targets at most; more than of a feature, because the grid needs all its points
VALUES_PER_CHUNK = 1 << 21  # of features held as float64 at once: 16 MiB, and as much again for each step of theirs
ROWS_PER_CHUNK = 1 << 16  # read at once, where more than one series has them
KINDS = ("robust", "standard", "none")
ARRAYS = ("center", "scale", "y_center", "y_scale")


@dataclass(frozen=True)
class AuxiliaryScale:
    """An auxiliary target and its scale: (y - center) / scale; of what is no number 0 and 1."""

    name: str
    kind: Kind
    count: int  # of its columns
    classes: int  # number of labels, if it has any
    center: tuple[float, ...]
    scale: tuple[float, ...]  # never 0

    def targets(self, level: Level) -> Targets:
        """The scaled columns, as a head sees them."""
        classes = self.classes if self.kind == "ordinal" else 0
        return Targets(
            count=self.count, kind=self.kind, classes=classes, level=level, center=self.center, scale=self.scale
        )


@dataclass(frozen=True)
class Scaler:
    """x -> (x - center) / scale, for F features and K targets (float64)."""

    center: np.ndarray  # (F,)
    scale: np.ndarray  # (F,) never 0
    y_center: np.ndarray  # (K,)
    y_scale: np.ndarray  # (K,) never 0
    grids: tuple[Grid | None, ...]  # (K,) of the targets, in their own units
    kind: Kind = "regression"  # of the targets; those of other kinds are not scaled
    classes: int = 0  # of the targets' labels
    level: Level = "step"
    auxiliary: tuple[AuxiliaryScale, ...] = ()  # targets that a network may learn beside these
    fill: Literal["zero", "forward"] = "zero"  # what stands for a missing feature (train.fill); not stored

    @property
    def targets(self) -> Targets:
        """The scaled targets, as a network sees them."""
        centers, scales = tuple(self.y_center.tolist()), tuple(self.y_scale.tolist())
        scaled = (
            None if grid is None else ((grid.offset - center) / scale, grid.step / scale, grid.count)
            for grid, center, scale in zip(self.grids, centers, scales, strict=True)
        )
        return Targets(
            count=len(centers),
            kind=self.kind,
            classes=self.classes if self.kind == "ordinal" else 0,
            level=self.level,
            grids=tuple(scaled),
            auxiliary=tuple((each.name, each.targets(self.level)) for each in self.auxiliary),
            center=centers,
            scale=scales,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the content of scaler.json."""
        grids = [None if grid is None else asdict(grid) for grid in self.grids]
        task = {"kind": self.kind, "classes": self.classes, "level": self.level}
        auxiliary = {"auxiliary": [asdict(each) for each in self.auxiliary]} if self.auxiliary else {}
        return {name: getattr(self, name).tolist() for name in ARRAYS} | {"grids": grids, **task, **auxiliary}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Scaler:
        """Read what `to_json` returned."""
        grids = tuple(None if grid is None else Grid(**grid) for grid in value["grids"])
        fields: dict[str, Any] = {name: np.asarray(value[name], dtype=np.float64) for name in ARRAYS}
        fields |= {name: value[name] for name in ("kind", "classes", "level") if name in value}  # older ones have none
        auxiliary = tuple(
            AuxiliaryScale(**each | {name: tuple(each[name]) for name in ("center", "scale")})
            for each in value.get("auxiliary", ())
        )
        return Scaler(**fields, grids=grids, auxiliary=auxiliary)


def fit(kind: str, data: Store, series: np.ndarray, seed: int) -> Scaler:
    """Fit a scaler on some series only.

    Targets that are numbers are always scaled by the median and the mean absolute deviation of their scored answers
    that count (data.weight): an L1 loss then starts near 1.

    Args:
        kind: "robust": median, and the distance of the 10 and 90 % quantiles over 2.56 (for a normal distribution its
            standard deviation); "standard": mean and standard deviation; "none": features stay as they are.
        series: (n,) indices into `data`; some of their rows are scored.
        seed: of the sample that stands for more rows than fit in it.

    Raises:
        UserError: there is no such kind.
    """
    if kind not in KINDS:
        raise unknown("scaler", kind, KINDS, "features.scaler")
    assert data.labelled, "a scaler is fitted on labelled series"
    features, rng = len(data.names), np.random.default_rng(seed)
    rows = _sampled_rows(data, series, None, min(SAMPLE_ROWS, max(1, SAMPLE_VALUES // max(1, features))), rng)
    x = np.empty((len(rows), features), dtype=np.float32)
    for chunk in chunks(len(rows), ROWS_PER_CHUNK):
        x[chunk] = data.features(rows[chunk])
    center, scale = _statistics(kind, x)
    del x
    if data.task.kind != "regression":
        return replace(unscaled_targets(center, scale, data), auxiliary=_auxiliary_scales(data, series))
    targets = np.asarray(data.y[sampled_answers(data, series, max(1, SAMPLE_TARGETS // data.targets), rng)])
    y_center = np.median(targets, axis=0)
    y_scale = np.abs(targets - y_center).mean(axis=0)
    y_scale, grids = np.where(y_scale > 0, y_scale, 1.0), tuple(detect_grids(targets))
    return Scaler(
        center, scale, y_center, y_scale, grids, level=data.task.level, auxiliary=_auxiliary_scales(data, series)
    )


def unscaled_targets(
    center: np.ndarray, scale: np.ndarray, data: Store, grids: tuple[Grid | None, ...] | None = None
) -> Scaler:
    """Make a scaler that leaves targets as they are. center, scale: (F,) of the features; grids: (K,), None: none."""
    task, count = data.task, data.targets
    grids = (None,) * count if grids is None else grids
    auxiliary = _auxiliary_scales(data, np.arange(0))
    return Scaler(center, scale, np.zeros(count), np.ones(count), grids, task.kind, task.classes, task.level, auxiliary)


def _auxiliary_scales(data: Store, series: np.ndarray) -> tuple[AuxiliaryScale, ...]:
    """Fit the scales of auxiliary numbers, like those of targets, on the known values of some series' answers."""
    made, answers = [], data.answers(series)
    for each in data.auxiliary:
        scales = [(0.0, 1.0)] * each.count
        if each.kind == "regression":
            scales = [_scale_of(column) for column in data.auxiliary_columns[each.name][answers].T]
        center, scale = zip(*scales, strict=True)
        made.append(AuxiliaryScale(each.name, each.kind, each.count, each.classes, center, scale))
    return tuple(made)


def _scale_of(values: np.ndarray) -> tuple[float, float]:
    """Return median and mean absolute deviation of the known ones of some values (m,), NaN where not known."""
    known = values[~np.isnan(values)]
    if not len(known):
        return 0.0, 1.0
    center = float(np.median(known))
    return center, float(np.abs(known - center).mean()) or 1.0


def sampled_answers(data: Store, series: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Draw at most `most` scored answers of some series, in their order: (a,) int64; all where there are no more.

    What stands in answers of weight 0, often a mark that there is none, says nothing of the targets.
    """
    chosen = data.counted
    if chosen is not data.scored and not chosen[data.answers(series)].any():  # none counts: nothing is learned
        chosen = data.scored
    if not data.on_series:
        return _sampled_rows(data, series, chosen, most, rng)
    counted = series[chosen[series]]
    return np.asarray(counted[_sampled_places(len(counted), most, rng)])


def _sampled_rows(
    data: Store, series: np.ndarray, chosen: np.ndarray | None, most: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw at most `most` rows of some series, in their order, (r,) int64; all where there are no more.

    No list of all rows is made, however many there are.

    Args:
        chosen: (R,) bool, the rows to draw from; None: all.
    """
    lengths = data.lengths[series]
    counts = lengths if chosen is None else np.add.reduceat(chosen, data.offsets, dtype=np.int64)[series]
    places = _sampled_places(int(counts.sum()), most, rng)
    row_ends, ends = np.cumsum(lengths), np.cumsum(counts)
    drawn, first = [], 0
    while first < len(series):  # the rows of a few series are listed at once, of one at least
        most_rows = row_ends[first] - lengths[first] + ROWS_PER_CHUNK
        last = max(first + 1, int(np.searchsorted(row_ends, most_rows, side="right")))
        begin = ends[first] - counts[first]
        low, high = np.searchsorted(places, [begin, ends[last - 1]])
        rows = data.rows(series[first:last])
        drawn.append((rows if chosen is None else rows[chosen[rows]])[places[low:high] - begin])
        first = last
    return np.concatenate(drawn)


def _sampled_places(total: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """Draw at most `most` of 0 .. total - 1, sorted: one from each of `most` equal stretches, or all of them."""
    if total <= most:
        return np.arange(total)
    places = ((np.arange(most) + rng.random(most)) * (total / most)).astype(np.int64)
    return distinct(np.minimum(places, total - 1))


def _statistics(kind: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return center and scale, each (F,) float64, of the columns of x, (r, F) float32."""
    if kind == "none":
        return np.zeros(x.shape[1]), np.ones(x.shape[1])
    # Parts of at least two columns: numpy sums a single one in another order, which changes last bits.
    count = max(1, min(x.shape[1] // 2, -(-x.size // VALUES_PER_CHUNK)))
    parts = np.array_split(np.arange(x.shape[1]), count)
    center, scale = zip(*(_column_statistics(kind, x[:, part].astype(np.float64)) for part in parts), strict=True)
    return np.concatenate(center), np.concatenate(scale)


def _column_statistics(kind: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return center and scale, each (f,), of the columns of rows, (r, f); a constant column has scale 1.

    Missing values (NaN) are left out; a column without any other has center 0.
    """
    known = ~np.isnan(rows)
    if not known.all():
        each = [_known_statistics(kind, column[of]) for column, of in zip(rows.T, known.T, strict=True)]
        return np.array([center for center, _ in each]), np.array([scale for _, scale in each])
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    if kind == "robust":
        low, center, high = np.quantile(rows, [0.1, 0.5, 0.9], axis=0)
        wide = high - low > 1e-3 * deviation  # else it hardly ever moves, as a rare flag does: mean and deviation
        mean, deviation = np.where(wide, center, mean), np.where(wide, (high - low) / 2.56, deviation)
    return mean, np.where(deviation > 0, deviation, 1.0)


def _known_statistics(kind: str, values: np.ndarray) -> tuple[float, float]:
    """Return center and scale of the known values of one column, (k,)."""
    if not len(values):
        return 0.0, 1.0
    center, scale = _column_statistics(kind, values[:, None])
    return float(center[0]), float(scale[0])
