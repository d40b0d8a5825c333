"""What is submitted as decided labels: the confusion matrix, a table of classes, and shares and ranks as they are."""

from __future__ import annotations

import numpy as np

from foldline.core.pages import Dots, Line, Mark, chart, collapsed, figures, legend, matrix, note, table
from foldline.data.task import WITH_LABELS
from foldline.ensemble.decisions import STEPS
from foldline.output.report.decided import Rates, confusion, most_confused
from foldline.output.report.report_data import ReportData

MOST_CLASSES = 30  # that a confusion matrix has room for, and an open table
BESIDE = 45  # letters of names, with 4 around each, whose counts and shares stand side by side
PAIRS = 20  # of classes that are listed where there is no room for a matrix
POINTS = 2000  # most dots of a picture


def counted(report: ReportData) -> np.ndarray:
    """Count what is submitted by class, as answers weigh: (C, C), true down, decided across."""
    task, truth = report.competition.train.task, report.known(report.truth)
    codes = truth.argmax(axis=1) if report.kind == "multiclass" else truth[:, 0].astype(np.int64)
    return confusion(codes, task.codes(report.known(report.result.blended)), len(task.classes), report.weight)


def confusions(report: ReportData) -> str:
    """Draw the confusion matrix as counts and as shares of rows, or list the pairs confused most; empty for others."""
    if report.kind not in WITH_LABELS:
        return ""
    counts, names = counted(report), [str(label) for label in report.competition.train.classes]
    support = counts.sum(axis=1)
    shares = np.divide(counts, support[:, None], where=support[:, None] > 0, out=np.full(counts.shape, np.nan))
    answers = f"{int(report.train.scored.sum()):,} answers"
    right = f"{np.trace(counts) / counts.sum():.1%} of {answers} are right{report.weighing}"
    if len(names) > MOST_CLASSES:
        rows = [
            [names[true], names[other], f"{counts[true, other]:,.0f}", f"{shares[true, other]:.1%}"]
            for true, other in most_confused(counts, PAIRS)
        ]
        columns = ["true", "decided", "answers", "share of the true"]
        return table(columns, rows, plain=True) + note(f"{right}. Pairs of classes that are confused most often.")
    pictures = [
        ("answers", matrix(names, names, counts.astype(float), digits=0)),
        ("shares of each row", matrix(names, names, shares, digits=2)),
    ]
    wide = sum(len(name) + 4 for name in names) > BESIDE
    return figures(pictures, least=800 if wide else 340) + note(
        f"{right}. True classes down, decided ones across, of what is submitted, out-of-fold{_decision(report)}."
    )


def _decision(report: ReportData) -> str:
    """Say how a label is decided, as the end of a sentence."""
    fitted = next((step for step in report.result.processed if step in STEPS.values()), "")
    if fitted:
        return f"; {fitted}, fitted on the other folds, decide"
    ways = {
        "multiclass": "; the most probable class is decided",
        "binary": f"; {report.competition.train.classes[1]} is decided above a probability of 0.5",
        "ordinal": "; the nearest rank is decided",
    }
    return ways[report.kind]


def by_class(report: ReportData) -> str:
    """Make the table of classes or labels: support, precision, recall, F1; empty for kinds that have none."""
    if report.kind in WITH_LABELS:
        names, rates = [str(label) for label in report.competition.train.classes], Rates.of_counts(counted(report))
    elif report.kind == "multilabel":
        truth, values = report.known(report.truth), report.known(report.result.blended)
        names, rates = list(report.names), Rates.of_columns(truth, values > 0.5, report.weight)
    else:
        return ""
    rows = [
        [name, f"{support:,.0f}", f"{decided:,.0f}", *(_text(value) for value in values)]
        for name, support, decided, *values in zip(
            names, rates.support, rates.decided, rates.precision, rates.recall, rates.f1, strict=True
        )
    ]
    noun = "label" if report.kind == "multilabel" else "class"
    shown = table([noun, "support", "decided", "precision", "recall", "F1"], rows, plain=True)
    mean = f"Mean F1 {np.nanmean(rates.f1):.4f}."
    text = f"{mean} Of what is submitted, out-of-fold; support: answers that it is true of{report.weighing}."
    many = "labels" if noun == "label" else "classes"
    return (collapsed(f"{len(names)} {many}", shown) if len(names) > MOST_CLASSES else shown) + note(text)


def _text(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def by_share(report: ReportData) -> str:
    """Make the table of a distribution's columns: mean shares, true and predicted; empty for other kinds."""
    if report.kind != "distribution":
        return ""
    truth, values = report.known(report.truth), report.known(report.result.blended)
    parts = (truth, values, np.abs(values - truth))
    means = np.stack([part.mean(axis=0) for part in parts], axis=1)  # (K, 3)
    rows = [[name, *(f"{value:.4f}" for value in row)] for name, row in zip(report.names, means, strict=True)]
    columns = ["share", "mean, true", "mean, submitted", "mean absolute error"]
    sorted_ = np.sort(divergence(truth, values))
    at = np.linspace(0, 100, 101)
    line = Line(x=at, y=np.percentile(sorted_, at))
    picture = chart([line], xlabel="% of the answers", ylabel="KL divergence of an answer", zero=True)
    return figures([("", table(columns, rows, plain=True)), ("by answer, sorted", picture)], least=340) + note(
        f"KL divergence of what is submitted: mean {sorted_.mean():.4f}, median {np.median(sorted_):.4f}, "
        f"largest {sorted_[-1]:.4f}."
    )


def divergence(truth: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Compute the Kullback-Leibler divergence of each answer, (A,). truth, values: (A, K) shares."""
    from scipy.special import rel_entr

    return np.asarray(rel_entr(truth, np.clip(values, 1e-15, 1)).sum(axis=1))


def against_truth(report: ReportData) -> str:
    """Draw predictions against the truth: of ranks at any level, of numbers where there is one a series; else empty."""
    if report.kind != "ordinal" and not (report.kind == "regression" and report.train.on_series):
        return ""
    truth, values = report.known(report.truth), report.known(report.result.blended)
    pictures = []
    for column, name in list(enumerate(report.names))[:6]:
        x, y = truth[:, column], values[:, column]
        kept = np.linspace(0, len(x) - 1, min(POINTS, len(x))).round().astype(int)
        edge = np.array([x.min(), x.max()])
        dots = Dots(x=_spread(x, y)[kept] if report.kind == "ordinal" else x[kept], y=y[kept], label="an answer")
        marks: list[Mark] = [Line(x=edge, y=edge, style="neutral dashed", label="truth"), dots]
        noun = "rank of " if report.kind == "ordinal" else ""
        head = f"{noun}{name}, submitted"
        picture = chart(marks, xlabel=f"{noun}{name}, true", ylabel=head, width=420, height=300)
        pictures.append((legend(marks), picture))
    return figures(pictures, least=340) + (note(_ranks(report)) if report.kind == "ordinal" else "")


def _spread(ranks: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Move the answers of a rank apart, by their predictions, to 0.35 on either side: (A,)."""
    moved = ranks.astype(float)
    for rank in np.unique(ranks):
        inside = np.flatnonzero(ranks == rank)
        moved[inside[np.argsort(values[inside], kind="stable")]] += np.linspace(-0.35, 0.35, len(inside))
    return moved


def _ranks(report: ReportData) -> str:
    ranks = ", ".join(f"{rank}: {label}" for rank, label in enumerate(report.competition.train.classes[:MOST_CLASSES]))
    return f"Ranks are {ranks}. Answers of a rank are moved apart, the lower predictions to the left."
