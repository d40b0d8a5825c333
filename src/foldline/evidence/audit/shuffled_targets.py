"""A run on shuffled targets: nothing is left to be learnt, so a score better than chance is a leak, wherever it is.

Every series gets the targets of another one, drawn at random, before anything is computed; boosted trees go through the
pipeline's own features, folds and cells. If no held-out target has leaked, which one went to which held-out series is
independent of the out-of-fold predictions, so that dealing them out again gives just as good a score: an exact
permutation test (Ojala and Garriga 2010, https://jmlr.org/papers/v11/ojala10a.html; y-scrambling in older literature).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from foldline.core import schema
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.evidence.audit import audit_plots, small_run
from foldline.evidence.audit.audit_check import CheckResult
from foldline.evidence.audit.audit_context import AuditContext, some
from foldline.experiment.config import Config
from foldline.fit.train_config import TrainConfig
from foldline.models.systems import lightgbm
from foldline.run import cells
from foldline.run.cells import ModelConfig

SERIES = 600  # at most
FEWEST = 30  # of fewer series the test has hardly any power
DEALS = 4999  # how often the targets of a fold are dealt out again
LEAK = 0.001  # share of honest audits that are accused nevertheless
TREES = lightgbm.Config(rounds=40, num_leaves=31, min_data_in_leaf=10)


def check(context: AuditContext) -> CheckResult:
    """The out-of-fold score on shuffled targets is that of chance."""
    table = some(context.competition.train, SERIES)
    count = len(table.lengths)
    if count < FEWEST:
        return CheckResult("not checked", f"{count} series are too few: {FEWEST} are needed")
    donors = np.random.default_rng(0).permutation(count)
    config = _cheap(small_run.small(context.config, count))
    test = context.small[1]
    ran = small_run.run(config, _shuffled(table, donors), test.frame, context.scratch / "shuffled", start=test.start)
    with small_run.at(ran.home):
        predicted = cells.out_of_fold(ran.prepared.plan, ran.prepared.train)
    score, dealt = _scores(predicted, table, donors, ran.prepared.train, ran.prepared.folds.assignment)
    p = (1 + int((dealt <= score).sum())) / (1 + len(dealt))
    gain = 1 - score / float(dealt.mean())
    facts = {"p": p, "better_than_chance": gain, "series": count}
    picture = audit_plots.histogram(
        dealt, score, "error on shuffled targets, dealt out again (grey) and as learnt (red)"
    )
    how = f"{abs(gain):.1%} {'better' if gain > 0 else 'worse'} than chance"
    told = f"on shuffled targets boosted trees are {how} (p = {p:.3g}, {count} series)"
    if p <= LEAK:
        return CheckResult(
            "LEAK", f"{told}: held-out targets reach the features, the folds or the cells", facts, picture
        )
    return CheckResult("clean", told, facts, picture)


def _cheap(config: Config) -> Config:
    """The config with boosted trees as its only model."""
    train = TrainConfig(device="cpu", threads=config.models[0].train.threads)
    model = ModelConfig(name="lightgbm", label="trees", params=schema.plain(TREES), train=train)
    return replace(config, models=(model,))


def _shuffled(table: Table, donors: np.ndarray) -> pl.DataFrame:
    """The table with each series' targets taken from its donor; the donor's last value goes on where it is shorter.

    A target that is known at the first steps stays its own there: it is an input.
    """
    step = np.arange(table.frame.height) - np.repeat(table.starts, table.lengths)
    last = np.repeat(table.lengths[donors] - 1, table.lengths)
    lent = np.repeat(table.starts[donors], table.lengths) + np.minimum(step, last)
    rows = np.where(table.observed, np.arange(table.frame.height), lent)
    return table.frame.with_columns(table.frame[name].gather(rows) for name in table.data.target)


def _scores(
    predicted: np.ndarray, table: Table, donors: np.ndarray, dense: Store, assignment: np.ndarray
) -> tuple[float, np.ndarray]:
    """Mean absolute error of (R, K) predictions for the donors' targets, and (DEALS,) for donors dealt out again."""
    rng, score, dealt = np.random.default_rng(1), 0.0, np.zeros(DEALS)
    scored, predicted = dense.pad(dense.scored), dense.pad(predicted)  # (N, T), (N, T, K)
    truth = _trajectories(table, dense.longest)  # (N, T, K), of each series' own
    scale = truth[scored].std(axis=0) + 1e-12
    for fold in np.unique(assignment):
        held = np.flatnonzero(assignment == fold)
        lent = truth[donors[held]]
        losses = np.stack(
            [
                np.abs((lent - predicted[series]) / scale).mean(axis=-1)[:, scored[series]].mean(axis=1)
                for series in held[scored[held].any(axis=1)]
            ]
        )  # (series that count, donors)
        places = np.flatnonzero(scored[held].any(axis=1))
        score += float(losses[np.arange(len(places)), places].sum())
        order = rng.permuted(np.tile(np.arange(len(held)), (DEALS, 1)), axis=1)[:, places]
        dealt += losses[np.arange(len(places)), order].sum(axis=1)
    count = int(scored.any(axis=1).sum())
    return score / count, dealt / count


def _trajectories(table: Table, steps: int) -> np.ndarray:
    """(N, steps, K) targets of each series, its last value going on behind its end."""
    rows = table.starts[:, None] + np.minimum(np.arange(steps), table.lengths[:, None] - 1)
    return np.stack([table.frame[name].to_numpy()[rows] for name in table.data.target], axis=-1)
