"""Trivial baselines, what a model must beat: a constant, the last known value, interpolation, a line, a group's mean.

They stand in every score table, from the same folds as the models: what a baseline fits for a fold's answers, it fits
on the scored answers of the other folds; with time folds on those of the series that the fold's models are fitted on.
Each reads the table itself, not the features of a config, so that scores of two configs are compared with the same
baselines. Nothing is stored but the scores; they take no part in the blend.

Letters: R scored answers, K columns of an answer, h held-out answers, N series.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import polars as pl

from foldline.core.errors import UserError
from foldline.data import group_means, on_disk
from foldline.data.folds import Folds
from foldline.data.metrics import Metric
from foldline.data.table import Table
from foldline.data.task import WITH_LABELS
from foldline.ensemble import BlendRows
from foldline.experiment import known_baselines, linear_baseline
from foldline.experiment.linear_baseline import Inputs

MOST_ROWS = 20_000  # that a choice between two candidates is scored on, drawn at random
MOST_RANKS = 21  # constants that are tried for an ordinal target, and where errors count by their size
RELATIVE = ("mape", "smape", "rmspe")  # metrics that divide by the truth: small answers count more
PERIODS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 30, 48, 52, 60, 90, 96, 144, 168, 288, 336, 365, 672, 1440)


@dataclass(frozen=True)
class ScoredAnswers:
    """The scored answers of a training table, with all that a baseline may read."""

    table: Table
    rows: BlendRows  # its truth, folds and metric are used, not its predictions; all scored answers of the table

    @cached_property
    def answer(self) -> np.ndarray:
        """Place of each scored answer among all, (R,) int64."""
        return np.flatnonzero(self.table.scored)

    @cached_property
    def step(self) -> np.ndarray:
        """Place of each scored answer's row in its series, (R,) int64; only at the level "step"."""
        return np.asarray(self.answer - self.table.starts[self.rows.series])

    @cached_property
    def start(self) -> np.ndarray:
        """Known targets of each series, the latest last, (N, most, K): of a gap the value before it, else NaN."""
        known = self.table.known_steps
        steps = np.arange(known.max()) - (known.max() - known)[:, None]  # (N, most)
        inside = np.minimum(np.maximum(steps, 0), self.table.lengths[:, None] - 1)
        values = np.where(steps[..., None] >= 0, self.table.y[self.table.starts[:, None] + inside], np.nan)
        last = np.where(np.isfinite(values), np.arange(values.shape[1])[None, :, None], 0)
        return np.take_along_axis(values, np.maximum.accumulate(last, axis=1), axis=1)

    @cached_property
    def inputs(self) -> Inputs:
        """The inputs that the linear baseline reads."""
        return Inputs.of(self.table)

    @cached_property
    def group(self) -> np.ndarray:
        """Number of the combination of static values of each scored answer, (R,) int64."""
        static = self.table.frame.select(self.table.categories)[self.table.starts]
        joined = static.select(pl.concat_str(pl.all().cast(pl.String).fill_null("\x01"), separator="\x00")).to_series()
        return np.asarray(joined.rank("dense").to_numpy().astype(np.int64)[self.rows.series] - 1)

    def best(self, inside: np.ndarray, candidates: Sequence[Callable[[np.ndarray], np.ndarray]]) -> int:
        """Return the number of the candidate with the best score on answers outside the fold, at most MOST_ROWS.

        Args:
            inside: (n,) places among the R answers.
            candidates: each predicts answers, (n,) places -> (n, K).
        """
        if len(candidates) == 1:
            return 0
        if len(inside) > MOST_ROWS:
            inside = np.sort(np.random.default_rng(0).choice(inside, MOST_ROWS, replace=False))
        part = self.rows.where(inside)
        costs = [_cost(part, predict(inside)) for predict in candidates]
        return int(np.argmin(costs))  # the first of equal ones


Predict = Callable[[ScoredAnswers, np.ndarray, np.ndarray], np.ndarray]  # (.., inside (n,), held (h,)) -> (h, K)


@dataclass(frozen=True)
class Baseline:
    """A baseline: whether a table has what it needs, and its predictions of held-out answers."""

    applies: Callable[[Table], bool]
    predict: Predict


def _cost(rows: BlendRows, values: np.ndarray) -> float:
    """Score, lower is better; infinite where the metric can't score these predictions."""
    try:
        return rows.cost(values)
    except UserError:  # such as a metric file that refuses a constant
        return float("inf")


