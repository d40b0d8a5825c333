"""Errors of members for open rows by the number of labelled breaths, and an estimate of what very many would give.

Measured: shares of the labelled breaths outside each fold, and simulated breaths at more sizes; the breaths that are
scored are the same at all sizes. Estimated: a power law, with a floor and without, carried on to the competition's
whole train.csv. It is an estimate and no more: nothing between the last size and there was seen, no model was made
larger, and simulated breaths are what a model of lungs makes them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from benchmarks import open_rows_members
from benchmarks.open_rows_members import BLEND
from benchmarks.open_rows_tables import Array, Mask, Scored, drawn_means, interval
from foldline.experiment.preparation import PreparedExperiment
from ventilator.rig import Rig

SHARES: Final = (0.25, 0.5, 1.0)  # of the labelled breaths outside a fold
PARTS: Final = (0.0625, 0.125, 0.25, 0.5, 1.0)  # of the labelled simulated breaths
TEST_BREATHS: Final = 1000  # simulated beside those with labels, whose decoded rows lungs are fitted to, too
WHOLE: Final = 75_450  # labelled breaths of the competition
TRAINED_ON: Final = 0.8  # of them, with five folds
STEPS: Final = ("smoother", "trees", "networks", BLEND)
POWERS: Final = np.linspace(0.1, 1.5, 29)  # of the law with a floor


class Curve:
    """Errors (N, T) of each step on the same N breaths, at several numbers of labelled breaths."""

    def __init__(self, title: str, scored: Scored) -> None:
        self.scored, self.sizes, self.blend = scored, list[int](), list[Array]()
        print(f"\n{title}: {len(scored.breaths):,} breaths scored, {int(scored.open.sum()):,} open rows.\n")
        print(f"| labelled breaths | {' | '.join(STEPS)} |\n|---|{'---|' * len(STEPS)}", flush=True)

    def add(self, size: int, predicted: dict[str, Array]) -> None:
        """Add what members say that were trained on so many breaths: (N, T) of each step."""
        errors = {name: np.abs(self.scored.truth - predicted[name]) for name in STEPS}
        print(f"| {size:,} | {' | '.join(interval(errors[name], self.scored.open) for name in STEPS)} |", flush=True)
        self.sizes.append(size)
        self.blend.append(errors[BLEND])

    def drawn(self) -> tuple[Array, Array]:
        """Return the blend's error at each size (S,), and of breaths drawn again, the same at all sizes (S, DRAWS)."""
        means, drawn = zip(*(drawn_means(error, self.scored.open) for error in self.blend), strict=True)
        return np.array(means), np.array(drawn)


def curves(folder: Path | None, most: int, rig: Rig) -> None:
    """Print both curves, and where they may lead. folder: of the competition's files; None: simulated breaths alone."""
    made = [_simulated(most, rig)]
    if folder is not None:
        made.append(_real(open_rows_members.prepared(folder)))
    _expected(*made)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _simulated(most: int, rig: Rig) -> Curve:
    """Train on up to `most` simulated breaths, and score as many others: those of `--simulated` with twice as many."""
    experiment = open_rows_members.of_simulated(2 * most, TEST_BREATHS, "matched", rig)
    rank = np.random.default_rng(0).permutation(2 * most)
    curve = Curve("Simulated breaths", Scored.of_store(experiment.train).take(np.flatnonzero(rank >= most)))
    for size in (int(part * most) for part in PARTS):
        found = open_rows_members.trained(experiment, 0, rank < size, _say)
        curve.add(size, {name: curve.scored.by_breath(found.by_kind[name]) for name in STEPS})
    return curve


def _real(experiment: PreparedExperiment) -> Curve:
    """Train on shares of the breaths outside each fold, and score the fold."""
    scored = Scored.of_store(experiment.train)
    curve, assignment = Curve("Labelled breaths", scored), experiment.folds.assignment
    rank = np.random.default_rng(0).permutation(len(assignment))
    for share in SHARES:
        means, sizes = {name: np.zeros_like(scored.truth) for name in STEPS}, []
        for fold in range(experiment.folds.k):
            inside = share_of(assignment != fold, rank, share)
            found = open_rows_members.trained(experiment, fold, inside, _say)
            own = (assignment == fold)[found.store.series_of_answer[scored.places[:, 0]]]
            for name, values in means.items():
                values[own] = scored.by_breath(found.by_kind[name])[own]
            sizes.append(int(inside.sum()))
        curve.add(round(float(np.mean(sizes))), means)
    return curve


def share_of(outside: Mask, rank: NDArray[np.int64], share: float) -> Mask:
    """Return a share of the series outside a fold (N,), those of the lowest rank."""
    last = np.sort(rank[outside])[round(share * int(outside.sum())) - 1]
    return np.asarray(outside & (rank <= last))


def _expected(simulated: Curve, real: Curve | None = None) -> None:
    """Print what the laws say of the competition's whole file."""
    size = round(TRAINED_ON * WHOLE)
    print(f"\nEstimated, not measured: blends trained on {size:,} labelled breaths.\n")
    print("| breaths scored | law | error of open rows (95 %) | score |\n|---|---|---|---|")
    for curve, name in ((simulated, "simulated"), (real, "labelled")):
        if curve is not None:
            means, drawn = curve.drawn()
            for law, carried_on in LAWS.items():
                at = np.array([carried_on(curve.sizes, one, [size])[0] for one in (means, *drawn.T)])
                _line(name, f"of their own, {law}", at, curve.scored)
    if real is not None:
        (means, drawn), (own, own_drawn) = simulated.drawn(), real.drawn()
        for law, carried_on in LAWS.items():
            pairs = [carried_on(simulated.sizes, one, [size, real.sizes[-1]]) for one in (means, *drawn.T)]
            falls = np.array([last / first for last, first in pairs])
            at = falls * np.array([own[-1], *own_drawn[-1]])
            _line("labelled", f"what simulated ones gain from {real.sizes[-1]} on, {law}", at, real.scored)


def _line(name: str, law: str, at: Array, scored: Scored) -> None:
    """Print an estimate. at: (1 + DRAWS,), of the breaths as they are and as they are drawn again."""
    share = scored.open.sum() / scored.inspired.sum()
    errors, scores = ((factor * at[0], *np.quantile(factor * at[1:], (0.025, 0.975))) for factor in (1.0, share))
    error, score = "{:.2f} ({:.2f}–{:.2f})".format(*errors), "{:.3f} ({:.3f}–{:.3f})".format(*scores)
    print(f"| {name} | {law} | {error} | {score} |")


def without_floor(sizes: list[int], errors: Array, at: list[int]) -> Array:
    """Carry errors at some sizes (S,) on to other sizes by a power law."""
    slope, start = np.polyfit(np.log(sizes), np.log(errors), 1)
    return np.asarray(np.exp(start + slope * np.log(at)))


def with_floor(sizes: list[int], errors: Array, at: list[int]) -> Array:
    """Carry errors at some sizes (S,) on to other sizes by a power law above a floor of at least 0."""
    found = []
    for power in POWERS:
        basis = np.stack([np.ones(len(sizes)), np.array(sizes, float) ** -power], axis=1) / errors[:, None]
        weights, misfit = optimize.nnls(basis, np.ones(len(sizes)))
        found.append((misfit, power, weights))
    _, power, (floor, scale) = min(found, key=lambda each: each[0])
    return np.asarray(floor + scale * np.array(at, float) ** -power)


LAWS: Final = {"a power law": without_floor, "a power law with a floor": with_floor}
