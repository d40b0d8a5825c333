"""What passes over series look like: how many there are of each length that they are padded to.

Counted from lengths alone: no feature is read, and no batch made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from foldline.data.store import Store
from foldline.fit import patches, training_windows
from foldline.fit.datasets import kept_in_training
from foldline.fit.padded_lengths import chosen_lengths, place_of
from foldline.fit.pass_time import PassTime
from foldline.fit.sample_config import SampleConfig
from foldline.fit.train_config import TrainConfig


@dataclass(frozen=True)
class Shape:
    """Series, or windows of them, that are padded to one length."""

    steps: int  # T
    count: float
    is_full: bool  # whether all of them have T steps: networks get no mask then


def shapes(config: TrainConfig, store: Store, series: np.ndarray, predicted: bool = False) -> list[Shape]:
    """Return the shapes of some series of a store, (n,), ascending by steps.

    predicted: as they are when they are predicted, where windows differ.
    """
    of_all = np.minimum(patches.steps(store, config.patches), kept_in_training(config, store))
    own, windows = of_all[series], config.windows
    if windows.used:
        length = windows.predicted if predicted else windows.length
        stride = length - windows.shared if predicted else windows.step
        own = np.repeat(np.minimum(own, length), training_windows.counts(own, length, stride))
        of_all = np.minimum(of_all, length)
    lengths = chosen_lengths(of_all)
    places = place_of(own, lengths)
    numbers, counts = np.unique(places, return_counts=True)
    return [
        Shape(lengths[number], int(count), bool((own[places == number] == lengths[number]).all()))
        for number, count in zip(numbers, counts, strict=True)
    ]


def epoch_s(time: PassTime, every: Sequence[Shape], batch: int) -> float:
    """Return the seconds of an epoch in batches of `batch` series: most of them are of one shape (trainer.shuffled)."""
    return sum(
        time.seconds(batch, shape.steps) * (shape.count // batch)
        + (time.seconds(shape.count % batch, shape.steps) if shape.count % batch else 0.0)
        for shape in every
    )


def training_s(time: PassTime, every: Sequence[Shape], config: TrainConfig, batch: int) -> float:
    """Return the seconds of all epochs; with a curriculum the first ones see short series alone."""
    first = min(config.epochs, math.ceil(config.sample.curriculum * config.epochs))
    begun = sum(epoch_s(time, _shortest(every, _share(config.sample, at / first)), batch) for at in range(first))
    return begun + (config.epochs - first) * epoch_s(time, every, batch)


def _share(config: SampleConfig, through: float) -> float:
    """Return the share of the series that an epoch draws from. through: how far the curriculum has come, 0 to 1."""
    return config.shortest + (1 - config.shortest) * through


def _shortest(every: Sequence[Shape], share: float) -> list[Shape]:
    """Return an epoch of as many series, of the shortest ones alone."""
    whole = sum(shape.count for shape in every)
    found, left = [], share * whole
    for shape in every:
        found.append(replace(shape, count=min(shape.count, left) / share))
        left -= min(shape.count, left)
    return [shape for shape in found if shape.count]