def fitted_constant(answers: ScoredAnswers, inside: np.ndarray) -> np.ndarray:
    """Return the best constant outside the fold, (K,): mean, median or another quantile, shares of classes, a rank."""
    truth = answers.rows.y[inside]
    candidates = [np.asarray(truth.mean(axis=0))]
    if answers.rows.kind == "regression":
        candidates += [np.quantile(truth, level, axis=0) for level in _levels(answers.rows.metric)]
    elif answers.rows.kind == "ordinal":
        candidates += list(np.unique(np.quantile(truth, np.linspace(0, 1, MOST_RANKS), method="nearest"))[:, None])
    elif answers.rows.kind in ("binary", "multilabel") and answers.rows.metric.needs == "labels":
        candidates.append(np.ones(truth.shape[1]))  # an F1 rewards to call all of them positive
    chosen = answers.best(inside, [partial(_repeat, value) for value in candidates])
    return np.asarray(candidates[chosen])


def _levels(metric: Metric) -> list[float]:
    """Return the quantiles that may be the best constant: the median; where errors don't count alike, others, too."""
    if metric.name == "pinball":
        return [0.5, metric.options.level]
    return [0.5, *np.linspace(0, 1, MOST_RANKS).tolist()] if metric.name in RELATIVE else [0.5]


def _constant(answers: ScoredAnswers, inside: np.ndarray, held: np.ndarray) -> np.ndarray:
    return _repeat(fitted_constant(answers, inside), held)


def _repeat(value: np.ndarray, at: np.ndarray) -> np.ndarray:
    return np.asarray(np.tile(value, (len(at), 1)))


