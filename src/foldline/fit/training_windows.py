"""Windows of series as an index, (series, first step, steps): cut for training, cut for prediction, and weighed.

Windows of one series may overlap. What is behind a crop (train.margin) is in none. n windows of N series.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foldline.core.errors import UserError
from foldline.data.ragged import consecutive
from foldline.fit.window_config import TrainingWindowsConfig, Weighting

WAY_OUT = "Leave it out for this model: train = {windows = {length = 0}}."
STREAM = 3  # of random numbers: 1 draws watched series, 2 an epoch's order


@dataclass(frozen=True)
class Windows:
    """n windows, series after series."""

    series: np.ndarray  # (n,) int64, place of its series
    first: np.ndarray  # (n,) int64, its first step in the series
    steps: np.ndarray  # (n,) int64, how many it has
    lengths: np.ndarray  # (n,) int64, steps of its series

    def __len__(self) -> int:
        return len(self.series)

    def some(self, chosen: np.ndarray) -> Windows:
        """Return some of them, (m,) indices."""
        return Windows(self.series[chosen], self.first[chosen], self.steps[chosen], self.lengths[chosen])


def whole_series(lengths: np.ndarray) -> Windows:
    """Return one window a series. lengths: (N,) steps of each."""
    return Windows(np.arange(len(lengths)), np.zeros_like(lengths), lengths, lengths)


def for_training(lengths: np.ndarray, config: TrainingWindowsConfig, seed: int, epoch: int) -> Windows:
    """Cut series into the windows of an epoch: as many of each series in every epoch.

    lengths: (N,) steps of each series.
    """
    even = _evenly(lengths, config.length, config.step)
    if config.starts == "even":
        return even
    moved = np.random.default_rng([seed, STREAM, epoch]).random(len(even)) - 0.5
    first = _number_in_series(even) * config.step + np.floor(moved * config.step).astype(np.int64)
    first = np.clip(first, 0, even.lengths - even.steps)
    return Windows(even.series, first, even.steps, even.lengths)


def for_prediction(lengths: np.ndarray, config: TrainingWindowsConfig) -> Windows:
    """Cut series into the windows that they are predicted in. lengths: (N,) steps of each series."""
    return _evenly(lengths, config.predicted, config.predicted - config.shared)


def counts(lengths: np.ndarray, length: int, stride: int) -> np.ndarray:
    """Count the windows of each series, (N,) int64: so many that the last one reaches its end."""
    return np.asarray(1 + -(-np.maximum(lengths - length, 0) // stride))


def _evenly(lengths: np.ndarray, length: int, stride: int) -> Windows:
    """Cut series at even strides; the last window of each lies at its end."""
    series = np.repeat(np.arange(len(lengths)), counts(lengths, length, stride))
    whole = lengths[series]
    windows = Windows(series, np.zeros_like(series), np.minimum(whole, length), whole)
    first = np.minimum(_number_in_series(windows) * stride, whole - windows.steps)
    return Windows(series, first, windows.steps, whole)


def _number_in_series(windows: Windows) -> np.ndarray:
    """Return 0, 1, 2, ... for the windows of each series, (n,) int64."""
    each = np.bincount(windows.series)
    return consecutive(np.zeros_like(each), each)


def weights(how: Weighting, windows: Windows, steps: int, overlap: int) -> np.ndarray:
    """Return how much each step counts by its place in its window, (n, steps) float32; 0 behind its end.

    An end of the series is no cut: steps there have no more of it to see.

    Args:
        how: "flat": 1; "triangle": from 1 in the middle down to nearly 0 at a cut; "centre": 1 further than
            `overlap` / 2 steps from a cut, else 0.
        overlap: steps that two windows share at prediction: centres then lie side by side, at least.
    """
    place, far = np.arange(steps)[None, :], np.iinfo(np.int64).max
    before = np.where(windows.first[:, None] > 0, place, far)  # steps of the window before each, from a cut on
    last = windows.first + windows.steps == windows.lengths
    behind = np.where(last[:, None], far, windows.steps[:, None] - 1 - place)
    real = place < windows.steps[:, None]
    if how == "flat":
        return real.astype(np.float32)
    if how == "centre":
        left = overlap // 2
        return ((before >= left) & (behind >= overlap - left) & real).astype(np.float32)
    nearest = np.minimum(before, behind)
    half = (windows.steps[:, None] + 1) / 2
    return np.where(real, np.minimum((np.minimum(nearest, steps) + 1) / half, 1.0), 0.0).astype(np.float32)


def refuse_own_past(label: str, config: TrainingWindowsConfig, reads_target: bool) -> None:
    """Refuse windows for a network that reads its own past predictions. label: of the model, for the message.

    Raises:
        UserError
    """
    if config.used and reads_target:
        raise UserError(
            f"model {label!r}: it reads its own past predictions, of which a window that begins later "
            f"([train.windows]) has none. {WAY_OUT}"
        )
