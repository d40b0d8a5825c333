"""Probabilities: how often what they say happens, and what each threshold would find."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from foldline.core.pages import COLORS, Dots, Line, Mark, chart, figures, legend, note, table
from foldline.output.report.decided import BINS, Curves, curves, reliability, thinned
from foldline.output.report.error_section import styles_of
from foldline.output.report.report_data import ReportData

LABELS = 6  # most labels of a multilabel target that have curves


def reliabilities(report: ReportData) -> str:
    """Draw how often what is predicted happens, by its probability; empty where no probabilities are predicted."""
    if report.kind not in ("binary", "multiclass", "multilabel"):
        return ""
    styles, marks = styles_of(report.probabilities), list[Mark]()
    for name, values in report.probabilities.items():
        found = reliability(*_events(report, values))
        there = found.answers > 0
        x, y = found.probability[there], found.share[there]
        marks += [Line(x=x, y=y, style=styles[name], label=name), Dots(x=x, y=y, style=styles[name])]
    ideal = Line(x=np.array([0.0, 1.0]), y=np.array([0.0, 1.0]), style="neutral dashed", label="perfect")
    picture = chart(
        [ideal, *marks], xlabel=_event(report), ylabel="share that it is true of", width=420, height=300, zero=True
    )
    rows = [
        [f"{place / BINS:.1f} to {(place + 1) / BINS:.1f}", f"{count:,.0f}", f"{probability:.3f}", f"{share:.3f}"]
        for place, (count, probability, share) in enumerate(zip(*found, strict=True))  # of the last one
        if count
    ]
    listed = table(["probability", "answers", "mean", "share true"], rows, plain=True) + note(
        f"Of {report.of_probabilities}, out-of-fold. Mean distance from the diagonal, by answers: {found.gap:.4f} "
        f"(expected calibration error){report.weighing}."
    )
    return figures([("", f"{legend([ideal, *marks])}{picture}"), ("", listed)], least=340)


def _events(report: ReportData, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return probabilities of scored answers, whether what they are of is true, and their weights, all (n,).

    values: (R, K).
    """
    truth, known = report.known(report.truth), report.known(values)
    if report.kind == "multiclass":
        decided = known.argmax(axis=1)
        return known.max(axis=1), truth[np.arange(len(truth)), decided], report.weight
    weight = None if report.weight is None else np.repeat(report.weight, known.shape[1])
    return known.ravel(), truth.ravel(), weight


def _event(report: ReportData) -> str:
    """Say what the probabilities are of."""
    if report.kind == "binary":
        return f"probability of {report.competition.train.classes[1]}"
    return "probability of the decided class" if report.kind == "multiclass" else "probability of a label"


def thresholds(report: ReportData) -> str:
    """Draw ROC, precision over recall, and F1 over the threshold; empty for kinds without labels of yes and no."""
    found, styles = _curves(report)
    if not found:
        return ""
    pictures = [_roc(found, styles), _precision(found, styles), _by_threshold(report, found, styles)]
    rows = []
    for name, each in found.items():
        best = int(each.f1.argmax())
        rows.append([name, f"{each.auc:.4f}", f"{each.average_precision:.4f}", f"{each.f1[best]:.4f}"])
        rows[-1].append(f"{each.threshold[best]:.3f}")
    of = "label" if report.kind == "multilabel" else "predictions"
    listed = table([of, "AUC", "average precision", "best F1", "at the threshold"], rows, plain=True)
    left = len(report.names) - len(found) if report.kind == "multilabel" else 0
    return f"{figures(pictures)}<br>{listed}" + note(_remark(report, left))


def _last(report: ReportData) -> str:
    """Name what is submitted, or becomes it when labels are decided."""
    return next(reversed(report.probabilities))


def _curves(report: ReportData) -> tuple[dict[str, Curves], dict[str, str]]:
    """Compute the curves of each member (binary) or of each label of the last one, and choose their colours."""
    truth = report.known(report.truth)
    if report.kind == "binary":
        shown = report.probabilities
        pairs = {name: (truth[:, 0], report.known(values)[:, 0]) for name, values in shown.items()}
        styles = styles_of(shown)
    elif report.kind == "multilabel":
        values = report.known(report.probabilities[_last(report)])
        pairs = {name: (truth[:, k], values[:, k]) for k, name in enumerate(report.names[:LABELS])}
        styles = dict(zip(pairs, COLORS, strict=False))
    else:
        return {}, {}
    every = {name: curves(*pair, report.weight) for name, pair in pairs.items()}
    return {name: each for name, each in every.items() if each is not None}, styles


def _remark(report: ReportData, left: int) -> str:
    text = (
        f"Out-of-fold, over all scored answers{report.weighing}. The best threshold is chosen on the answers that it "
        "is scored on."
    )
    if report.kind == "multilabel":
        text = f"Of {report.of_probabilities}. {text}"
    return f"{text} {left} more labels are not drawn." if left else text


def _roc(found: Mapping[str, Curves], styles: Mapping[str, str]) -> tuple[str, str]:
    marks: list[Mark] = [Line(x=np.array([0.0, 1.0]), y=np.array([0.0, 1.0]), style="neutral dashed")]
    for name, each in found.items():
        x, y = thinned(each.false_rate, each.true_rate)
        marks.append(Line(x=x, y=y, style=styles[name], label=name))
    return f"ROC{legend(marks)}", chart(marks, xlabel="false positive rate", ylabel="true positive rate", height=300)


def _precision(found: Mapping[str, Curves], styles: Mapping[str, str]) -> tuple[str, str]:
    marks: list[Mark] = []
    for name, each in found.items():
        x, y = thinned(each.recall, each.precision)
        marks.append(Line(x=x, y=y, style=styles[name], label=name))
    picture = chart(marks, xlabel="recall", ylabel="precision", height=300, holds=(0, 1))
    return f"precision and recall{legend(marks)}", picture


def _by_threshold(report: ReportData, found: Mapping[str, Curves], styles: Mapping[str, str]) -> tuple[str, str]:
    """Draw F1 by threshold of each label, or of what is submitted with its precision and recall."""
    marks: list[Mark] = []
    if report.kind == "multilabel":
        for name, each in found.items():
            x, y = thinned(each.threshold, each.f1)
            marks.append(Line(x=x, y=y, style=styles[name], label=f"F1 of {name}"))
    else:
        each = found[_last(report)]
        parts = {"F1": each.f1, "precision": each.precision[:-1], "recall": each.recall[:-1]}
        for (name, values), style in zip(parts.items(), ("accent", "c1", "c3"), strict=True):
            x, y = thinned(each.threshold, values)
            marks.append(Line(x=x, y=y, style=style, label=name))
    picture = chart(marks, xlabel="threshold of the probability", height=300, holds=(0, 1))
    title = "by threshold" if report.kind == "multilabel" else f"by threshold, {_last(report)}"
    return f"{title}{legend(marks)}", picture
