"""Calls of a gateway, made of rows of a test table: what a call asks about, and what it passes beside that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from foldline.experiment.serve_config import IGNORED, LAGS, ROWS, STATIC, ServeConfig
from foldline.serve.predictor import Predictor

STEPS = 200  # that are revealed one by one, at most: the rest is a future that nothing has seen
LATE = 20  # last steps of the longest series, which are timed where it has more than STEPS


@dataclass(frozen=True)
class LateCalls:
    """The last steps of the longest series, where a stream is dearest."""

    before: pl.DataFrame  # rows that came before them
    steps: list[pl.DataFrame]
    known: int  # rows of the longest series among those that came before


def of_rows(rows: pl.DataFrame, predictor: Predictor, serve: ServeConfig) -> Iterator[pl.DataFrame]:
    """Cut rows into those of each call; of steps the first STEPS."""
    data = predictor.models[0].stored.config.data
    if serve.per == "series":
        yield from rows.partition_by(data.key, maintain_order=True)
    elif serve.by_step:
        yield from _by_step(rows, data.order)[:STEPS]
    else:
        yield rows


def _by_step(rows: pl.DataFrame, order: str) -> list[pl.DataFrame]:
    return rows.sort(order, maintain_order=True).partition_by(order, maintain_order=True)


def late(rows: pl.DataFrame, predictor: Predictor, serve: ServeConfig) -> LateCalls | None:
    """Return the last steps of the longest series; None where `of_rows` has all steps, or there are none."""
    data = predictor.models[0].stored.config.data
    if not serve.by_step or rows[data.order].n_unique() <= STEPS:
        return None
    longest = max(rows.partition_by(data.key, maintain_order=True), key=len)
    moments = longest[data.order].sort().tail(LATE)
    before = rows.filter(pl.col(data.order) < moments[0])
    steps = _by_step(rows.filter(pl.col(data.order).is_in(moments.implode())), data.order)
    return LateCalls(before, steps, longest.height - len(moments))


def batch(rows: pl.DataFrame, predictor: Predictor, serve: ServeConfig) -> list[pl.DataFrame | None]:
    """Return what a call passes, in the order of serve.arguments.

    The first "static" has the static columns, a row a series; the inputs are dealt out to the "lags", a row a row.
    """
    data = predictor.models[0].stored.config.data
    configs = [model.stored.config.data for model in predictor.models]
    naming = (data.key, data.order, data.id)
    static = _there(rows, (name for each in configs for name in each.static), naming)
    inputs = _there(rows, (name for each in configs for name in each.inputs), (*naming, *static))
    of_lags = serve.arguments.count(LAGS)
    taken = [*(static if STATIC in serve.arguments else ()), *(inputs if of_lags else ())]
    constants = rows.select(data.key, *static).unique(maintain_order=True)
    lags = [rows.select(data.key, data.order, *inputs[place::of_lags]) for place in range(of_lags)]
    given = {ROWS: [rows.drop(taken)], STATIC: [constants], LAGS: lags, IGNORED: list[pl.DataFrame]()}
    return [given[name].pop(0) if given[name] else None for name in serve.arguments]


def _there(rows: pl.DataFrame, names: Iterator[str], others: tuple[str, ...]) -> list[str]:
    """Return names that the rows have, each once, without `others`."""
    return [name for name in dict.fromkeys(names) if name in rows.columns and name not in others]
