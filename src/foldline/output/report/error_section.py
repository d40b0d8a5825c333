"""Errors by step and by series, and the calibration of the errors that models expect of themselves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from foldline.core.pages import COLORS, Dots, Line, Mark, chart, figures, legend, note, table
from foldline.output.report.report_data import ReportData

BINS = 12  # of the calibration, of equally many values each
POINTS = 100  # of the curve of sorted series errors
LEAST = 1e-4  # of the largest error; smaller ones are left out of the logarithmic chart, whose axis they would stretch


def error_curves(report: ReportData) -> str:
    """Draw the metric, or the nearest loss, at each step where there are answers, and that of all series, sorted."""
    by_series: list[Mark] = []
    predictions = report.shown_by(report.series_metric)
    styles = styles_of(predictions)
    share = np.linspace(0, 100, POINTS + 1)
    for name, values in predictions.items():
        known = report.series_error(values)
        curve = np.percentile(known[np.isfinite(known)], share)
        curve[curve < LEAST * curve[-1]] = np.nan
        by_series.append(Line(x=share, y=curve, style=styles[name], label=name))
    loss = report.series_metric.name
    pictures = [
        (
            "by series, sorted",
            chart(by_series, xlabel="% of the series", ylabel=f"{loss} of a series", width=500, height=250, log=True),
        )
    ]
    by_step = [] if report.train.on_series else _by_step(report)
    if by_step:
        axis, shown = report.time_axis.label, report.slice_metric.name
        picture = chart(by_step, xlabel=axis, ylabel=shown, width=500, height=250, zero=True)
        pictures.insert(0, ("by step", picture))
    return f"{legend([*by_series, *by_step])}{figures(pictures, least=340)}{_remark(report)}"


def _by_step(report: ReportData) -> list[Mark]:
    time, kept = _time(report)
    predictions = report.shown_by(report.slice_metric)
    styles = styles_of(predictions)
    return [
        Line(x=time, y=report.step_error(values)[kept], style=styles[name], label=name)
        for name, values in predictions.items()
    ]


def _remark(report: ReportData) -> str:
    """Say which loss is shown where it is not the metric; empty where it is."""
    metric, shown = report.config.data.metric, report.series_metric.name
    if shown == report.metric.name:
        return ""
    why = report.metric.why_resampled if report.metric.loss is None else "of a single series hardly tells them apart"
    return note(f"{shown.capitalize()}, because {metric} {why}.")


def styles_of(predictions: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Choose a colour for each member; the last one, which is or becomes what is submitted, has the accent."""
    *members, last = predictions
    return {name: COLORS[place % len(COLORS)] for place, name in enumerate(members)} | {last: "accent"}


def _time(report: ReportData) -> tuple[np.ndarray, np.ndarray]:
    """Compute the mean time of each step, (shown,), and which steps are shown, (T,) bool."""
    store = report.train
    scored, step = store.scored, store.step_of_answer[store.scored]
    count = np.bincount(step, minlength=store.longest)
    kept = count > 0.01 * count.max()  # where under 1 % of the series are left, the curve is noise
    return np.bincount(step, report.time_axis.of_rows(report.competition.train)[scored], store.longest)[kept] / count[
        kept
    ], kept


def calibration(report: ReportData) -> str:
    """Draw the members' expected errors against their errors; empty where no head predicts its error."""
    if not report.spreads or report.kind not in ("regression", "ordinal"):
        return ""
    styles, rows = styles_of(report.predictions), []
    curves: list[Mark] = []
    for label, spread in report.spreads.items():
        inside = report.train.scored
        expected = spread[inside].ravel()
        actual = np.abs(report.predictions[label] - report.truth)[inside].ravel()
        bins = np.array_split(np.argsort(expected, kind="stable"), min(BINS, len(expected)))
        x, y = (np.array([values[part].mean() for part in bins]) for values in (expected, actual))
        curves += [Line(x=x, y=y, style=styles[label], label=label), Dots(x=x, y=y, style=styles[label])]
        ratio = actual.mean() / expected.mean()
        means = [f"{expected.mean():.4f}", f"{actual.mean():.4f}", f"{ratio:.2f}"]
        rows.append([label, *means, _rank_correlation(expected, actual)])
    edge = np.array([0.0, max(float(mark.x.max()) for mark in curves)])
    ideal = Line(x=edge, y=edge, style="neutral dashed", label="perfect calibration")
    picture = chart([ideal, *curves], xlabel="expected error", ylabel="error", width=420, height=300, zero=True)
    columns = ["member", "expected", "error", "error / expected", "rank correlation"]
    listed = table(columns, rows, plain=True) + note(
        "Mean absolute error that the head expects, and mean absolute error, of scored values, out-of-fold; each dot "
        f"is 1/{BINS} of the values, sorted by the expected error. A ratio above 1: the model is overconfident."
    )
    return figures([("", f"{legend([ideal, *curves])}{picture}"), ("", listed)], least=340)


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> str:
    """Compute Spearman's correlation of two arrays, (n,) each."""
    ranks = np.stack([np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (one, other)])
    return f"{np.corrcoef(ranks.astype(float))[0, 1]:.2f}"
