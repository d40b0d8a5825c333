"""How long a model of whole series takes here: its features and its head, each measured small, by how the work grows.

Features are in proportion to series and steps, once kernels are drawn. Ridge multiplies a matrix as wide as there are
series, or features where they are fewer, and decomposes that: work that grows with the square and the cube.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from foldline.data.store import Store
from foldline.fit.network_probe import spread
from foldline.fit.pass_time import Clock, PassTime, Size
from foldline.fit.series_cell import SeriesCell
from foldline.fit.train_config import TrainConfig
from foldline.models.ops import logistic, ridge
from foldline.models.systems.rocket import Rocket

FEW, MORE = Size(4, 64), Size(32, 256)  # series and steps that are measured at most
HEADS = ((128, 4096), (384, 4096), (384, 1024))  # series and features of the heads that are measured


def seconds(
    name: str, params: dict[str, Any], config: TrainConfig, store: Store, series: int, predicted: int, clock: Clock
) -> float:
    """Estimate the seconds of a fit on so many series of a store, and of predictions."""
    latest = list[tuple[SeriesCell, Store, np.ndarray]]()

    def fit(size: Size) -> None:
        chosen = spread(store, size.items * int(store.lengths.max()))
        short = shortened(store, chosen, size.length)
        latest[:] = [(SeriesCell(name, params, config), short, chosen)]
        latest[0][0].fit(short, chosen, 0, lambda kind, **values: None)

    few, more = (Size(min(size.items, series), min(size.length, int(store.lengths.max()))) for size in (FEW, MORE))
    fit(few)  # compiles
    sizes = dict.fromkeys((few, few._replace(length=more.length), few._replace(items=more.items)))
    measured = PassTime(tuple((size, _timed(lambda size=size: fit(size), clock)) for size in sizes), False)
    (model, short, chosen), steps = latest[0], float(store.lengths.mean())
    a_step = _timed(lambda: model.predict(short, chosen), clock) / int(short.lengths[chosen].sum())
    fitted = measured.seconds(series, steps)
    if isinstance(model.model, Rocket):  # or HYDRA; trees have no linear head, and are in what was measured
        fitted += head_s(model.model, store, series, clock)
    return fitted + a_step * predicted * steps


def head_s(model: Rocket, store: Store, series: int, clock: Clock) -> float:
    """Estimate the seconds that the linear head takes, on random features and answers."""
    config, kind, random = model.config, store.task.kind, np.random.default_rng(0)
    answers = store.y[store.scored]

    def fit(count: int, features: int) -> float:
        x = random.standard_normal((count, features), dtype=np.float32)
        y = answers[np.linspace(0, len(answers) - 1, count).astype(np.int64)]
        if model.head_of(series, kind) == "logistic":
            return _timed(lambda: logistic.fit(x, y, kind, 0, None, None), clock)
        return _timed(lambda: ridge.fit(x, y, True), clock)

    if model.head_of(series, kind) == "logistic":  # passes over all numbers
        count, features = HEADS[0]
        return fit(count, features) * (series / count) * (config.features / features)
    fit(*HEADS[0])
    taken = np.array([fit(*size) for size in HEADS])
    work = np.array([_ridge_work(*size) for size in HEADS])
    from scipy.optimize import nnls  # imported where it is used: it takes a while

    costs = nnls(work / taken[:, None], np.ones(len(taken)))[0]
    return float(costs @ _ridge_work(series, config.features))


def _ridge_work(series: int, features: int) -> list[float]:
    """Count what ridge reads, multiplies and decomposes, each in 1e6 operations."""
    least = min(series, features)
    return [series * features / 1e6, least * series * features / 1e6, least**3 / 1e6]


def shortened(store: Store, series: np.ndarray, steps: int) -> Store:
    """Return a store whose given series, (n,), have so many of their steps, evenly chosen; the others have one."""
    lengths = np.ones_like(store.lengths)
    lengths[series] = np.minimum(store.lengths[series], steps)
    x, first = np.zeros((int(lengths.sum()), len(store.names)), dtype=np.float32), np.cumsum(lengths) - lengths
    for each in series:
        chosen = np.linspace(0, store.lengths[each] - 1, lengths[each]).astype(np.int64)
        x[first[each] : first[each] + lengths[each]] = store.features(store.offsets[each] + chosen)
    return replace(store, x=x, lengths=lengths, times=None)


def _timed(run: Any, clock: Clock) -> float:
    began = clock()
    run()
    return max(clock() - began, 1e-9)
