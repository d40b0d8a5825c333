"""The final check: baseline and best config, on the same folds and seeds, where the search has not looked.

The best score of a search is optimistic: it is the best of many, partly by chance (Cawley & Talbot 2010,
https://jmlr.org/papers/v11/cawley10a.html). So the gain is measured again, paired, on held-out series that the search
has not used, and the difference to the gain that the search saw is reported as its optimism. Where the search has seen
all folds, the check takes other seeds on the same folds; that removes the chance of the seeds, not that of the series.

The interval follows Nadeau & Bengio 2003, https://doi.org/10.1023/A:1024068626366, as in ablation/significance.py.
Seeds are averaged inside each fold. Folds share training series, so the variance of the mean of F out of k folds is
(1 / F + 1 / (k - 1)) times the variance between folds. The check has few folds, so that variance is pooled with that of
the paired differences on the search's own folds, each group around its own mean. (The search has shifted the mean of
its own folds, which is not used, far more than their spread.) One bias is left: the trials of the search were trained
on series that the check holds out. If folds differ only by chance, correlated as the correction assumes, the best of 20
equal configs is called better in 7 % of all searches, not in 2.5 % (tests/evidence/test_tuning_final_check.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from foldline.core.console import Terminal
from foldline.data.loading import Competition
from foldline.evidence.ablation import significance
from foldline.evidence.tuning import trial_evaluation
from foldline.evidence.tuning.tuning_file import Search
from foldline.experiment import preparation, runs_index
from foldline.experiment.preparation import PreparedExperiment
from foldline.run.cells import Cell
from foldline.run.tracker import OpenTracker

LEVEL = 0.95  # of the interval


@dataclass(frozen=True)
class Gain:
    """Mean paired difference over folds, baseline minus best, in the metric's unit; above 0 the best is better."""

    mean: float
    low: float  # of the 95 % interval; infinite if there are not two folds to estimate a variance from
    high: float
    p: float  # two-sided

    @property
    def verdict(self) -> str:
        """better, worse, or can't tell (the interval contains 0)."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "can't tell"


@dataclass(frozen=True)
class ConfigScores:
    """The scores of one config, by fold."""

    seen: tuple[float, ...]  # on the search's folds and seeds
    unseen: tuple[float, ...]  # on the folds of the check, mean over its seeds


@dataclass(frozen=True)
class FinalCheck:
    """The gain that the search saw, and the gain where it has not looked."""

    folds: tuple[int, ...]  # of the check
    seeds: tuple[int, ...]
    baseline: ConfigScores
    best: ConfigScores
    gain: Gain  # on the folds of the check

    @property
    def promised(self) -> float:
        """The gain on the search's own folds and seeds."""
        return float(np.mean(self.baseline.seen) - np.mean(self.best.seen))

    @property
    def optimism(self) -> float:
        """By how much the promised gain is larger than the measured one, in the metric's unit."""
        return self.promised - self.gain.mean


def run(
    search: Search, params: dict[str, object], competition: Competition, terminal: Terminal, open_tracker: OpenTracker
) -> FinalCheck:
    """Train the missing cells of both configs, and compare them. params: of the best trial."""
    tune, k = search.tune, search.config({}).folds.k
    baseline, best = (_scores(search, values, competition, terminal, open_tracker) for values in ({}, params))
    unseen = np.subtract(baseline.unseen, best.unseen)
    seen = np.subtract(baseline.seen, best.seen)[[fold not in tune.check_folds for fold in tune.folds]]
    return FinalCheck(tune.check_folds, tune.check_seeds, baseline, best, gain_of(unseen, seen, k))


def _scores(
    search: Search, params: dict[str, object], competition: Competition, terminal: Terminal, open_tracker: OpenTracker
) -> ConfigScores:
    tune = search.tune
    ready = trial_evaluation.prepare(search.config(params), sorted({*tune.seeds, *tune.check_seeds}), competition)
    seen = [cell for cell in trial_evaluation.cells_of_folds(ready, tune.folds) if cell.seed in tune.seeds]
    unseen = [
        cell for cell in trial_evaluation.cells_of_folds(ready, tune.check_folds) if cell.seed in tune.check_seeds
    ]
    runs_index.note_cells(search.folder, (cell.key for cell in [*seen, *unseen]))
    stages = trial_evaluation.jobs(ready, [*seen, *unseen])
    if any(stages):
        what = "best" if params else "baseline"
        terminal.say(f"final check, {what}: {sum(map(len, stages))} cells to train")
        preparation.run_cells(ready.config, stages, search.folder, "tune", terminal, open_tracker)
    promised = trial_evaluation.fold_scores(ready, seen, tune.folds)
    return ConfigScores(tuple(promised[fold] for fold in tune.folds), _mean_of_seeds(ready, seen, unseen, search))


def _mean_of_seeds(
    ready: PreparedExperiment, seen: Sequence[Cell], unseen: Sequence[Cell], search: Search
) -> tuple[float, ...]:
    """Compute the score of each fold of the check; its blends may also be fitted on the folds of the search."""
    tune = search.tune
    others = [fold for fold in tune.folds if fold not in tune.check_folds]
    rows = []
    for seed in tune.check_seeds:
        cells = [cell for cell in seen if cell.fold in others] + [cell for cell in unseen if cell.seed == seed]
        scores = trial_evaluation.fold_scores(ready, cells, [*others, *tune.check_folds])
        rows.append([scores[fold] for fold in tune.check_folds])
    return tuple(np.mean(rows, axis=0).tolist())


def gain_of(unseen: np.ndarray, seen: np.ndarray, k: int) -> Gain:
    """Compute mean and interval of the gain on unseen folds.

    Args:
        unseen: (F,) baseline minus best on each fold of the check.
        seen: (G,) the same on the search's other folds; only their variance is used.
        k: folds in all.
    """
    mean, groups = float(np.mean(unseen)), [group for group in (unseen, seen) if len(group)]
    df = sum(len(group) - 1 for group in groups)
    if df == 0:
        return Gain(mean, float("-inf"), float("inf"), 1.0)
    variance = sum(float(np.sum((group - group.mean()) ** 2)) for group in groups) / df
    error = float(np.sqrt(variance * (1 / len(unseen) + 1 / (k - 1))))
    half = float(special.stdtrit(df, 0.5 + LEVEL / 2)) * error
    return Gain(mean, mean - half, mean + half, significance.p_difference(mean, error, df))
