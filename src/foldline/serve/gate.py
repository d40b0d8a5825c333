"""The gate before a bundle that serves is packed: what it will answer is what `infer` writes, in time.

Series of the test table are served as a gateway would, compared with `infer`'s predictions of them, served again, and
served in another order of series and rows; with per = "step" nothing but the steps so far is ever passed, so that the
future can't have mattered. What a call passes beside its rows is cut out of them. The calls are timed on the way, and
of a stream the last steps of its longest series, too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from foldline.core.console import Terminal
from foldline.core.durations import duration
from foldline.core.errors import UserError
from foldline.data import loading
from foldline.data.assemble import Source
from foldline.data.table import Table
from foldline.data.table_columns import TableColumns
from foldline.experiment import inference
from foldline.experiment.serve_config import ServeConfig
from foldline.fit.network_cell import NetworkCell
from foldline.serve import calls
from foldline.serve.answers import Answers, columns_of
from foldline.serve.predictor import Predictor

NEARLY, NEARLY_HALF = 1e-4, 2e-2  # of a column's standard deviation: cells in float32, and one in bf16 or fp16
ROUNDED = 1e-3  # share of rounded numbers that may land on the other side of a half
SERIES = 40  # that are served, and the longest one
SEED = 0
KEY, ORDER = "__key__", "__order__"


@dataclass(frozen=True)
class Passed:
    """What the gate found."""

    series: int  # that were served
    calls: int  # each time
    largest: float  # difference to `infer`, in standard deviations of its column
    p50: float  # s a call
    p99: float
    expected: int  # calls in the hidden test
    fall_back: dict[str, Any]  # column -> what is answered where a call fails
    known: int = 0  # rows of the longest series that a stream knew before its last steps were timed; 0: they were not

    @property
    def seconds(self) -> float:
        """All calls of the hidden test, at their 99 % quantile."""
        return self.p99 * self.expected

    def in_words(self, serve: ServeConfig) -> str:
        """Say what was compared and how long the hidden test will take."""
        near = f"within {self.largest:.1g} standard deviations" if self.largest else "to the last bit"
        return (
            f"{self.series} series in {self.calls} calls are answered as by infer ({near}), twice, and in another "
            f"order; p50 {1e3 * self.p50:.1f} ms, p99 {1e3 * self.p99:.1f} ms a call"
            f"{f' (that of steps behind {self.known:,} others of a series, if slower)' if self.known else ''}: "
            f"{self.expected:,} calls take {duration(self.seconds)} of {serve.limit_h:g} h"
            f"{'; longer series than those of the test table cost more' if serve.by_step else ''}"
        )


@dataclass(frozen=True)
class Expected:
    """Rows of a test table, as a gateway would pass them, and `infer`'s answers to them."""

    rows: pl.DataFrame  # in the order of the file
    answers: pl.DataFrame  # KEY, ORDER where each row has an answer, and the columns of the targets
    calls: int  # that the whole table makes


def check(predictor: Predictor, serve: ServeConfig, terminal: Terminal, source: str = "") -> Passed:
    """Serve series of the competition's test table, and compare.

    source: the competition's folder, where it is no longer data.source.

    Raises:
        UserError: an answer differs from `infer`'s, from itself when asked again, or by the order of what is asked; the
            hidden test would take too long; there is no test table.
    """
    expected = _expected(predictor, serve, terminal, source)
    seconds, first = _served(predictor, serve, expected.rows)
    largest = _compared(predictor, first, expected.answers, "")
    again = _served(predictor, serve, expected.rows)[1]
    if not again.equals(first):
        raise UserError(
            f"{predictor.name}: the same calls have other answers when they are made a second time in one process, so "
            "that something is kept from the first. This is a bug in foldline; please report it."
        )
    shuffled = expected.rows.sample(fraction=1.0, shuffle=True, seed=SEED)
    other = _served(predictor, serve, shuffled)[1]
    largest = max(largest, _compared(predictor, other, expected.answers, " where rows come in another order"))
    slowest, known = _late(predictor, serve, expected.rows)
    passed = Passed(
        series=expected.answers[KEY].n_unique(),
        calls=len(seconds),
        largest=largest,
        p50=float(np.quantile(seconds, 0.5)),
        p99=max(float(np.quantile(seconds, 0.99)), slowest),
        expected=serve.calls or expected.calls,
        fall_back=_fall_back(expected.answers, predictor, serve),
        known=known,
    )
    _refuse_slow(predictor.name, passed, serve)
    return passed