def _random_labels(answers: ScoredAnswers, inside: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Draw labels by their shares outside the fold: a macro-averaged F1 rewards that more than one label for all."""
    drawn = np.random.default_rng([0, len(inside), len(held)]).integers(len(inside), size=len(held))
    return np.asarray(answers.rows.y[inside[drawn]])


def _last_known(answers: ScoredAnswers, inside: np.ndarray, held: np.ndarray) -> np.ndarray:
    if answers.table.data.known:
        return known_baselines.last(answers.table, answers.answer[held], fitted_constant(answers, inside))
    return _last_or(answers, held, fitted_constant(answers, inside))


def _interpolated(answers: ScoredAnswers, inside: np.ndarray, held: np.ndarray) -> np.ndarray:
    return known_baselines.interpolated(answers.table, answers.answer[held], fitted_constant(answers, inside))


def _last_or(answers: ScoredAnswers, at: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Return the last known value of the series of some answers, (n, K), or another one where there is none."""
    values = answers.start[answers.rows.series[at], -1]
    return np.asarray(np.where(np.isfinite(values), values, otherwise))


def _known_mean(answers: ScoredAnswers, inside: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Mean or median of the latest known values of the series; how many, is chosen outside the fold."""
    constant, most = fitted_constant(answers, inside), answers.start.shape[1]

    def table_of(statistic: Callable[..., np.ndarray], count: int) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=RuntimeWarning)  # of a series without any known value
            return statistic(answers.start[:, most - count :], axis=1)

    counts = sorted({min(count, most) for count in (*PERIODS[4::3], most)})
    tables = [table_of(statistic, count) for count in counts for statistic in (np.nanmean, np.nanmedian)]
    series = answers.rows.series

    def look_up(values: np.ndarray, at: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(values[series[at]]), values[series[at]], constant)

    chosen = answers.best(inside, [partial(look_up, values) for values in tables])
    return look_up(tables[chosen], held)


def _seasonal(answers: ScoredAnswers, inside: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Repeat the last period of the known start; the period is the best of PERIODS outside the fold."""
    known, fallback = answers.table.known_steps, fitted_constant(answers, inside)
    most = int(known.max())

    def predict(period: int, at: np.ndarray) -> np.ndarray:
        series = answers.rows.series[at]
        ahead = answers.step[at] - known[series] + answers.table.data.forecast.gap
        values = answers.start[series, most - period + ahead % period]
        return np.asarray(np.where(np.isfinite(values), values, _last_or(answers, at, fallback)))

    periods = [period for period in PERIODS if period <= most]
    candidates = [partial(predict, period) for period in periods]
    return candidates[answers.best(inside, candidates)](held)


def _group_mean(answers: ScoredAnswers, inside: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Mean of the answers with the same static values, of numbers also quantiles; of an unknown group the constant."""
    constant, truth = fitted_constant(answers, inside), answers.rows.y[inside]
    columns = [str(column) for column in range(truth.shape[1])]
    known = pl.DataFrame(truth, schema=columns).with_columns(pl.Series("group", answers.group[inside]))
    size = int(answers.group.max()) + 1
    count = np.bincount(answers.group[inside], minlength=size)[:, None]

    def table_of(each: pl.DataFrame) -> np.ndarray:
        values = np.tile(constant, (size, 1))
        values[each["group"].to_numpy()] = each.select(columns).to_numpy()
        return values

    means = table_of(group_means.of(known, "group"))
    if answers.rows.kind not in ("regression", "ordinal"):  # one answer of the prior beside: no share is 0 of a few
        prior = truth.mean(axis=0)
        tables = [np.where(count > 0, (count * means + prior) / (count + 1), constant)]
    else:
        grouped = known.group_by("group", maintain_order=True)
        quantiles = (pl.col(columns).quantile(level, "linear") for level in _levels(answers.rows.metric))
        tables = [means, *(table_of(grouped.agg(quantile)) for quantile in quantiles)]
    chosen = answers.best(inside, [partial(_look_up, values, answers.group) for values in tables])
    return _look_up(tables[chosen], answers.group, held)


def _look_up(values: np.ndarray, group: np.ndarray, at: np.ndarray) -> np.ndarray:
    return np.asarray(values[group[at]])


def _linear(answers: ScoredAnswers, inside: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Ridge regression of numbers and ranks, logistic regression of classes; no number outside those it was fitted on.

    Where the answers outside the fold are all of one class, that is all it predicts.
    """
    rows = answers.rows
    return linear_baseline.predict(answers.inputs, rows.y, rows.kind, answers.answer, inside, held)


def _has_season(table: Table) -> bool:
    return int(table.known_steps.max()) >= min(PERIODS)


def _counts_labels(table: Table) -> bool:
    return table.data.kind in (*WITH_LABELS, "multilabel") and table.task.metric.needs == "labels"


BASELINES: dict[str, Baseline] = {
    "constant": Baseline(lambda table: True, _constant),
    "random labels": Baseline(_counts_labels, _random_labels),
    "last known value": Baseline(lambda table: table.data.has_start or bool(table.data.known), _last_known),
    "interpolation": Baseline(lambda table: bool(table.data.known), _interpolated),
    "mean of latest values": Baseline(lambda table: bool(table.data.known_column), _known_mean),
    "seasonal naive": Baseline(_has_season, _seasonal),
    "linear": Baseline(lambda table: bool(table.data.numeric_inputs or table.data.static), _linear),
    "group mean": Baseline(lambda table: bool(table.categories), _group_mean),
}


def out_of_fold(baseline: Baseline, answers: ScoredAnswers, folds: Folds | None = None) -> np.ndarray:
    """Predict scored answers, (R, K), those of each fold by what is fitted on the others; NaN where none holds one out.

    folds: say what a fold is fitted on where that is not all other folds; None: it is.
    """
    values = on_disk.kept_array(np.full(answers.rows.y.shape, np.nan))
    for held, inside in answers.rows.splits if folds is None else _splits(folds, answers.rows.series):
        at = np.flatnonzero(held)
        values[at] = baseline.predict(answers, np.flatnonzero(inside), at)
    return values


def _splits(folds: Folds, series: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """List for each fold which answers it holds out, and which it is fitted on, (R,) bool. series: (R,) of each."""
    sides = [(folds.held_out(fold), folds.inside(fold)) for fold in range(folds.k)]
    return [(np.isin(series, held), np.isin(series, inside)) for held, inside in sides]


def predictions(
    table: Table, rows: BlendRows, folds: Folds | None = None, kept: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Predict the scored answers of a training table by all baselines that apply: name -> (r, K).

    Those are left out that the metric can't score, as the correlation of a constant.

    Args:
        rows: all R scored answers.
        folds: as `out_of_fold` takes them.
        kept: (R,) bool, the r answers that are held out, where not all are; None: all.
    """
    answers, rows = ScoredAnswers(table, rows), rows if kept is None else rows.where(kept)
    found = {name: out_of_fold(each, answers, folds) for name, each in BASELINES.items() if each.applies(table)}
    if kept is not None:
        found = {name: values[kept] for name, values in found.items()}
    return {name: values for name, values in found.items() if np.isfinite(_cost(rows, values))}
