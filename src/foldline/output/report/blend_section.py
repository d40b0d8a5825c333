"""The blend's weights, and the rows whose predictions are replaced by exact values."""

from __future__ import annotations

from html import escape

from foldline.core.pages import bars, note, table
from foldline.ensemble.fitted_blend import method_in_words
from foldline.ensemble.target_weights import described
from foldline.output.report.report_data import ReportData


def weights(report: ReportData) -> str:
    """Draw a bar for each member's weight; a sentence for blends without weights."""
    blend, scores = report.result.blend, report.result.scores
    if blend.weights is None:
        labels = escape(", ".join(report.result.labels))
        return f"<p>{escape(method_in_words(blend.method))} of {labels}, without weights.</p>"
    shown = [
        (label, float(weight), f"{weight:.2f} · {scores[label][-1]:.4f} alone")
        for label, weight in zip(blend.labels, blend.weights, strict=True)
    ]
    return (
        bars(sorted(((name, max(0.0, w), text) for name, w, text in shown), key=lambda row: -row[1]))
        + note(
            f"Weights by {method_in_words(blend.method)}, of all out-of-fold rows: test predictions get these. "
            "Scores above are of weights fitted without the fold they are scored on."
        )
        + _of_targets(report)
    )


def _of_targets(report: ReportData) -> str:
    """Make a table of the weights of each target; empty where all have the same."""
    blend, targets = report.result.blend, report.config.data.target
    rows = [[name, *(f"{weight:.2f}" for weight in own)] for name, own in described(blend.rule, targets).items()]
    text = "Weights of each target, where own ones help on the other folds; the bars are their means."
    return table(["target", *blend.labels], rows) + note(text) if rows else ""


def exact_rows(report: ReportData) -> str:
    """Count the scored rows that are read back, by file and by stage of the decoder; empty where post.decode is off."""
    tables, rows, stages = (report.competition.train, report.competition.test), [], dict[str, list[int]]()
    for place, (table_, found) in enumerate(zip(tables, report.exact, strict=True)):
        if found is not None:
            scored, counts = int(table_.scored.sum()), found.counts(table_.scored)
            rows.append([table_.path.name, f"{scored:,}", f"{sum(counts.values()) / max(1, scored):.1%}"])
            for kind, count in counts.items():
                stages.setdefault(kind, [0, 0])[place] = count
    if not rows:
        return ""
    kinds = [
        (kind, float(sum(counts)), " + ".join(f"{count:,}" for count in counts)) for kind, counts in stages.items()
    ]
    kinds.sort(key=lambda row: -row[1])
    return (
        table(["file", "scored rows", "read back exactly"], rows, plain=True)
        + f"<br>{bars(kinds)}"
        + note("Scored rows by the stage of the decoder that proved them, in the training file + in the test file.")
    )
