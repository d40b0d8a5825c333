"""What became of the predictions: the blend's weights, and rows that are read back exactly instead."""

from __future__ import annotations

from html import escape

from foldline.blend.rules import shown as in_words
from foldline.core.pages import bars, note, table
from foldline.output.report.report_data import Evidence


def weights(evidence: Evidence) -> str:
    """A bar a member; a sentence for blends that have no weights."""
    blend, scores = evidence.result.blend, evidence.result.scores
    if blend.weights is None:
        labels = escape(", ".join(evidence.result.labels))
        return f"<p>{escape(in_words(blend.method))} of {labels}: it has no weights.</p>"
    shown = [
        (label, float(weight), f"{weight:.2f} · {scores[label][-1]:.4f} alone")
        for label, weight in zip(blend.labels, blend.weights, strict=True)
    ]
    return bars(sorted(((name, max(0.0, w), text) for name, w, text in shown), key=lambda row: -row[1])) + note(
        f"Weights by {in_words(blend.method)}, of all out-of-fold rows: test predictions get these. Scores above are "
        "of weights fitted without the fold they are scored on."
    )


def decoded(evidence: Evidence) -> str:
    """How many scored rows were read back, and by which stage of the decoder; nothing where post.decode is off."""
    tables, rows, stages = (evidence.competition.train, evidence.competition.test), [], dict[str, list[int]]()
    for place, (table_, found) in enumerate(zip(tables, evidence.exact, strict=True)):
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
