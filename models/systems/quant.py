"""QUANT: quantiles of fixed intervals of a series, and extremely randomised trees on them; one answer a series.

Source: Dempster, Schmidt & Webb 2024, https://doi.org/10.1007/s10618-024-01036-9. It sees where in a series which
values are, which ROCKET's poolings over the whole series do not. Features: models/ops/interval_quantiles.py, of the
series, its differences and its spectrum, and how long it is; trees: models/ops/forest.py, by entropy for labels, one of
which is right, by squares for all other kinds. n series of C channels and their own lengths in, (n, K) out; static
columns are not read. Default: intervals halved up to five times, 200 trees that draw a tenth of the features a split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from foldline.models.contract import Kind
from foldline.models.ops import forest, interval_quantiles, series_model
from foldline.models.ops.series_model import Read, SeriesConfig

LONGEST = 10_000  # steps, of the reference length


@dataclass(frozen=True, kw_only=True)
class Config(SeriesConfig):
    """[[model]] with name = "quant"; at the level "series" only."""

    depth: int = 6  # levels of intervals: the whole series, its halves, its quarters, ...
    trees: int = 200
    share: float = 0.1  # of the features that a split draws

    shares: ClassVar[tuple[str, ...]] = ("ops/forest", "ops/interval_quantiles", "ops/series_model")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.depth <= 10:
            raise ValueError(f"depth must be from 1 to 10, into 512 intervals, but is {self.depth}")
        if self.trees < 1:
            raise ValueError(f"trees must be at least 1, but is {self.trees}")
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, but is {self.share}")


class Quant:
    """Trees, the length that they were fitted on, and the mean truth (of labels and shares: see `_mean`)."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.kind: Kind = "regression"
        self.arrays: dict[str, np.ndarray] = {}  # of the forest; "steps", "center" of each channel, "mean" truth

    def fit(
        self,
        read: Read,
        lengths: np.ndarray,
        y: np.ndarray,
        kind: Kind,
        seed: int,
        threads: int,
        on_series: Callable[[int, int], None] | None = None,
        weight: np.ndarray | None = None,
        groups: np.ndarray | None = None,
    ) -> np.ndarray:
        """Fit on n series (ops/series_model.py); groups are not used.

        Returns:
            (n, K) predictions of the series themselves.
        """
        self.kind = kind
        self.arrays = {"steps": np.array([_reference(lengths)]), "mean": _mean(y, kind, weight)}
        self.arrays["center"] = _center(read, len(lengths))
        x = self._features(read, len(lengths), on_series)
        options = {"trees": self.config.trees, "share": self.config.share, "seed": seed, "threads": threads}
        self.arrays |= forest.fit(x, y, kind, weight=weight, **options)  # type: ignore[arg-type]
        return self._answer(x)

    def memory(self, lengths: np.ndarray, channels: int, kind: Kind, grouped: bool = False) -> int:
        """Estimate the bytes that a fit on series of these lengths (n,) needs; kind and groups change nothing."""
        return 4 * len(lengths) * interval_quantiles.count(channels, _reference(lengths), self.config.depth)

    def predict(self, read: Read, count: int, threads: int) -> np.ndarray:
        """Predict `count` series: (count, K) float64. read: returns series by their numbers 0 .. count - 1."""
        return self._answer(self._features(read, count))

    def _features(self, read: Read, count: int, on_series: Callable[[int, int], None] | None = None) -> np.ndarray:
        """Compute features (count, F) float32, some series at a time; a channel that a series lacks is its mean."""
        found, center = [], self.arrays["center"][:, None]
        for numbers in series_model.parts(count):
            series = [np.where(np.isnan(each), center, each) for each in read(numbers)]
            lengths = np.array([[each.shape[1]] for each in series], dtype=np.float32)
            quantiles = interval_quantiles.features(series, int(self.arrays["steps"][0]), self.config.depth)
            found.append(np.concatenate([quantiles, lengths], axis=1))
            if on_series:
                on_series(int(numbers[-1]) + 1, count)
        return np.concatenate(found)

    def _answer(self, x: np.ndarray) -> np.ndarray:
        """Return the trees' mean; of labels and shares with one tree more that knows only the mean truth (`_mean`).

        A probability of 0, on which all trees agree, would else cost a log loss without bound.
        """
        found = forest.predict(self.arrays, x)
        if self.kind in ("regression", "ordinal"):
            return found
        trees = len(self.arrays["roots"])
        return np.asarray((found * trees + self.arrays["mean"]) / (trees + 1))

    def save(self, folder: Path) -> None:
        """Write weights.safetensors."""
        series_model.write_arrays(folder, self.arrays, self.kind)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        self.arrays, self.kind = series_model.read_arrays(folder)


def _mean(y: np.ndarray, kind: Kind, weight: np.ndarray | None) -> np.ndarray:
    """Return the mean truth of n series, (K,); of labels and shares as if there were one more series of each class.

    A class that no series has, as a rare one may be outside of a fold, would else have a probability of 0.
    """
    mean = np.average(y, axis=0, weights=weight)
    if kind in ("regression", "ordinal"):
        return np.asarray(mean)
    classes = y.shape[1] if kind in ("multiclass", "distribution") else 2
    return np.asarray((mean * len(y) + 1) / (len(y) + classes))


def _center(read: Read, count: int) -> np.ndarray:
    """Return the mean of each channel over all steps of `count` series, (C,) float32; 0 where none has it."""
    total, known = np.float64(0), np.int64(0)
    for numbers in series_model.parts(count):
        together = np.concatenate(list(read(numbers)), axis=1)
        there = ~np.isnan(together)
        total = total + np.where(there, together, 0).sum(axis=1, dtype=np.float64)
        known = known + there.sum(axis=1)
    return np.asarray(total / np.maximum(known, 1), dtype=np.float32)


def _reference(lengths: np.ndarray) -> int:
    """Return the length that decides on the number of quantiles."""
    return int(np.clip(np.median(lengths), interval_quantiles.LEAST, LONGEST))