def _expected(predictor: Predictor, serve: ServeConfig, terminal: Terminal, source: str) -> Expected:
    """Let `infer` predict the test table, and choose series of it."""
    rows, answers, count = pl.DataFrame(), pl.DataFrame(), 0
    for model in predictor.models:
        stored = model.stored
        data = replace(stored.config.data, source=source or stored.config.data.source)
        table, _ = loading.load_test(data, stored.levels, stored.classes, stored.facts)
        values = pl.DataFrame(model.named(inference.predict(inference.prepare(stored, table, terminal), terminal)))
        in_file = _in_file(table)
        if not rows.width:
            rows, count = in_file, _calls_of(in_file, table, serve)
            answers = _addressed(in_file, predictor)
        if not model.task.on_series and table.file_rows is not None:
            values = values[np.argsort(table.file_rows)]
        rows = rows.with_columns(in_file.select(name for name in in_file.columns if name not in rows.columns))
        answers = answers.with_columns(values)
    chosen = answers[KEY].unique(maintain_order=True)
    key = predictor.models[0].stored.config.data.key
    longest = rows.group_by(key, maintain_order=True).len()["len"].arg_max()  # in the order of `chosen`
    spread = np.linspace(0, len(chosen) - 1, SERIES).astype(np.int64)
    chosen = chosen.gather(np.unique([*spread, longest]))
    return Expected(
        rows.filter(rows[key].cast(pl.String).is_in(chosen.implode())),
        answers.filter(answers[KEY].is_in(chosen.implode())),
        count,
    )


def _in_file(table: Table) -> pl.DataFrame:
    """Read the rows of a test table again, all columns with a role, in the order of the file."""
    source = table.source
    assert isinstance(source, Source), "a table that was read has a source"
    return source.read(TableColumns.of(source, table.data, labelled=False).all).frame


def _addressed(rows: pl.DataFrame, predictor: Predictor) -> pl.DataFrame:
    """Return what names the answers to rows, in the order of `Predictor.predict`: KEY, and ORDER of each row."""
    data = predictor.models[0].stored.config.data
    named = rows.select(pl.col(data.key).cast(pl.String).alias(KEY), pl.col(data.order).alias(ORDER))
    return named.select(KEY).unique(maintain_order=True) if predictor.of_series else named


def _calls_of(rows: pl.DataFrame, table: Table, serve: ServeConfig) -> int:
    if serve.per == "series":
        return len(table.lengths)
    return int(rows[table.data.order].n_unique()) if serve.by_step else 1


def _served(predictor: Predictor, serve: ServeConfig, rows: pl.DataFrame) -> tuple[list[float], pl.DataFrame]:
    """Serve rows in calls; return the seconds of each call, and the answers with what names them."""
    answers, seconds, found = Answers(predictor, serve), list[float](), []
    for part in calls.of_rows(rows, predictor, serve):
        answer = _timed(answers, part, seconds)
        found.append(_addressed(part, predictor).with_columns(_columns(answer, answers)))
    return seconds, pl.concat(found)


def _timed(answers: Answers, rows: pl.DataFrame, seconds: list[float]) -> Any:
    """Answer a call; its seconds are put behind those of the others."""
    batch = calls.batch(rows, answers.predictor, answers.serve)
    began = time.perf_counter()
    answer = answers(*batch)
    seconds.append(time.perf_counter() - began)
    return answer


def _late(predictor: Predictor, serve: ServeConfig, rows: pl.DataFrame) -> tuple[float, int]:
    """Time the last steps of the longest series: a step costs what the series' length does.

    Returns:
        Their p99 in s, and how many rows of that series the stream knew; both 0 where they were served anyway.
    """
    found = calls.late(rows, predictor, serve)
    if found is None:
        return 0.0, 0
    answers, seconds = Answers(predictor, serve), list[float]()
    answers.learn(*calls.batch(found.before, predictor, serve))
    for part in found.steps:
        _timed(answers, part, seconds)
    return float(np.quantile(seconds, 0.99)), found.known


