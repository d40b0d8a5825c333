"""The rows that a decoder leaves open: errors by kind of row, and by how it lies to exact ones."""

from __future__ import annotations

import numpy as np

from foldline.core.pages import note, table
from foldline.data import open_rows
from foldline.experiment.scoring import opens
from foldline.output.report.report_data import SUBMITTED, ReportData

RANKED = "ranked"  # the kind of rows that an estimate settles: they are not exact
RANKED_IN_WORDS = (
    "They are the only solution of the decoder's equation inside the estimator's window: members' columns show what "
    "they would be without. Where the window misses the truth, they are wrong."
)
ESTIMATED = "estimated"  # the kind of rows that no decoder has settled


def by_kind(report: ReportData) -> str:
    """Make the tables of kinds and classes of rows, members beside what is submitted; empty without an estimator."""
    exact = report.exact[0]
    if exact is None or not opens(report.config):
        return ""
    scored = report.train.scored
    kinds = np.where(exact.known, exact.kinds, np.where(report.is_ranked, RANKED, ESTIMATED))[scored]
    names = open_rows.classes(report.train.fingerprint)[scored]
    of_open = np.where(exact.known[scored] | report.is_ranked[scored], "", names)
    columns = [*report.predictions, "share of the score"]
    first, second = (_rows(report, each, columns) for each in (kinds, of_open))
    labels = ["rows", "count", *columns]
    sentence = note(
        f"{report.slice_metric.name} over scored rows, out-of-fold. Exact rows are read back, by kind of proof; the "
        "others are estimated, and only they are learned and decide the blend. Below, estimated rows by where they "
        "lie. What the estimator expects of its errors stands under Calibration."
    )
    counts = report.ranked_counts
    about = "" if counts is None else note(f"{counts.sentence.capitalize()}. {RANKED_IN_WORDS}")
    return table(labels, first) + table(labels, second) + sentence + about


def _rows(report: ReportData, names: np.ndarray, columns: list[str]) -> list[list[str]]:
    """Make a row for each name but the empty one, most rows first. names: (R scored,) text."""
    found, counts = np.unique(names[names != ""], return_counts=True)
    losses = {label: _loss(report, values) for label, values in report.predictions.items()}
    total = losses[SUBMITTED].sum()
    rows = []
    for name, count in sorted(zip(found.tolist(), counts.tolist(), strict=True), key=lambda each: -each[1]):
        inside = names == name
        means = [f"{losses[label][inside].mean():.4f}" for label in columns[:-1]]
        rows.append([name, f"{count:,}", *means, f"{losses[SUBMITTED][inside].sum() / total:.1%}" if total else ""])
    return rows


def _loss(report: ReportData, values: np.ndarray) -> np.ndarray:
    """Return the loss of each scored row, (R scored,). values: (R, K)."""
    scored = report.train.scored
    return np.asarray(report.slice_metric.row_loss(report.truth[scored], values[scored]))
