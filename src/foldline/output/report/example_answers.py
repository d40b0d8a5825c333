"""Truth and prediction of one series: numbers or probabilities, over time, or one answer for all of it."""

from __future__ import annotations

import numpy as np

from foldline.core.pages import COLORS, Band, Dots, Line, Mark, bars, table
from foldline.data.task import SHARES
from foldline.output.report.report_data import ReportData

TARGETS = 3  # most targets that are drawn over time
BARS = 6  # most classes, labels or targets of a series' single answer that are shown
ABOVE = 1.06  # height of the dots of true classes, above all probabilities

Chart = tuple[str, list[Mark]]  # (label of its y axis, what is drawn)


def over_time(report: ReportData, shown: slice, time: np.ndarray) -> list[Chart]:
    """Make a chart for each target, or one for all classes. shown: rows; time: (rows,) their order column."""
    if report.kind in SHARES:
        return [_classes(report, shown, time)]
    return [_target(report, column, shown, time) for column in range(min(TARGETS, len(report.names)))]


def _target(report: ReportData, column: int, shown: slice, time: np.ndarray) -> Chart:
    """Make the marks of a target: truth, prediction, expected error, exact rows."""
    scored = report.train.scored[shown]
    truth = np.where(report.train.known[shown, column], report.truth[shown, column], np.nan)
    values = np.where(scored, report.before_post[shown, column], np.nan)
    marks: list[Mark] = [*_band(report, shown, column, time, scored)]
    marks.append(Line(x=time, y=truth, style="neutral thick", label="truth"))
    marks.append(Line(x=time, y=values, label=report.models if len(report.members) > 1 else "prediction"))
    exact = np.zeros(len(time), bool) if report.is_exact is None else report.is_exact[shown] & scored
    if exact.any():
        read = np.where(exact, truth, np.nan)
        marks.append(Dots(x=time, y=read, style="ink", label="read back exactly"))
    return _title(report, column), marks


def _title(report: ReportData, column: int) -> str:
    """Say what the values of a column are."""
    name = report.names[column]
    titles = {
        "binary": f"probability of {report.competition.train.classes[-1] if report.kind == 'binary' else ''}",
        "multilabel": f"probability of {name}",
        "ordinal": f"rank of {name}",
    }
    return titles.get(report.kind, name)


def _band(report: ReportData, shown: slice, column: int, time: np.ndarray, scored: np.ndarray) -> list[Band]:
    """Make the band of the first member whose head predicts its error, if there is one."""
    for label, spread in report.spreads.items():
        center = report.predictions[label][shown, column]
        half = np.where(scored, spread[shown, column], np.nan)
        return [Band(x=time, low=center - half, high=center + half, label=f"{label}: expected error")]
    return []


def _classes(report: ReportData, shown: slice, time: np.ndarray) -> Chart:
    """Make a line for each class or share: those that are largest in the series, in truth or prediction."""
    scored, known = report.train.scored[shown, None], report.train.known[shown]
    truth = np.where(known, report.truth[shown], np.nan)
    values = np.where(scored, report.before_post[shown], np.nan)
    largest = np.nan_to_num(np.fmax(truth, values)).max(axis=0)
    marks: list[Mark] = []
    for column in np.sort(np.argsort(-largest, kind="stable")[: len(COLORS)]):
        color = COLORS[column % len(COLORS)]
        marks.append(Line(x=time, y=values[:, column], style=color, label=report.names[column]))
        if report.kind == "distribution":
            marks.append(Line(x=time, y=truth[:, column], style=f"{color} thick"))
        else:
            marks.append(Dots(x=time, y=np.where(truth[:, column] == 1, ABOVE, np.nan), style=color))
    return "share" if report.kind == "distribution" else "probability", marks


def one_answer(report: ReportData, number: int) -> str:
    """Show the single answer of a series: bars of probabilities, or a table of numbers."""
    truth, values = report.truth[number], report.before_post[number]
    if report.kind == "binary":
        truth, values = np.array([1 - truth[0], truth[0]]), np.array([1 - values[0], values[0]])
    if report.kind in ("regression", "ordinal"):
        rows = [
            [name, _number(report, truth[place]), f"{values[place]:.4g}"]
            for place, name in enumerate(report.names[:BARS])
        ]
        return table(["", "true", "predicted"], rows, plain=True)
    names = [str(label) for label in report.competition.train.classes] or list(report.names)
    order = np.lexsort((-values, -truth))[:BARS] if report.kind != "distribution" else np.argsort(-truth)[:BARS]
    rows_ = [(names[place], max(0.0, float(values[place])), _share(report, values, truth, place)) for place in order]
    marked = {names[place] for place in order if truth[place] == 1}
    return bars(rows_, longest=1.0, marked=marked)


def _number(report: ReportData, value: float) -> str:
    if report.kind == "ordinal":
        return f"{value:.0f} ({report.competition.train.classes[int(value)]})"
    return f"{value:.4g}"


def _share(report: ReportData, values: np.ndarray, truth: np.ndarray, place: int) -> str:
    """Write a probability, and what is true. values, truth: (K,)."""
    if report.kind == "distribution":
        return f"{values[place]:.3f}, true {truth[place]:.3f}"
    return f"{values[place]:.3f}{' · true' if truth[place] == 1 else ''}"
