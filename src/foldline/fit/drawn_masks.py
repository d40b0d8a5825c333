"""Masks of known values (data.known) that a network learns with: drawn anew in each epoch, like those of test series.

A step whose target is shown is not learned from, so that each epoch asks for other steps. What is watched, and what is
held out, keeps the masks of its table (data/known_values.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foldline.data.ragged import consecutive
from foldline.fit import labelled_series, network_values
from foldline.fit.labelled_series import LabelledSeries

STREAM = 4  # of random numbers: 1 draws watched series, 2 an epoch's order, 3 its windows


@dataclass(frozen=True)
class Drawn:
    """What an epoch shows of labelled series, a answers in all."""

    shown: np.ndarray  # (a,) bool, answers whose targets a network sees
    weight: np.ndarray  # (a,) float32, how much an answer counts
    scored: np.ndarray  # (a,) bool, answers that are asked for

    def some(self, answers: np.ndarray) -> Drawn:
        """Return some answers, (m,) int64."""
        return Drawn(self.shown[answers], self.weight[answers], self.scored[answers])


class DrawnMasks:
    """The masks of a training: of sets of series, one after the other. Series with pseudo-labels keep their own."""

    def __init__(self, labelled_sets: Sequence[LabelledSeries]) -> None:
        self.labelled_sets = labelled_sets

    @cached_property
    def counts(self) -> np.ndarray:
        """Number of answers of each series, (N,) int64."""
        return np.concatenate([part.store.lengths[part.series] for part in self.labelled_sets])

    @cached_property
    def begins(self) -> np.ndarray:
        """First answer of each series, (N,) int64."""
        return np.asarray(np.cumsum(self.counts) - self.counts)

    def of_epoch(self, seed: int, epoch: int) -> Drawn:
        """Draw the masks of an epoch."""
        random = np.random.default_rng([seed, STREAM, epoch])
        each = [_drawn(part, random) for part in self.labelled_sets]
        names = ("shown", "weight", "scored")
        return Drawn(*(np.concatenate([getattr(one, name) for one in each]) for name in names))

    def answers(self, series: np.ndarray) -> np.ndarray:
        """Return the answers of some series, (m,) places, one series after the other."""
        return consecutive(self.begins[series], self.counts[series])


def of_training(labelled_sets: Sequence[LabelledSeries]) -> DrawnMasks | None:
    """Return the masks that are drawn while these are learned; None where no target is known anywhere in series."""
    return DrawnMasks(labelled_sets) if labelled_sets[0].store.masks is not None else None


def _drawn(part: LabelledSeries, random: np.random.Generator) -> Drawn:
    store, answers = part.store, part.store.answers(part.series)
    if store.masks is None or store.eligible is None:
        return Drawn(network_values.shown(part), part.weight, part.scored)
    known = part.known.all(axis=1)
    shown = store.masks.drawn(store.lengths[part.series], random) & known
    scored = store.eligible[answers] & known & ~shown
    return Drawn(shown, labelled_series.weight_of(store, answers, scored), scored)
