"""The best, the median and the worst series, and some between: truth, prediction, spread, exact rows and inputs."""

from __future__ import annotations

from html import escape

import numpy as np

from foldline.core.pages import COLORS, Band, Dots, Line, Mark, chart, figures, legend, note
from foldline.output.report.report_data import ReportData

RANKS = {"best": 0.0, "better quarter": 0.25, "median": 0.5, "worse quarter": 0.75, "worst 5 %": 0.95, "worst": 1.0}
MARGIN = 3  # steps that are drawn before the first and after the last scored one
TARGETS = 3  # most targets that are drawn


def examples(report: ReportData) -> str:
    """Draw six series, from the best to the worst by the error of the models before post-processing."""
    errors = report.series_error(report.before_post)
    order = np.argsort(errors, kind="stable")[: int(np.isfinite(errors).sum())]
    chosen = {name: int(order[round(share * (len(order) - 1))]) for name, share in RANKS.items()}
    marks = {name: _targets(report, number) for name, number in chosen.items()}
    items = [
        (_caption(report, name, number), _pictures(report, number, marks[name])) for name, number in chosen.items()
    ]
    every = [mark for one in marks.values() for target in one for mark in target]
    return f"{legend([*every, *_inputs(report, chosen['best'])])}{figures(items)}{note(_remark(report))}"


def _remark(report: ReportData) -> str:
    text = f"Ranked by the {report.config.data.metric} of the {report.models}, out-of-fold, over the scored steps."
    spread = next(iter(report.spreads), None)
    if spread is not None:
        text += f" Band: {spread} plus and minus its expected error."
    return f"{text} Below: the inputs, each from its least to its largest value in the series."


def _caption(report: ReportData, name: str, number: int) -> str:
    data, table = report.config.data, report.competition.train
    row = table.frame.row(int(table.starts[number]), named=True)
    statics = "".join(f", {column} {row[column]}" for column in data.static)
    errors = [report.series_error(values)[number] for values in (report.before_post, report.result.blended)]
    shown = f"{errors[0]:.3f}"
    if report.result.processed:
        shown += f" by the models, {errors[1]:.3f} submitted"
    return (
        f"<b>{escape(name)}</b>: {escape(f'{data.key} {row[data.key]}{statics}')}<small>{data.metric} {shown}</small>"
    )


def _window(report: ReportData, number: int) -> tuple[slice, np.ndarray]:
    """Find the rows of a series that are drawn, and the order column there, (rows,)."""
    table, store = report.competition.train, report.train
    first, end = int(store.offsets[number]), int(store.offsets[number] + store.lengths[number])
    rows = first + np.flatnonzero(store.scored[first:end])
    shown = slice(max(int(rows[0]) - MARGIN, first), min(int(rows[-1]) + 1 + MARGIN, end))
    time = table.frame[report.config.data.order].slice(shown.start, shown.stop - shown.start)
    return shown, time.to_numpy().astype(float)


def _targets(report: ReportData, number: int) -> list[list[Mark]]:
    """Make the marks of each target: truth, prediction, expected error, exact rows."""
    shown, time = _window(report, number)
    scored = report.train.scored[shown]
    exact = np.zeros(len(time), bool) if report.is_exact is None else report.is_exact[shown] & scored
    found = []
    for target in range(min(TARGETS, report.truth.shape[1])):
        truth = report.truth[shown, target]
        values = np.where(scored, report.before_post[shown, target], np.nan)
        marks: list[Mark] = [*_band(report, shown, target, time, scored)]
        marks.append(Line(x=time, y=truth, style="neutral thick", label="truth"))
        marks.append(Line(x=time, y=values, label=report.models if len(report.members) > 1 else "prediction"))
        if exact.any():
            read = np.where(exact, truth, np.nan)
            marks.append(Dots(x=time, y=read, style="ink", label="read back exactly"))
        found.append(marks)
    return found


def _band(report: ReportData, shown: slice, target: int, time: np.ndarray, scored: np.ndarray) -> list[Band]:
    """Make the band of the first member whose head predicts its error, if there is one."""
    for label, spread in report.spreads.items():
        center = report.predictions[label][shown, target]
        half = np.where(scored, spread[shown, target], np.nan)
        return [Band(x=time, low=center - half, high=center + half, label=f"{label}: expected error")]
    return []


def _inputs(report: ReportData, number: int) -> list[Mark]:
    """Make a line for each input, scaled to 0 to 1."""
    table, (shown, time) = report.competition.train, _window(report, number)
    rows = table.frame.slice(shown.start, len(time))
    lines: list[Mark] = []
    for place, name in enumerate(report.config.data.inputs[: len(COLORS)]):
        values = rows[name].to_numpy().astype(float)
        height = (values - values.min()) / (np.ptp(values) or 1.0)
        lines.append(Line(x=time, y=height, style=f"{COLORS[place]} thin", label=name))
    return lines


def _pictures(report: ReportData, number: int, targets: list[list[Mark]]) -> str:
    """Draw a chart for each target, and a flat one of the inputs."""
    data = report.config.data
    drawn = [
        chart(marks, ylabel=name, height=190, width=340) for name, marks in zip(data.target, targets, strict=False)
    ]
    return "".join([*drawn, chart(_inputs(report, number), xlabel=data.order, height=80, width=340, bare=True)])
