"""The head of the report and its scores: by fold, by slice, by combination of static values."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import polars as pl

from foldline.core.durations import duration
from foldline.core.pages import Facts, figures, matrix, note, table
from foldline.data import time_spans
from foldline.ensemble.fitted_blend import method_in_words
from foldline.experiment import loss_table
from foldline.experiment.after_blend import SNAPPED
from foldline.experiment.loss_table import Slice
from foldline.experiment.result import MOST_TARGETS, SUMMARY_OF_TARGETS
from foldline.output.report.report_data import SUBMITTED, ReportData
from foldline.output.report.training_section import seconds_of

TARGETS_FILE = "targets.csv"  # beside the page, where the score table has no room for all targets
MATRIX_LEVELS = 12  # most values of a static column that a matrix has room for


def summary(report: ReportData) -> str:
    """Describe the experiment in a few sentences."""
    labels, way = report.result.labels, method_in_words(report.result.blend.method)
    text = f"{labels[0]}, scored on series that its models have not seen."
    if len(labels) > 1:
        text = f"A blend ({way}) of {_joined(labels)}, scored on series that neither models nor blend have seen."
    if report.result.models_alone is not None:
        text = f"{text} {_exact(report, report.result.models_alone)}"
    data = report.config.data
    return f"{text} The data: {data.simulate.title}." if data.simulated else text


def _exact(report: ReportData, alone: float) -> str:
    """Say how much is read back exactly, and what the models alone reach."""
    exact, scored = report.exact[1], report.competition.test.scored
    assert exact is not None, "both tables are decoded, or none"
    share = (exact.known & scored).sum() / max(1, scored.sum())
    return (
        f"{100 * share:.0f} % of the test rows that count are read back exactly, not predicted: without such rows the "
        f"models alone reach {report.config.data.metric} {alone:.4f}."
    )


def _joined(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def facts(report: ReportData) -> Facts:
    """Collect the numbers of the head."""
    config, tested, alone = report.config, report.competition.test, report.result.models_alone
    return [
        (f"{report.result.score:.4f}", f"{config.data.metric}, out-of-fold"),
        *([(f"{alone:.4f}", f"{config.data.metric}, models alone")] if alone is not None else []),
        (f"{len(report.train.lengths):,}", "training series"),
        (f"{len(tested.lengths):,}", "test series"),
        (str(len(report.cells)), "cells trained"),
        (duration(sum(map(seconds_of, report.cells))), "of training, all cells"),
    ]


def by_fold(report: ReportData) -> str:
    """Make the score table: members, blend and post-processing steps, in each fold and over all rows."""
    low, high = report.result.interval
    between = "" if np.isnan(low) else f", 95 % between {low:.4f} and {high:.4f} over {report.config.units}"
    fitted = ["the blend"] * (len(report.members) > 1) + ["the grid"] * (SNAPPED in report.result.scores)
    verb = "were" if len(fitted) > 1 else "was"
    earlier = report.result.rows.known_from is not None
    where = "earlier folds (in the first one it is the mean)" if earlier else "the other folds"
    others = f"; {' and '.join(fitted)} {verb} fitted on {where}" if fitted else ""
    return table(*report.result.table(report.config.data)) + note(
        f"Each fold is predicted by models that never saw its series{others}. The last row is what is submitted"
        f"{between}.{_about_rows(report)}{_about_exact(report)}{_about_targets(report)}"
    )


def _about_rows(report: ReportData) -> str:
    """Say how many of the scored rows have a score; empty where all have."""
    result, folds = report.result, report.config.folds
    count = len(result.rows.y)
    if count == result.total:
        return ""
    what = f"scored {report.config.data.answers_called}"
    text = f" {count:,} of {result.total:,} {what} are held out by a fold, and only they have a score."
    if folds.kind != "time":
        return text
    by = folds.by or report.config.data.order
    of_dates = time_spans.read(folds, report.competition.train).of_dates
    unit = f" day{'' if folds.gap == 1 else 's'}" if of_dates else f" (in the unit of {by})"
    ends = f"more than {folds.gap:g}{unit} before it" if folds.gap else "before it begins"
    return (
        f"{text} Folds go by {by}: each is predicted from what ends {ends}, and test series by models of all training "
        "series."
    )


def _about_exact(report: ReportData) -> str:
    """Explain the row of the models alone; empty where no rows are read back."""
    if report.result.models_alone is None:
        return ""
    return " Models alone: all rows as predicted, before those that are read back exactly take their place."


def _about_targets(report: ReportData) -> str:
    """Explain the columns of single targets; empty where there are none."""
    targets, over = report.result.targets, report.result.counted_answers(report.config.data)
    if len(targets) > MOST_TARGETS:
        return (
            f" {_joined(SUMMARY_OF_TARGETS)}: of the scores of the {len(targets)} targets alone, over {over}; all of "
            f"them stand in {TARGETS_FILE} beside this page."
        )
    if len(targets) > 1:
        return f" {_joined(targets)}: each target alone, over {over}; all else is of all targets."
    return ""


def targets_csv(report: ReportData) -> str:
    """Write each target's scores over all rows as CSV, a column a row of the score table; empty for few targets."""
    result = report.result
    if len(result.targets) <= MOST_TARGETS:
        return ""
    return pl.DataFrame({"target": result.targets, **result.by_target}).write_csv()


