"""Where the errors are: by step, by series; and whether models that say how far off they are, are right."""

from __future__ import annotations

import numpy as np

from foldline.core.pages import COLORS, Dots, Line, Mark, chart, figures, legend, note, table
from foldline.output.report.report_data import SUBMITTED, Evidence

BINS = 12  # of the calibration, of equally many values each
POINTS = 100  # of the curve of sorted series errors
LEAST = 1e-4  # of the largest error: what is smaller is left out of a logarithmic picture


def shapes(evidence: Evidence) -> str:
    """The metric at each step, and that of all series, sorted."""
    styles = styles_of(evidence)
    time, kept = _time(evidence)
    by_step: list[Mark] = []
    by_series: list[Mark] = []
    share = np.linspace(0, 100, POINTS + 1)
    for name, values in evidence.predictions.items():
        by_step.append(Line(x=time, y=evidence.step_error(values)[kept], style=styles[name], label=name))
        known = evidence.series_error(values)
        curve = np.percentile(known[np.isfinite(known)], share)
        curve[curve < LEAST * curve[-1]] = np.nan
        by_series.append(Line(x=share, y=curve, style=styles[name]))
    order, metric = evidence.config.data.order, evidence.config.data.metric
    pictures = [
        ("by step", chart(by_step, xlabel=order, ylabel=metric, width=500, height=250, zero=True)),
        (
            "by series, sorted",
            chart(by_series, xlabel="% of the series", ylabel=f"{metric} of a series", width=500, height=250, log=True),
        ),
    ]
    return f"{legend(by_step)}{figures(pictures, least=340)}"


def styles_of(evidence: Evidence) -> dict[str, str]:
    """A colour for each member; the accent for what is submitted."""
    members = [name for name in evidence.predictions if name != SUBMITTED]
    return {name: COLORS[place % len(COLORS)] for place, name in enumerate(members)} | {SUBMITTED: "accent"}


def _time(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the order column at each step, and which steps are shown: (shown,), (T,) bool."""
    store = evidence.train
    scored, step = store.scored, store.step_of_row[store.scored]
    count = np.bincount(step, minlength=store.longest)
    kept = count > 0.01 * count.max()  # a few long series would draw noise
    frame = evidence.competition.train.frame
    order = frame[evidence.config.data.order].to_numpy()[scored]
    return np.bincount(step, order, store.longest)[kept] / count[kept], kept


def calibration(evidence: Evidence) -> str:
    """What members said of their errors against what those were; nothing where no head knows it."""
    if not evidence.spreads:
        return ""
    styles, rows = styles_of(evidence), []
    curves: list[Mark] = []
    for label, spread in evidence.spreads.items():
        inside = evidence.train.scored
        said = spread[inside].ravel()
        was = np.abs(evidence.predictions[label] - evidence.truth)[inside].ravel()
        bins = np.array_split(np.argsort(said, kind="stable"), min(BINS, len(said)))
        x, y = (np.array([values[part].mean() for part in bins]) for values in (said, was))
        curves += [Line(x=x, y=y, style=styles[label], label=label), Dots(x=x, y=y, style=styles[label])]
        rows.append(
            [label, f"{said.mean():.4f}", f"{was.mean():.4f}", f"{was.mean() / said.mean():.2f}", _ranks(said, was)]
        )
    edge = np.array([0.0, max(float(mark.x.max()) for mark in curves)])
    ideal = Line(x=edge, y=edge, style="neutral dashed", label="as it should be")
    picture = chart(
        [ideal, *curves], xlabel="expected error", ylabel="error as it was", width=420, height=300, zero=True
    )
    columns = ["member", "expected", "was", "was / expected", "rank correlation"]
    said_all = table(columns, rows, plain=True) + note(
        "Mean absolute error that the head expects of each scored value, and what it was, out-of-fold; each dot is "
        f"1/{BINS} of the values, sorted by what was expected. Above 1: too sure of itself."
    )
    return figures([("", f"{legend([ideal, *curves])}{picture}"), ("", said_all)], least=340)


def _ranks(one: np.ndarray, other: np.ndarray) -> str:
    """Spearman's correlation."""
    ranks = np.stack([np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (one, other)])
    return f"{np.corrcoef(ranks.astype(float))[0, 1]:.2f}"
