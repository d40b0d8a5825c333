"""The head of the report and its scores: by fold, by slice, by combination of static values."""

from __future__ import annotations

from html import escape

import numpy as np

from foldline.blend.rules import shown as in_words
from foldline.core.pages import Facts, figures, matrix, note, table
from foldline.experiment import loss_table
from foldline.experiment.loss_table import Slice
from foldline.experiment.scoring import SNAPPED
from foldline.output.report.report_data import SUBMITTED, Evidence
from foldline.output.report.training_section import duration, seconds_of


def lead(evidence: Evidence) -> str:
    """The experiment in two sentences."""
    labels, way = evidence.result.labels, in_words(evidence.result.blend.method)
    text = f"{labels[0]}, scored on series that its models have not seen."
    if len(labels) > 1:
        text = f"A blend ({way}) of {_listed(labels)}, scored on series that neither models nor blend have seen."
    exact = evidence.exact[1]
    if exact is None:
        return text
    scored = evidence.competition.test.scored
    share = (exact.known & scored).sum() / max(1, scored.sum())
    return f"{text} {share:.0%} of the test rows that count are read back exactly, not predicted."


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def facts(evidence: Evidence) -> Facts:
    """The numbers of the head."""
    config, tested = evidence.config, evidence.competition.test
    return [
        (f"{evidence.result.score:.4f}", f"{config.data.metric}, out-of-fold"),
        (f"{len(evidence.train.lengths):,}", "series to learn from"),
        (f"{len(tested.lengths):,}", "series to predict"),
        (str(len(evidence.cells)), "cells trained"),
        (duration(sum(map(seconds_of, evidence.cells))), "of training, all cells"),
    ]


def by_fold(evidence: Evidence) -> str:
    """The score table: each step of the way, in each fold and over all rows."""
    low, high = evidence.result.interval
    between = "" if np.isnan(low) else f", 95 % between {low:.4f} and {high:.4f} over series"
    fitted = ["the blend"] * (len(evidence.members) > 1) + ["the grid"] * (SNAPPED in evidence.result.scores)
    verb = "were" if len(fitted) > 1 else "was"
    others = f"; {' and '.join(fitted)} {verb} fitted on the other folds" if fitted else ""
    targets = evidence.config.data.target
    each = f" {_listed(targets)}: each target alone, over all rows; all else is of the mean loss over targets."
    return table(*evidence.result.table(evidence.config.data)) + note(
        f"Each fold is predicted by models that never saw its series{others}. The last row is what is submitted"
        f"{between}.{each if len(targets) > 1 else ''}"
    )


def by_slice(evidence: Evidence) -> str:
    """A row a slice: every member, what is submitted, and that in each fold."""
    data, counts = evidence.config.data, evidence.book.counts
    sums = {
        name: evidence.book.losses(evidence.truth, values, evidence.metric)
        for name, values in evidence.predictions.items()
    }
    members, folds = evidence.result.labels, np.unique(evidence.fold[evidence.fold >= 0])
    rows = []
    for each in slices(evidence):
        scores = [_score(evidence, each, sums[name]) for name in (SUBMITTED, *members)]
        scores += [_score(evidence, each, sums[SUBMITTED], evidence.fold == number) for number in folds]
        share = each.of(counts).sum() / counts.sum()
        rows.append([f"{each.group}: {each.name}", f"{share:.1%}", *(_shown(score) for score in scores)])
    columns = ["slice", "values", SUBMITTED, *members, *(f"fold {number}" for number in folds)]
    return table(columns, rows, plain=True) + note(
        f"{data.metric}, out-of-fold; the columns of folds are of what is submitted. Phases are thirds of the scored "
        "steps of a series" + ("." if evidence.known is None else "; exact values are those that are read back.")
    )


def slices(evidence: Evidence) -> list[Slice]:
    """Combinations of static values, phases, and what is read back exactly."""
    known, static = evidence.competition.levels, evidence.config.data.static
    return loss_table.slices(evidence.train, evidence.book.counts, static, known)


def values(evidence: Evidence) -> dict[str, float]:
    """All scores by name, for wandb: score, scores/ROW/fold N, slices/GROUP/NAME of what is submitted."""
    found = {"score": evidence.result.score}
    for name, scores in evidence.result.scores.items():
        found |= {f"scores/{name}/fold {number}": score for number, score in enumerate(scores[:-1])}
        found[f"scores/{name}/all"] = scores[-1]
    sums = evidence.book.losses(evidence.truth, evidence.result.blended, evidence.metric)
    return found | {f"slices/{each.group}/{each.name}": _score(evidence, each, sums) for each in slices(evidence)}


def _score(evidence: Evidence, part: Slice, sums: np.ndarray, series: np.ndarray | None = None) -> float:
    """Of a slice, of some of the series; NaN where nothing is in it. sums: (N, P, E); series: (N,) bool; None: all."""
    loss, count = part.of(sums), part.of(evidence.book.counts)
    if series is not None:
        loss, count = loss[series], count[series]
    return evidence.metric.finish(float(loss.sum() / count.sum())) if count.sum() else float("nan")


def _shown(score: float) -> str:
    return "–" if np.isnan(score) else f"{score:.4f}"


def by_statics(evidence: Evidence) -> str:
    """Matrices of scores, one static column down and the other across; nothing where there are not two."""
    static = evidence.config.data.static
    if len(static) != 2 or max(evidence.train.levels) > 12:
        return ""
    shown = {"models": evidence.modelled, SUBMITTED: evidence.result.blended}
    after = f": after {' and '.join(evidence.result.processed)}" if evidence.result.processed else ""
    title = {"models": evidence.models, SUBMITTED: f"{SUBMITTED}{after}"}
    same = np.array_equal(shown["models"], shown[SUBMITTED])
    pictures = [(escape(title[name]), _matrix(evidence, shown[name])) for name in ([SUBMITTED] if same else shown)]
    return figures(pictures) + note(
        f"{evidence.config.data.metric} over all scored values of the series with these values of "
        f"{static[0]} (down) and {static[1]} (across); the stronger the shade, the larger."
    )


def _matrix(evidence: Evidence, values: np.ndarray) -> str:
    """HTML: static column 0 down, static column 1 across. values: (N, T, K)."""
    sums = evidence.book.losses(evidence.truth, values, evidence.metric).sum(axis=(1, 2))
    counts, codes = evidence.book.counts.sum(axis=(1, 2)), evidence.train.static
    down, across = (np.unique(codes[:, column]) for column in (0, 1))
    cells = [[_finished(evidence, sums, counts, (codes == (a, b)).all(axis=1)) for b in across] for a in down]
    names = evidence.config.data.static
    levels = [evidence.competition.levels[name] for name in names]
    heads, sides = (
        [f"{names[column]} {levels[column][code - 1]}" for code in codes_]
        for column, codes_ in ((1, across), (0, down))
    )
    return matrix(heads, sides, np.array(cells))


def _finished(evidence: Evidence, sums: np.ndarray, counts: np.ndarray, inside: np.ndarray) -> float:
    count = counts[inside].sum()
    return evidence.metric.finish(float(sums[inside].sum() / count)) if count else float("nan")
