"""A run on shuffled targets: there is nothing to learn, so a score better than chance is a leak, wherever it is.

Every series gets the targets of another one, drawn at random, before anything is computed. Boosted trees go through the
pipeline's own features, folds and cells. If no held-out target has leaked, the out-of-fold predictions are independent
of which target went to which held-out series, so permuting the targets once more gives equally good scores: an exact
permutation test (Ojala and Garriga 2010, https://jmlr.org/papers/v11/ojala10a.html; y-scrambling in older literature).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from foldline.core import files, strict_tables
from foldline.data.metrics.contract import OBJECTIVES
from foldline.data.metrics.options import CLASSES
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.evidence.audit import audit_plots, small_run
from foldline.evidence.audit.audit_check import CheckResult
from foldline.evidence.audit.audit_context import AuditContext, some, taken
from foldline.experiment.config import Config
from foldline.fit.train_config import TrainConfig
from foldline.models.systems import lightgbm_config
from foldline.run import predictions
from foldline.run.cells import ModelConfig

SERIES = 600  # at most; those whose targets are all known
FEWEST = 30  # of fewer series the test has hardly any power
PERMUTATIONS = 4999  # of the targets inside a fold; with the real one 5,000, so p has steps of 0.0002
LEAK = 0.001  # p value of a leak: the rate of false alarms
TREES = lightgbm_config.Config(rounds=40, num_leaves=31, min_data_in_leaf=10)


def check(context: AuditContext) -> CheckResult:
    """The out-of-fold score on shuffled targets is that of chance."""
    table = some(_all_known(context.train), SERIES)
    count = len(table.lengths)
    if count < FEWEST:
        return CheckResult(
            "not checked", f"{count} series whose targets are all known are too few: {FEWEST} are needed"
        )
    donors = np.random.default_rng(0).permutation(count)
    config = _boosted_trees(small_run.small(context.config, len(np.unique(table.groups))))
    test = context.small[1]
    frames = small_run.as_written(table, _shuffled(table, donors)), small_run.as_written(test, test.frame)
    ran = small_run.run(config, *frames, context.scratch / "shuffled", start=test.start)
    with files.at_home_everywhere(ran.home):
        predicted = predictions.out_of_fold(ran.prepared.plan, ran.prepared.train)
    score, permuted = _scores(predicted, table, donors, ran.prepared.train, ran.prepared.folds.assignment)
    p = (1 + int((permuted <= score).sum())) / (1 + len(permuted))
    chance = float(permuted.mean())
    gain = 1 - score / chance if chance else 0.0  # constant targets: both are without any error
    facts = {"p": p, "better_than_chance": gain, "series": count}
    picture = audit_plots.histogram(
        permuted, score, "error on shuffled targets: permuted again (grey) and as trained on (red)"
    )
    how = f"{abs(gain):.1%} {'better' if gain > 0 else 'worse'} than chance"
    summary = f"on shuffled targets boosted trees are {how} (p = {p:.3g}, {count} series)"
    if p <= LEAK:
        return CheckResult(
            "LEAK", f"{summary}: held-out targets reach the features, the folds or the cells", facts, picture
        )
    return CheckResult("clean", summary, facts, picture)


def _all_known(table: Table) -> Table:
    """Take the series without a missing target: those of their donors then count at the same steps."""
    missing = np.isnan(table.y).any(axis=1)
    series = np.repeat(np.arange(len(table.lengths)), table.answers_of_series)
    lacking = np.bincount(series, missing, len(table.lengths)) > 0
    return taken(table, np.flatnonzero(~lacking)) if lacking.any() else table


def _boosted_trees(config: Config) -> Config:
    """Make boosted trees the config's only model."""
    train = TrainConfig(device="cpu", threads=config.models[0].train.threads)
    objective = OBJECTIVES.get(config.data.kind, TREES.objective)
    params = {**strict_tables.plain(TREES), "objective": objective}
    model = ModelConfig(name="lightgbm", label="trees", params=params, train=train)
    return replace(config, models=(model,))


def _shuffled(table: Table, donors: np.ndarray) -> pl.DataFrame:
    """Give each series the targets of its donor; the donor's last value is repeated where the donor is shorter.

    Known targets at the first steps stay: they are inputs.
    """
    step = np.arange(table.frame.height) - np.repeat(table.starts, table.lengths)
    last = np.repeat(table.lengths[donors] - 1, table.lengths)
    donated = np.repeat(table.starts[donors], table.lengths) + np.minimum(step, last)
    rows = np.where(table.observed, np.arange(table.frame.height), donated)
    return table.frame.with_columns(table.frame[name].gather(rows) for name in table.data.target)


def _scores(
    predicted: np.ndarray, table: Table, donors: np.ndarray, store: Store, assignment: np.ndarray
) -> tuple[float, np.ndarray]:
    """Mean error of (A, K) predictions for the donors' targets, and (PERMUTATIONS,) for permuted donors.

    Of numbers and ranks the absolute error, in standard deviations; of probabilities the squared one.
    """
    squared, rng, score, permuted = table.data.kind in CLASSES, np.random.default_rng(1), 0.0, np.zeros(PERMUTATIONS)
    held_out = (assignment >= 0)[store.series_of_answer]  # not the first block of time folds
    scored, predicted = store.pad(store.scored & held_out), store.pad(predicted)  # (N, T), (N, T, K)
    truth = _trajectories(table, scored.shape[1])  # (N, T, K), of each series' own
    scale = 1.0 if squared else truth[scored].std(axis=0) + 1e-12
    for fold in np.unique(assignment[assignment >= 0]):
        held = np.flatnonzero(assignment == fold)
        donated = truth[donors[held]]
        losses = np.stack(
            [
                _power(np.abs((donated - predicted[series]) / scale), squared)
                .mean(axis=-1)[:, scored[series]]
                .mean(axis=1)
                for series in held[scored[held].any(axis=1)]
            ]
        )  # (series that count, donors)
        places = np.flatnonzero(scored[held].any(axis=1))
        score += float(losses[np.arange(len(places)), places].sum())
        order = rng.permuted(np.tile(np.arange(len(held)), (PERMUTATIONS, 1)), axis=1)[:, places]
        permuted += losses[np.arange(len(places)), order].sum(axis=1)
    count = int(scored.any(axis=1).sum())
    return score / count, permuted / count


def _power(errors: np.ndarray, squared: bool) -> np.ndarray:
    return errors**2 if squared else errors


def _trajectories(table: Table, steps: int) -> np.ndarray:
    """(N, steps, K) truth of each series, its last value repeated behind its end."""
    counts = table.answers_of_series
    first = np.cumsum(counts) - counts
    return np.asarray(table.y[first[:, None] + np.minimum(np.arange(steps), counts[:, None] - 1)])
