"""The head of the report and its scores: by fold, by slice, by combination of static values."""

from __future__ import annotations

from html import escape

import numpy as np

from foldline.blend.fitted_blend import method_in_words
from foldline.core.durations import duration
from foldline.core.pages import Facts, figures, matrix, note, table
from foldline.experiment import loss_table
from foldline.experiment.loss_table import Slice
from foldline.experiment.scoring import SNAPPED
from foldline.output.report.report_data import SUBMITTED, ReportData
from foldline.output.report.training_section import seconds_of

MATRIX_LEVELS = 12  # most values of a static column that a matrix has room for


def summary(report: ReportData) -> str:
    """Describe the experiment in two sentences."""
    labels, way = report.result.labels, method_in_words(report.result.blend.method)
    text = f"{labels[0]}, scored on series that its models have not seen."
    if len(labels) > 1:
        text = f"A blend ({way}) of {_joined(labels)}, scored on series that neither models nor blend have seen."
    exact = report.exact[1]
    if exact is None:
        return text
    scored = report.competition.test.scored
    share = (exact.known & scored).sum() / max(1, scored.sum())
    return f"{text} {share:.0%} of the test rows that count are read back exactly, not predicted."


def _joined(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def facts(report: ReportData) -> Facts:
    """Collect the numbers of the head."""
    config, tested = report.config, report.competition.test
    return [
        (f"{report.result.score:.4f}", f"{config.data.metric}, out-of-fold"),
        (f"{len(report.train.lengths):,}", "training series"),
        (f"{len(tested.lengths):,}", "test series"),
        (str(len(report.cells)), "cells trained"),
        (duration(sum(map(seconds_of, report.cells))), "of training, all cells"),
    ]


def by_fold(report: ReportData) -> str:
    """Make the score table: members, blend and post-processing steps, in each fold and over all rows."""
    low, high = report.result.interval
    between = "" if np.isnan(low) else f", 95 % between {low:.4f} and {high:.4f} over series"
    fitted = ["the blend"] * (len(report.members) > 1) + ["the grid"] * (SNAPPED in report.result.scores)
    verb = "were" if len(fitted) > 1 else "was"
    others = f"; {' and '.join(fitted)} {verb} fitted on the other folds" if fitted else ""
    targets = report.config.data.target
    each = f" {_joined(targets)}: each target alone, over all rows; all else is of the mean loss over targets."
    return table(*report.result.table(report.config.data)) + note(
        f"Each fold is predicted by models that never saw its series{others}. The last row is what is submitted"
        f"{between}.{each if len(targets) > 1 else ''}"
    )


def by_slice(report: ReportData) -> str:
    """Make a table of slices: the score of what is submitted, of each member, and of what is submitted in each fold."""
    data, counts = report.config.data, report.loss_table.counts
    sums = {
        name: report.loss_table.losses(report.truth, values, report.metric)
        for name, values in report.predictions.items()
    }
    members, folds = report.result.labels, np.unique(report.fold[report.fold >= 0])
    rows = []
    for each in slices(report):
        scores = [_score(report, each, sums[name]) for name in (SUBMITTED, *members)]
        scores += [_score(report, each, sums[SUBMITTED], report.fold == number) for number in folds]
        share = each.of(counts).sum() / counts.sum()
        rows.append([f"{each.group}: {each.name}", f"{share:.1%}", *(_text(score) for score in scores)])
    columns = ["slice", "values", SUBMITTED, *members, *(f"fold {number}" for number in folds)]
    return table(columns, rows, plain=True) + note(
        f"{data.metric}, out-of-fold; the columns of folds are of what is submitted. Phases are thirds of the scored "
        "steps of a series" + ("." if report.is_exact is None else "; exact values are those that are read back.")
    )


def slices(report: ReportData) -> list[Slice]:
    """Slice the scored values by combinations of static values, by phase, and by exactness."""
    known, static = report.competition.levels, report.config.data.static
    return loss_table.slices(report.train, report.loss_table.counts, static, known)


def values(report: ReportData) -> dict[str, float]:
    """Collect all scores by name, for wandb: score, scores/ROW/fold N, slices/GROUP/NAME of what is submitted."""
    found = {"score": report.result.score}
    for name, scores in report.result.scores.items():
        found |= {f"scores/{name}/fold {number}": score for number, score in enumerate(scores[:-1])}
        found[f"scores/{name}/all"] = scores[-1]
    sums = report.loss_table.losses(report.truth, report.result.blended, report.metric)
    return found | {f"slices/{each.group}/{each.name}": _score(report, each, sums) for each in slices(report)}


def _score(report: ReportData, part: Slice, sums: np.ndarray, series: np.ndarray | None = None) -> float:
    """Score a slice; NaN where it is empty.

    Args:
        sums: (N, P, E) summed losses of the LossTable.
        series: (N,) bool, series to score; None: all.
    """
    loss, count = part.of(sums), part.of(report.loss_table.counts)
    if series is not None:
        loss, count = loss[series], count[series]
    return report.metric.finish(float(loss.sum() / count.sum())) if count.sum() else float("nan")


def _text(score: float) -> str:
    return "–" if np.isnan(score) else f"{score:.4f}"


def by_statics(report: ReportData) -> str:
    """Make matrices of scores, one static column down and the other across; empty where there are not two of them."""
    static = report.config.data.static
    if len(static) != 2 or max(report.train.levels) > MATRIX_LEVELS:
        return ""
    shown = {"models": report.before_post, SUBMITTED: report.result.blended}
    after = f": after {' and '.join(report.result.processed)}" if report.result.processed else ""
    title = {"models": report.models, SUBMITTED: f"{SUBMITTED}{after}"}
    same = np.array_equal(shown["models"], shown[SUBMITTED])
    pictures = [(escape(title[name]), _matrix(report, shown[name])) for name in ([SUBMITTED] if same else shown)]
    return figures(pictures) + note(
        f"{report.config.data.metric} over all scored values of the series with these values of "
        f"{static[0]} (down) and {static[1]} (across); the stronger the shade, the larger."
    )


def _matrix(report: ReportData, values: np.ndarray) -> str:
    """Make one: static column 0 down, static column 1 across. values: (R, K)."""
    sums = report.loss_table.losses(report.truth, values, report.metric).sum(axis=(1, 2))
    counts, codes = report.loss_table.counts.sum(axis=(1, 2)), report.train.static
    down, across = (np.unique(codes[:, column]) for column in (0, 1))
    cells = [[_mean_score(report, sums, counts, (codes == (a, b)).all(axis=1)) for b in across] for a in down]
    names = report.config.data.static
    levels = [report.competition.levels[name] for name in names]
    heads, sides = (
        [f"{names[column]} {levels[column][code - 1]}" for code in codes_]
        for column, codes_ in ((1, across), (0, down))
    )
    return matrix(heads, sides, np.array(cells))


def _mean_score(report: ReportData, sums: np.ndarray, counts: np.ndarray, inside: np.ndarray) -> float:
    count = counts[inside].sum()
    return report.metric.finish(float(sums[inside].sum() / count)) if count else float("nan")
