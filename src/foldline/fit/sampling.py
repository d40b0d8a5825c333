"""Which series an epoch sees, and how often: classes or groups alike, by weight, the shorter ones first.

An epoch always has as many series as there are, so that steps, learning rates and costs stay. Who is in it is drawn by
(seed, epoch) alone. Draws are systematic (Madow 1949, "On the theory of systematic sampling, II"): a class has its
share of an epoch to within one series, and each of its series comes as often as another, to within one time.

n places of a data set: series, or windows of them. N series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from foldline.fit.datasets import Dataset
from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.sample_config import SampleConfig

STREAM = 5  # of random numbers: 1 draws watched series, 2 an epoch's order, 3 its windows, 4 its known values


@dataclass(frozen=True)
class Sampler:
    """What draws the series of an epoch."""

    share: np.ndarray  # (n,) float64, how often a place is to come beside others of its unit
    unit: np.ndarray  # (n,) int64, units come alike: classes, or groups; else all are of one
    length: np.ndarray  # (n,) int64, steps of its series
    config: SampleConfig
    epochs: int  # of the training

    def of_epoch(self, seed: int, epoch: int) -> np.ndarray:
        """Draw the places of an epoch, (n,) int64, ascending; some may come several times, others not at all."""
        seen = self._seen(epoch)
        if self.config.by == "all" and seen.all():
            return np.arange(len(seen))
        share = np.where(seen, self.share, 0.0)
        if not share.any():  # nobody that is seen counts: all are as good
            share = seen.astype(np.float64)
        in_unit = np.bincount(self.unit, share)[self.unit]
        share = np.divide(share, in_unit, out=np.zeros_like(share), where=in_unit > 0)
        return np.sort(_systematic(share, self.unit, np.random.default_rng([seed, STREAM, epoch])))

    def _seen(self, epoch: int) -> np.ndarray:
        """Return which places an epoch may see, (n,) bool: the shortest ones, and in the end all."""
        shortest, until = self.config.shortest, self.config.curriculum * self.epochs
        share = shortest + (1 - shortest) * min(1.0, epoch / until) if until else 1.0
        last = max(0, int(np.ceil(share * len(self.length))) - 1)
        return np.asarray(self.length <= np.sort(self.length)[last])  # those of one length come together


def sampler(
    labelled_sets: Sequence[LabelledSeries], fold: Dataset, config: SampleConfig, epochs: int
) -> Sampler | None:
    """Return what draws the series of each epoch; None where each epoch has every series once.

    Args:
        labelled_sets: one set after the other, as they were before `reweighed`.
        fold: the data set of them.
        epochs: of the training.
    """
    if not config.used:
        return None
    shares, units, first = [], [], 0
    for part in labelled_sets:
        share, unit = _of_series(part, config.by)
        shares.append(share)
        # Another table's groups are others, but its classes are the same.
        units.append(unit + first if config.by == "group" else unit)
        first += int(unit.max(initial=-1)) + 1
    lengths = np.concatenate([part.store.lengths[part.series] for part in labelled_sets])
    series = fold.series_of(np.arange(len(fold)))
    return Sampler(np.concatenate(shares)[series], np.concatenate(units)[series], lengths[series], config, epochs)


def reweighed(labelled_sets: Sequence[LabelledSeries], config: SampleConfig) -> list[LabelledSeries]:
    """Return the sets as the loss is to weigh them: what series are drawn by does not count twice."""
    if config.by != "weight":
        return list(labelled_sets)
    found = []
    for part in labelled_sets:
        mean = np.repeat(mean_weight(part), part.store.answers_of_series[part.series])
        weight = np.divide(part.weight, mean, out=np.zeros_like(part.weight), where=mean > 0)
        found.append(replace(part, weight=weight.astype(np.float32)))
    return found


def mean_weight(part: LabelledSeries) -> np.ndarray:
    """Return the mean weight of each series over its answers that count, (N,) float64; 0 where none does."""
    owner = _owners(part)
    count = np.bincount(owner, part.weight > 0, len(part.series))
    return np.bincount(owner, part.weight, len(part.series)) / np.maximum(count, 1)


def _of_series(part: LabelledSeries, by: str) -> tuple[np.ndarray, np.ndarray]:
    """Return how often each series is to come in its unit, (N,) float64, and that unit, (N,) int64."""
    ones, none = np.ones(len(part.series)), np.zeros(len(part.series), dtype=np.int64)
    if by == "weight":
        return mean_weight(part), none
    if by == "class":
        return (part.weight > 0).astype(np.float64), _classes(part)
    if by == "group":
        numbers = part.store.group_numbers
        return ones, np.arange(len(part.series)) if numbers is None else numbers[part.series]
    return ones, none


def _classes(part: LabelledSeries) -> np.ndarray:
    """Return the label of each series, (N,) int64: of soft ones the greatest. One answer a series."""
    if part.store.task.kind == "multiclass":
        return np.asarray(part.y.argmax(axis=1))
    label = part.y[:, 0] if part.store.task.kind == "ordinal" else part.y[:, 0] > 0.5
    return np.where(part.known[:, 0], np.round(label), 0).astype(np.int64)


def _owners(part: LabelledSeries) -> np.ndarray:
    return np.repeat(np.arange(len(part.series)), part.store.answers_of_series[part.series])


def _systematic(share: np.ndarray, unit: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw as many places as there are, (n,) int64, by their shares; those of one unit lie side by side."""
    order = random.permutation(len(share))
    order = order[np.argsort(unit[order], kind="stable")]
    ends = np.cumsum(share[order])
    points = (random.random() + np.arange(len(share))) / len(share) * ends[-1]
    last = np.flatnonzero(share[order])[-1]  # rounding must not lead behind what has a share
    return np.asarray(order[np.minimum(np.searchsorted(ends, points, side="right"), last)])
