"""The best, the median and the worst series, and some between: truth, prediction and inputs."""

from __future__ import annotations

from html import escape

import numpy as np

from foldline.core.pages import COLORS, Line, Mark, chart, figures, legend, note
from foldline.data.metrics.options import CLASSES
from foldline.data.task import SHARES
from foldline.output.report import example_answers
from foldline.output.report.report_data import SUBMITTED, ReportData

RANKS = {"best": 0.0, "better quarter": 0.25, "median": 0.5, "worse quarter": 0.75, "worst 5 %": 0.95, "worst": 1.0}
MARGIN = 3  # steps that are drawn before the first and after the last scored one


def examples(report: ReportData) -> str:
    """Draw six series, from the best to the worst by the error of the models before post-processing."""
    chosen = _chosen(report)
    marks: list[Mark] = []
    items = []
    for name, number in chosen.items():
        shown, time = window(report, number)
        charts = [] if report.train.on_series else example_answers.over_time(report, shown, time)
        marks += [mark for _, drawn in charts for mark in drawn]
        items.append((caption(report, name, number), _pictures(report, number, charts)))
    inputs = _inputs(report, next(iter(chosen.values())))
    return f"{legend([*marks, *inputs])}{figures(items)}{note(_remark(report))}"


def _chosen(report: ReportData) -> dict[str, int]:
    """Choose a series for each of the RANKS by `series_metric`, the best first."""
    costs = np.array([report.series_metric.cost(error) for error in report.series_error(report.before_post)])
    order = np.argsort(costs, kind="stable")[: int(np.isfinite(costs).sum())]
    return {name: int(order[round(share * (len(order) - 1))]) for name, share in RANKS.items()}


def _remark(report: ReportData) -> str:
    text = f"Ranked by the {report.series_metric.name} of the {report.models}, out-of-fold"
    text += "." if report.train.on_series else ", over the scored steps."
    spread = next(iter(report.spreads), None)
    if not report.train.on_series:
        if report.kind == "multiclass":
            text += " Dots above: the true class."
        elif report.kind == "distribution":
            text += " Thick: the true shares."
        elif spread is not None:
            text += f" Band: {spread} plus and minus its expected error."
    below = " Below: the inputs, each from its least to its largest value in the series."
    return text + (below if report.config.data.numeric_inputs else "")


def caption(report: ReportData, name: str, number: int) -> str:
    """Write which series it is, and its error. name: such as "worst"."""
    data, table = report.config.data, report.competition.train
    row = table.frame.row(int(table.starts[number]), named=True)
    statics = "".join(f", {column} {row[column]}" for column in data.static)
    errors = [report.series_error(values)[number] for values in (report.before_post, report.result.blended)]
    shown = f"{errors[0]:.3f}"
    if report.result.processed and SUBMITTED in report.shown_by(report.series_metric):
        shown += f" by the models, {errors[1]:.3f} submitted"
    loss = escape(report.series_metric.name)
    return f"<b>{escape(name)}</b>: {escape(f'{data.key} {row[data.key]}{statics}')}<small>{loss} {shown}</small>"


def window(report: ReportData, number: int) -> tuple[slice, np.ndarray]:
    """Find the rows of a series that are drawn, and their times, (rows,): all where it has one answer."""
    store = report.train
    first, end = int(store.offsets[number]), int(store.offsets[number] + store.lengths[number])
    shown = slice(first, end)
    if not store.on_series:
        rows = first + np.flatnonzero(store.scored[first:end])
        shown = slice(max(int(rows[0]) - MARGIN, first), min(int(rows[-1]) + 1 + MARGIN, end))
    return shown, report.time_axis.of_series(report.competition.train, first, shown)


def _inputs(report: ReportData, number: int) -> list[Mark]:
    """Make a line for each input, scaled to 0 to 1."""
    table, (shown, time) = report.competition.train, window(report, number)
    rows = table.frame.slice(shown.start, len(time))
    lines: list[Mark] = []
    taken = len(report.names) if report.kind in SHARES and not report.train.on_series else 0  # colours of classes
    for place, name in enumerate(report.config.data.numeric_inputs[: len(COLORS)]):
        values = rows[name].to_numpy().astype(float)
        known = values[np.isfinite(values)]
        if not len(known):  # missing in the whole series
            continue
        height = (values - known.min()) / (np.ptp(known) or 1.0)
        lines.append(Line(x=time, y=height, style=f"{COLORS[(taken + place) % len(COLORS)]} thin", label=name))
    return lines


def _pictures(report: ReportData, number: int, charts: list[example_answers.Chart]) -> str:
    """Draw a chart for each target or the single answer, and a flat chart of the inputs."""
    holds = (0.0, 1.0) if report.kind in CLASSES else ()
    inputs, time = _inputs(report, number), report.time_axis.label
    labels = [""] * (len(charts) - 1) + ["" if inputs else time]
    drawn = [
        chart(marks, xlabel=label, ylabel=title, height=190, width=340, holds=holds)
        for (title, marks), label in zip(charts, labels, strict=False)
    ]
    if report.train.on_series:
        drawn = [example_answers.one_answer(report, number)]
    if inputs:
        height = 150 if report.train.on_series else 80
        drawn.append(chart(inputs, xlabel=time, height=height, width=340, bare=True))
    return "".join(drawn)
