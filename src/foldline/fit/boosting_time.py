"""How long boosted trees take here: measured on some rows for some rounds, on the data itself."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from foldline.data.metrics import Metric, NotScorable
from foldline.data.store import Store
from foldline.fit import pass_time
from foldline.fit.boosting_cell import BoostingCell
from foldline.fit.network_probe import spread
from foldline.fit.pass_time import Clock, Size
from foldline.fit.train_config import TrainConfig

MOST_ROWS, MOST_ROUNDS = 1 << 17, 32  # that are measured: rounds are alike, but rows of large tables are cheaper
PASS_S = 1.0  # of a boosting: as rows become many they become cheaper, or dearer
FIRST = Size(1 << 10, 2)  # rows and rounds of the smallest measured boosting
FEW_SERIES = 4  # that these rows are of at least: early stopping keeps some out


def seconds(
    name: str,
    params: dict[str, Any],
    config: TrainConfig,
    metric: Metric | None,
    store: Store,
    series: int,
    predicted: int,
    clock: Clock,
) -> float:
    """Estimate the seconds that all rounds take, and predictions; with early stopping there may be fewer.

    Args:
        metric: what early stopping scores by.
        series: number of series that it is fitted on, of the store's.
        predicted: number of answers that are predicted.
    """
    rounds, made, chosen = int(params["rounds"]), dict[int, BoostingCell](), np.arange(0)

    def boost(size: Size) -> None:
        nonlocal chosen
        few, chosen = some_rows(store, size.items)
        try:
            trees = _fitted(name, {**params, "rounds": size.length}, config, metric, few, chosen)
        except NotScorable:  # of the few that are watched here, as of one class; those of the cell have a score
            assert metric is not None, "a score was asked for"
            nearest = metric.nearest_loss(store.targets)
            trees = _fitted(name, {**params, "rounds": size.length}, config, nearest, few, chosen)
        made[size.length] = trees

    whole = Size(max(1, round(series * store.scored.sum() / len(store.lengths))), rounds)
    most = Size(min(whole.items, MOST_ROWS), min(rounds, MOST_ROUNDS))
    boosting = pass_time.measure(boost, most, clock=clock, first=FIRST, pass_s=PASS_S)
    answers = store.answers(chosen)

    def predict(size: Size) -> None:
        trees = made[max(each for each in made if each <= size.length)]
        trees.predict_answers(store, answers[np.arange(size.items) % len(answers)])

    most = Size(min(predicted, MOST_ROWS), max(made))
    predicting = pass_time.measure(predict, most, clock=clock, first=FIRST)
    return float(boosting.seconds(*whole) + predicting.seconds(predicted, rounds))


def _fitted(
    name: str, params: dict[str, Any], config: TrainConfig, metric: Metric | None, store: Store, series: np.ndarray
) -> BoostingCell:
    trees = BoostingCell(name, params, config, metric)
    trees.fit(store, series, 0, lambda kind, **values: None)
    return trees


def some_rows(store: Store, count: int) -> tuple[Store, np.ndarray]:
    """Choose so many scored answers from all over a store: their series, and the store where no others are scored."""
    a_series = store.scored.sum() / len(store.lengths)
    series = spread(store, int(store.lengths.max()) * max(FEW_SERIES, math.ceil(count / a_series)))
    answers = store.answers(series)
    answers = answers[store.scored[answers]]
    scored = np.zeros_like(store.scored)
    scored[answers[np.linspace(0, len(answers) - 1, min(count, len(answers))).astype(np.int64)]] = True
    return replace(store, scored=scored), series
