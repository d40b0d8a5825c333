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

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from foldline.core.console import Terminal
from foldline.data.loading import Competition
from foldline.data.metrics import NotScorable
from foldline.evidence.ablation import significance
from foldline.evidence.tuning import trial_evaluation
from foldline.evidence.tuning.tuning_file import Search
from foldline.experiment import cell_runs, runs_index
from foldline.experiment.preparation import PreparedExperiment
from foldline.run.cells import Cell
from foldline.run.tracker import OpenTracker

LEVEL = 0.95  # of the interval


@dataclass(frozen=True)
class Gain:
    """Mean paired difference over folds (`Metric.gain`), in the metric's unit; above 0 the best is better."""

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
    promised: float  # the gain on the search's own folds and seeds
    pooled: bool = False  # a fold has no score of its own: all values are jackknife values (fold_values.py)

    @property
    def optimism(self) -> float:
        """By how much the promised gain is larger than the measured one, in the metric's unit."""
        return self.promised - self.gain.mean


def run(
    search: Search, params: dict[str, object], competition: Competition, terminal: Terminal, open_tracker: OpenTracker
) -> FinalCheck:
    """Train the missing cells of both configs, and compare them. params: of the best trial."""
    tune, k, metric = search.tune, search.config({}).folds.k, competition.train.task.metric
    both = [_trained(search, values, competition, terminal, open_tracker) for values in ({}, params)]
    pooled = False
    try:
        baseline, best = (_scores(search, each, pool=False) for each in both)
    except NotScorable:  # in one fold of one of them: both are pooled, because they are compared
        pooled = True
        baseline, best = (_scores(search, each, pool=True) for each in both)
    unseen, seen = (
        np.array([metric.gain(*pair) for pair in zip(*scores, strict=True)])
        for scores in ((baseline.unseen, best.unseen), (baseline.seen, best.seen))
    )
    alone = seen[[fold not in tune.check_folds for fold in tune.folds]]
    promised = metric.gain(float(np.mean(baseline.seen)), float(np.mean(best.seen)))
    gain = gain_of(unseen, alone, k, both[0].ready.folds.ratio)
    return FinalCheck(tune.check_folds, tune.check_seeds, baseline, best, gain, promised, pooled)


class _Trained(NamedTuple):
    """A config whose cells are finished."""

    ready: PreparedExperiment
    seen: list[Cell]  # of the search
    unseen: list[Cell]  # of the check


def _trained(
    search: Search, params: dict[str, object], competition: Competition, terminal: Terminal, open_tracker: OpenTracker
) -> _Trained:
    """Train the cells of a config that are missing."""
    tune = search.tune
    ready = trial_evaluation.prepare(search.config(params), sorted({*tune.seeds, *tune.check_seeds}), competition)
    seen = [cell for cell in trial_evaluation.cells_of_folds(ready, tune.folds) if cell.seed in tune.seeds]
    unseen = [
        cell for cell in trial_evaluation.cells_of_folds(ready, tune.check_folds) if cell.seed in tune.check_seeds
    ]
    runs_index.note_cells(search.folder, (cell.key for cell in [*seen, *unseen]))
    jobs = trial_evaluation.jobs(ready, [*seen, *unseen])
    if jobs:
        what = "best" if params else "baseline"
        terminal.say(f"final check, {what}: {len(jobs)} cells to train")
        cell_runs.run_cells(ready.config, jobs, [*seen, *unseen], search.folder, "tune", terminal, open_tracker)
    return _Trained(ready, seen, unseen)


def _scores(search: Search, trained: _Trained, pool: bool) -> ConfigScores:
    """Score a config. pool: as in trial_evaluation.fold_scores."""
    promised = trial_evaluation.fold_scores(trained.ready, trained.seen, search.tune.folds, pool)
    return ConfigScores(tuple(promised[fold] for fold in search.tune.folds), _mean_of_seeds(trained, search, pool))


def _mean_of_seeds(trained: _Trained, search: Search, pool: bool) -> tuple[float, ...]:
    """Compute the score of each fold of the check; its blends may also be fitted on the folds of the search."""
    tune, (ready, seen, unseen) = search.tune, trained
    others = [fold for fold in tune.folds if fold not in tune.check_folds]
    rows = []
    for seed in tune.check_seeds:
        cells = [cell for cell in seen if cell.fold in others] + [cell for cell in unseen if cell.seed == seed]
        scores = trial_evaluation.fold_scores(ready, cells, [*others, *tune.check_folds], pool)
        rows.append([scores[fold] for fold in tune.check_folds])
    return tuple(np.mean(rows, axis=0).tolist())


def gain_of(unseen: np.ndarray, seen: np.ndarray, k: int, ratio: float | None = None) -> Gain:
    """Compute mean and interval of the gain on unseen folds.

    Args:
        unseen: (F,) gain on each fold of the check.
        seen: (G,) the same on the search's other folds; only their variance is used.
        k: folds in all.
        ratio: of held-out to training series; None: 1 / (k - 1).
    """
    mean, groups = float(np.mean(unseen)), [group for group in (unseen, seen) if len(group)]
    df = sum(len(group) - 1 for group in groups)
    if df == 0:
        return Gain(mean, float("-inf"), float("inf"), 1.0)
    variance = sum(float(np.sum((group - group.mean()) ** 2)) for group in groups) / df
    error = float(np.sqrt(variance * (1 / len(unseen) + (1 / (k - 1) if ratio is None else ratio))))
    half = float(special.stdtrit(df, 0.5 + LEVEL / 2)) * error
    return Gain(mean, mean - half, mean + half, significance.p_difference(mean, error, df))