def by_slice(report: ReportData) -> str:
    """Make a table of slices: what is submitted, each member, and what is submitted in each fold; empty without any.

    Labels that are submitted have no losses of probabilities: then it is what they are decided of.
    """
    counts, every = report.loss_table.counts, slices(report)
    if not every:
        return ""
    shown = report.shown_by(report.slice_metric)
    sums = {name: _sums(report, values) for name, values in shown.items()}
    *members, last = shown
    folds = np.unique(report.fold[report.fold >= 0])
    rows = []
    for each in every:
        scores = [_score(report, each, sums[name]) for name in (last, *members)]
        scores += [_score(report, each, sums[last], report.fold == number) for number in folds]
        share = each.of(counts).sum() / counts.sum()
        rows.append([f"{each.group}: {each.name}", f"{share:.1%}", *(_text(score) for score in scores)])
    columns = ["slice", "values", last, *members, *(f"fold {number}" for number in folds)]
    whose = "what is submitted" if last == SUBMITTED else report.of_probabilities
    text = f"{_shown(report)}, out-of-fold; the columns of folds are of {whose}."
    if not report.train.on_series:
        text += " Phases are thirds of the scored steps of a series"
        text += "." if report.is_exact is None else "; exact values are those that are read back."
    return table(columns, rows, plain=True) + note(text)


def _shown(report: ReportData) -> str:
    """Say what is shown of slices, in words: the metric, or a loss instead of it."""
    shown, metric = report.slice_metric.name, report.config.data.metric
    why = report.metric.why_resampled
    if report.metric.loss is None:
        return f"{shown.capitalize()} ({metric} {why})"
    return f"{metric} of all answers of a slice together (the score {why})" if why else metric


def _sums(report: ReportData, values: np.ndarray) -> np.ndarray:
    """Sum the losses that slices show, (N, P, E). values: (R, K)."""
    return report.loss_table.losses(report.truth, values, report.slice_metric)


def slices(report: ReportData) -> list[Slice]:
    """Slice the scored values by combinations of static values, by phase, and by exactness."""
    known, static = report.competition.levels, report.config.data.static
    return loss_table.slices(report.train, report.loss_table.weights, static, known)


def values(report: ReportData) -> dict[str, float]:
    """Collect all scores by name, for wandb: score, scores/ROW/fold N, slices/GROUP/NAME of what `by_slice` shows.

    Where the metric is no mean of losses, the names of slices say which loss they show.
    """
    found = {"score": report.result.score}
    if report.result.models_alone is not None:
        found["models alone"] = report.result.models_alone
    for name, scores in report.result.scores.items():
        found |= {f"scores/{name}/fold {number}": score for number, score in enumerate(scores[:-1])}
        found[f"scores/{name}/all"] = scores[-1]
    *_, (_, last) = report.shown_by(report.slice_metric).items()
    sums = _sums(report, last)
    head = "slices" if report.metric.loss is not None else f"slices, {report.slice_metric.name}"
    return found | {f"{head}/{each.group}/{each.name}": _score(report, each, sums) for each in slices(report)}


def _score(report: ReportData, part: Slice, sums: np.ndarray, series: np.ndarray | None = None) -> float:
    """Score a slice; NaN where it is empty.

    Args:
        sums: (N, P, E) summed losses of the LossTable.
        series: (N,) bool, series to score; None: all.
    """
    loss, count = part.of(sums), part.of(report.loss_table.weights)
    if series is not None:
        loss, count = loss[series], count[series]
    return report.slice_metric.finish(float(loss.sum() / count.sum())) if count.sum() else float("nan")


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
    names = [SUBMITTED] if np.array_equal(shown["models"], shown[SUBMITTED]) else [*shown]
    if SUBMITTED not in report.shown_by(report.slice_metric):
        names = ["models"]
    pictures = [(escape(title[name]), _matrix(report, shown[name])) for name in names]
    return figures(pictures) + note(
        f"{_shown(report)} over all scored values of the series with these values of "
        f"{static[0]} (down) and {static[1]} (across); the stronger the shade, the larger."
    )


def _matrix(report: ReportData, values: np.ndarray) -> str:
    """Make one: static column 0 down, static column 1 across. values: (R, K)."""
    sums = _sums(report, values).sum(axis=(1, 2))
    weights, codes = report.loss_table.weights.sum(axis=(1, 2)), report.train.static
    down, across = (np.unique(codes[:, column]) for column in (0, 1))
    cells = [[_mean_score(report, sums, weights, (codes == (a, b)).all(axis=1)) for b in across] for a in down]
    names = report.config.data.static
    levels = [report.competition.levels[name] for name in names]
    heads, sides = (
        [f"{names[column]} {loss_table.shown(levels[column], code)}" for code in codes_]
        for column, codes_ in ((1, across), (0, down))
    )
    return matrix(heads, sides, np.array(cells))


def _mean_score(report: ReportData, sums: np.ndarray, weights: np.ndarray, inside: np.ndarray) -> float:
    count = weights[inside].sum()
    return report.slice_metric.finish(float(sums[inside].sum() / count)) if count else float("nan")