def _columns(answer: Any, answers: Answers) -> list[pl.Series]:
    """Return the columns of the targets in an answer, whatever they are called there."""
    if not isinstance(answer, pl.DataFrame):
        return [pl.Series(answers.predictor.columns[0], [float(answer) if isinstance(answer, np.floating) else answer])]
    return [answer[name].alias(own) for name, own in answers.columns.items()]


def _compared(predictor: Predictor, served: pl.DataFrame, expected: pl.DataFrame, when: str) -> float:
    """Compare answers with those of `infer`; return the largest difference of numbers, in standard deviations.

    Raises:
        UserError: they differ.
    """
    on = [KEY] if predictor.of_series else [KEY, ORDER]
    both = served.join(expected, on=on, how="left", maintain_order="left", suffix=" of infer")
    tolerance, largest = _tolerance(predictor), 0.0
    for name in predictor.columns:
        ours, theirs = both[name], both[f"{name} of infer"]
        if not ours.dtype.is_float():
            _refuse_different(predictor, both, name, (ours != theirs).to_numpy(), 0.0, when)
            continue
        scale = float(np.std(expected[name].to_numpy())) or 1.0
        apart = np.abs(ours.to_numpy() - theirs.to_numpy()) / scale
        _refuse_different(predictor, both, name, ~(apart <= tolerance), _rounded(predictor), when)
        largest = max(largest, float(np.quantile(apart, 1 - _rounded(predictor))))
    return largest


def _refuse_different(
    predictor: Predictor, both: pl.DataFrame, name: str, different: np.ndarray, allowed: float, when: str
) -> None:
    if different.mean() <= allowed:
        return
    row = int(np.flatnonzero(different)[0])
    raise UserError(
        f"{predictor.name}: served answers must be those of infer, but {int(different.sum())} of {len(both)} in "
        f"{name!r} are not{when} (first: {both[KEY][row]} has {both[name][row]}, infer "
        f"{both[f'{name} of infer'][row]}). It is not packed: please report it, with the config."
    )


def _tolerance(predictor: Predictor) -> float:
    """Return how far numbers may be apart, in standard deviations: last bits depend on what is seen at once."""
    networks = [
        cell
        for model in predictor.models
        for loaded in model.plans
        for cell in loaded.plan.plan
        if isinstance(loaded.estimators.get(cell.key), NetworkCell)
    ]
    return NEARLY if all(cell.model.train.precision == "fp32" for cell in networks) else NEARLY_HALF


def _rounded(predictor: Predictor) -> float:
    """Return the share of numbers that may be further apart: where they are rounded after the blend."""
    stored = [model.stored for model in predictor.models]
    rounds = any(any(grid is not None for grid in each.grids) or each.tidied.decimals is not None for each in stored)
    return ROUNDED if rounds else 0.0


def _fall_back(answers: pl.DataFrame, predictor: Predictor, serve: ServeConfig) -> dict[str, Any]:
    """Return what is answered where a call fails: the most frequent label, the mean share, the median number.

    answers: of `infer` to the test table's series.
    """
    found: dict[str, Any] = {}
    for model in predictor.models:
        shares = model.task.data.kind in ("multiclass", "distribution")
        for own in model.columns:
            column = answers[own]
            if column.dtype.is_float():
                found[own] = float(np.mean(column.to_numpy()) if shares else np.median(column.to_numpy()))
            else:
                found[own] = column.mode().sort()[0]
    return {name: found[own] for name, own in columns_of(predictor, serve).items()}


def _refuse_slow(name: str, passed: Passed, serve: ServeConfig) -> None:
    """Refuse what would not be ready in time.

    Raises:
        UserError
    """
    way_out = "Serve fewer or smaller models (blend.weights of 0 cost nothing), or correct [serve]."
    if passed.p99 > serve.call_limit_s:
        raise UserError(
            f"{name}: a call must be answered within serve.call_limit_s = {serve.call_limit_s:g} s, but takes "
            f"{_brief(passed.p99)} here (p99 of {passed.calls}). {way_out}"
        )
    if passed.seconds > 3600 * serve.limit_h:
        raise UserError(
            f"{name}: the hidden test must be done within serve.limit_h = {serve.limit_h:g} h, but "
            f"{passed.expected:,} calls of {_brief(passed.p99)} (p99) take {duration(passed.seconds)}. {way_out}"
        )


def _brief(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else duration(seconds)
