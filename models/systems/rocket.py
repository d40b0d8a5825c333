"""ROCKET: thousands of fixed kernels' features of a whole series, and a linear model on them; one answer a series.

Source: Tan et al. 2022, https://doi.org/10.1007/s10618-022-00844-1 (MultiRocket); MiniRocket, Dempster, Schmidt & Webb
2021, https://doi.org/10.1145/3447548.3467231. Features: models/ops/rocket_features.py. n series of C channels and
their own lengths in, (n, K) out; static columns are not read. Default: 6,216 biases on the series and as many on its
differences, four poolings each: 49,728 features.

    kind of target              head "ridge"                                      head "logistic"
    regression, ordinal (rank)  ridge, a penalty for each target                  -
    binary, multilabel          ridge on -1 and 1, then a sigmoid each            logistic regression of each label
    multiclass, distribution    ridge of one class against the rest, a softmax    multinomial (not for shares)

Ridge chooses its penalty, and the temperature of its probabilities, by predictions of left-out series, or of left-out
groups of series where there are any (ops/ridge.py). It decomposes a matrix as wide as there are series: from MANY
series on "auto" takes logistic regression instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from foldline.models.contract import Kind
from foldline.models.ops import calibration, logistic, ridge, rocket_features, series_model
from foldline.models.ops.rocket_features import ARRAYS, Kernels
from foldline.models.ops.series_model import KernelsConfig, Read

MANY = 4000  # series
LEAST_SPREAD = 1e-7  # of a feature; below, it is the same for all series, and left out
OWN = ("center", "scale", "mean", "spread", "weights", "intercept", "slopes")  # arrays of a fitted model


@dataclass(frozen=True, kw_only=True)
class Config(KernelsConfig):
    """[[model]] with name = "rocket"; at the level "series" only."""

    form: Literal["multi", "mini"] = "multi"  # mini: the share of positive values alone, without differences
    kernels: int = 6216  # biases for the series (84 kernels, each with several), and as many for its differences

    shares: ClassVar[tuple[str, ...]] = tuple(
        f"ops/{name}"
        for name in ("calibration", "logistic", "ridge", "rocket_features", "rocket_kernels", "series_model")
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernels < rocket_features.KERNELS:
            raise ValueError(
                f"kernels must be at least {rocket_features.KERNELS}, one bias for each, but is {self.kernels}"
            )

    @property
    def features(self) -> int:
        """Number of features of a series."""
        return self.biases * (8 if self.form == "multi" else 1)

    @property
    def biases(self) -> int:
        """Number of biases on the series itself: a multiple of 84."""
        return self.kernels // rocket_features.KERNELS * rocket_features.KERNELS


class Rocket:
    """Kernels, the scale of channels and features, and a linear head."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.kernels: list[Kernels] = []  # of the series, and of its differences
        self.kind: Kind = "regression"
        self.arrays: dict[str, np.ndarray] = {}  # OWN

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
        """Fit on n series (ops/series_model.py).

        Returns:
            (n, K) predictions of series that were left out one by one, or with their group; with a logistic head of
            the series themselves.
        """
        self.kind, rng = kind, np.random.default_rng(seed)
        self._fit_channels(read, lengths)
        self._fit_kernels(read, lengths, rng)
        x = self._features(read, len(lengths), threads, on_series)
        self._fit_features(x)
        if self.head_of(len(lengths), kind) == "logistic":
            weights, intercept = logistic.fit(x, y, kind, seed, weight, groups)
            self.arrays |= {"weights": weights, "intercept": intercept, "slopes": np.ones(y.shape[1])}
            return self._answer(ridge.predict(x, weights, intercept))
        numbers = kind in ("regression", "ordinal")
        decided = y if numbers else 2 * y - 1
        found = ridge.fit(x, decided, kind in calibration.SHARES, weight=weight, groups=groups)
        slopes = np.ones(y.shape[1]) if numbers else calibration.slopes_of(found.left_out, y, kind, weight)
        self.arrays |= {"weights": found.weights, "intercept": found.intercept, "slopes": slopes}
        return self._answer(found.left_out)

    def head_of(self, series: int, kind: Kind) -> str:
        """Return the head that is fitted on so many series."""
        if self.config.head == "auto":
            return "logistic" if series >= MANY and kind in logistic.SERVES else "ridge"
        return self.config.head

    def memory(self, lengths: np.ndarray, channels: int, kind: Kind, grouped: bool = False) -> int:
        """Estimate the bytes that a fit on series of these lengths (n,) needs. grouped: whether they come in groups."""
        series, features = len(lengths), self.config.features
        if self.head_of(series, kind) == "logistic":
            return 3 * 4 * series * features  # scikit-learn copies the rows that are not held out
        least = min(series, features)
        primal = 16 * series * features if series > features else 0  # the rows in float64, and turned
        apart = 8 * series * least if grouped else 0  # the decomposition once more (ops/ridge.py)
        return 4 * series * features + primal + 3 * 8 * least * least + apart

    def predict(self, read: Read, count: int, threads: int) -> np.ndarray:
        """Predict `count` series: (count, K) float64. read: returns series by their numbers 0 .. count - 1."""
        found = []
        for numbers in series_model.parts(count):
            x = self._features(partial(_later, read, int(numbers[0])), len(numbers), threads)
            self._scale_features(x)
            found.append(ridge.predict(x, self.arrays["weights"], self.arrays["intercept"]))
        return self._answer(np.concatenate(found))

    def _answer(self, decisions: np.ndarray) -> np.ndarray:
        """Turn outputs of the linear head into predictions."""
        if self.kind in ("regression", "ordinal"):
            return decisions
        return calibration.probabilities(decisions, self.arrays["slopes"], self.kind)

    def _fit_channels(self, read: Read, lengths: np.ndarray) -> None:
        """Find mean and deviation of each channel over all steps, (C,)."""
        total, square, count = 0.0, 0.0, 0
        first = read(np.arange(1))[0].mean(axis=1, dtype=np.float64)  # near the mean: squares lose no digits
        first = np.nan_to_num(first, nan=0.0)
        for numbers in series_model.parts(len(lengths)):
            together = np.concatenate(list(read(numbers)), axis=1) - first[:, None]
            known = ~np.isnan(together)
            together, count = np.where(known, together, 0.0), count + known.sum(axis=1)
            total, square = total + together.sum(axis=1), square + np.square(together).sum(axis=1)
        count = np.maximum(count, 1)
        mean = total / count
        spread = np.sqrt(np.maximum(square / count - mean**2, 0))
        self.arrays |= {"center": first + mean, "scale": np.where(spread > 0, spread, 1.0)}

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        """Scale a series, (C, T) to (C, T + 2 * border)."""
        center, scale = self.arrays["center"][:, None], self.arrays["scale"][:, None]
        if self.config.scale == "series":
            center, own = x.mean(axis=1, keepdims=True, dtype=np.float64), x.std(axis=1, keepdims=True, dtype=float)
            scale = np.where(own > 1e-6 * scale, own, scale)
        scaled = np.nan_to_num((x - center) / scale, nan=0.0).astype(np.float32)
        return np.pad(scaled, ((0, 0), (self.config.border, self.config.border)))

    def _fit_kernels(self, read: Read, lengths: np.ndarray, rng: np.random.Generator) -> None:
        """Draw kernels for the series and, of the form "multi", for its differences."""
        channels = len(self.arrays["center"])

        def form(place: int, number: int) -> np.ndarray:
            return self._forms(read(np.array([number]))[0])[place]

        self.kernels = []
        for place in range(2 if self.config.form == "multi" else 1):
            steps = np.maximum(1, lengths + 2 * self.config.border - place)
            drawn = rocket_features.fit(partial(form, place), steps, channels, self.config.biases, rng)
            self.kernels.append(drawn)

    def _forms(self, x: np.ndarray) -> list[np.ndarray]:
        """Return the scaled series and, of the form "multi", its differences."""
        scaled = self._scaled(x)
        return [scaled, rocket_features.differences(scaled)] if self.config.form == "multi" else [scaled]

    def _features(
        self, read: Read, count: int, threads: int, on_series: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        """Compute the features of the first `count` series, (count, F) float32, a few series at a time."""
        pools = 4 if self.config.form == "multi" else 1
        ends = np.cumsum([pools * len(kernels.biases) for kernels in self.kernels])
        x = np.empty((count, ends[-1]), dtype=np.float32)
        for numbers in series_model.parts(count):
            forms = [self._forms(series) for series in read(numbers)]
            for form, (kernels, end) in enumerate(zip(self.kernels, ends, strict=True)):
                out = np.empty((len(numbers), len(kernels.biases), pools), dtype=np.float32)
                kernels.transform([each[form] for each in forms], pools, out, threads)
                x[numbers[0] : numbers[-1] + 1, end - out[0].size : end] = out.reshape(len(out), -1)
            if on_series:
                on_series(int(numbers[-1]) + 1, count)
        return x

    def _fit_features(self, x: np.ndarray) -> None:
        """Find mean and deviation of each feature, (F,), and scale x by them in place."""
        mean = x.mean(axis=0, dtype=np.float64)
        square = np.zeros(x.shape[1])
        for row in x:  # no copy of all features
            square += np.square(row - mean)
        spread = np.sqrt(square / len(x))
        self.arrays |= {"mean": mean, "spread": np.where(spread > LEAST_SPREAD, spread, np.inf)}
        self._scale_features(x)

    def _scale_features(self, x: np.ndarray) -> None:
        """Scale features (n, F) in place; those that were the same for all training series become 0."""
        for row in x:
            row[:] = (row - self.arrays["mean"]) / self.arrays["spread"]

    def save(self, folder: Path) -> None:
        """Write weights.safetensors."""
        arrays = {**self.arrays}
        for number, kernels in enumerate(self.kernels):
            arrays |= {f"kernels.{number}.{name}": getattr(kernels, name) for name in ARRAYS}
        series_model.write_arrays(folder, arrays, self.kind)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        arrays, self.kind = series_model.read_arrays(folder)
        count = sum(name.endswith(".biases") for name in arrays)
        self.kernels = [
            Kernels(**{name: arrays[f"kernels.{number}.{name}"] for name in ARRAYS}) for number in range(count)
        ]
        self.arrays = {name: arrays[name] for name in OWN}


def _later(read: Read, first: int, numbers: np.ndarray) -> Sequence[np.ndarray]:
    """Read series whose numbers count from a later one."""
    return read(numbers + first)
