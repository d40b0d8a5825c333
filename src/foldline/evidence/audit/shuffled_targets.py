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

from foldline.core import strict_tables
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.evidence.audit import audit_plots, small_run
from foldline.evidence.audit.audit_check import CheckResult
from foldline.evidence.audit.audit_context import AuditContext, some
from foldline.experiment.config import Config
from foldline.fit.train_config import TrainConfig
from foldline.models.systems import lightgbm
from foldline.run import predictions
from foldline.run.cells import ModelConfig

SERIES = 600  # at most
FEWEST = 30  # of fewer series the test has hardly any power
PERMUTATIONS = 4999  # of the targets inside a fold; with the real one 5,000, so p has steps of 0.0002
LEAK = 0.001  # p value of a leak: the rate of false alarms
TREES = lightgbm.Config(rounds=40, num_leaves=31, min_data_in_leaf=10)


def check(context: AuditContext) -> CheckResult:
    """The out-of-fold score on shuffled targets is that of chance."""
    table = some(context.competition.train, SERIES)
    count = len(table.lengths)
    if count < FEWEST:
        return CheckResult("not checked", f"{count} series are too few: {FEWEST} are needed")
    donors = np.random.default_rng(0).permutation(count)
    config = _boosted_trees(small_run.small(context.config, count))
    test = context.small[1]
    ran = small_run.run(config, _shuffled(table, donors), test.frame, context.scratch / "shuffled", start=test.start)
    with small_run.at(ran.home):
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


def _boosted_trees(config: Config) -> Config:
    """Make boosted trees the config's only model."""
    train = TrainConfig(device="cpu", threads=config.models[0].train.threads)
    model = ModelConfig(name="lightgbm", label="trees", params=strict_tables.plain(TREES), train=train)
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
    """Mean absolute error of (R, K) predictions for the donors' targets, and (PERMUTATIONS,) for permuted donors."""
    rng, score, permuted = np.random.default_rng(1), 0.0, np.zeros(PERMUTATIONS)
    scored, predicted = store.pad(store.scored), store.pad(predicted)  # (N, T), (N, T, K)
    truth = _trajectories(table, store.longest)  # (N, T, K), of each series' own
    scale = truth[scored].std(axis=0) + 1e-12
    for fold in np.unique(assignment):
        held = np.flatnonzero(assignment == fold)
        donated = truth[donors[held]]
        losses = np.stack(
            [
                np.abs((donated - predicted[series]) / scale).mean(axis=-1)[:, scored[series]].mean(axis=1)
                for series in held[scored[held].any(axis=1)]
            ]
        )  # (series that count, donors)
        places = np.flatnonzero(scored[held].any(axis=1))
        score += float(losses[np.arange(len(places)), places].sum())
        order = rng.permuted(np.tile(np.arange(len(held)), (PERMUTATIONS, 1)), axis=1)[:, places]
        permuted += losses[np.arange(len(places)), order].sum(axis=1)
    count = int(scored.any(axis=1).sum())
    return score / count, permuted / count


def _trajectories(table: Table, steps: int) -> np.ndarray:
    """(N, steps, K) targets of each series, its last value repeated behind its end."""
    rows = table.starts[:, None] + np.minimum(np.arange(steps), table.lengths[:, None] - 1)
    return np.stack([table.frame[name].to_numpy()[rows] for name in table.data.target], axis=-1)
