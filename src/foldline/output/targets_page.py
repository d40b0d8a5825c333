"""The page of an experiment of several targets: the mean of their scores, and the way to each target's own report."""

from __future__ import annotations

from dataclasses import asdict
from html import escape
from pathlib import Path

import numpy as np

from foldline.core import artefacts, files, pages
from foldline.experiment.several_targets import JoinedResult, metric_in_words
from foldline.output.report import Provenance

OWN_REPORT = (
    "Each target has a report of its own, with its folds, baselines, models, blend, decisions, errors and cells: what "
    "is fitted is fitted for one target. The mean alone has no folds: strata, and so folds, may differ between targets."
)


def html(joined: JoinedResult, provenance: Provenance) -> str:
    """Make the whole page as text."""
    several, (low, high) = joined.several, joined.interval[:2]
    units = several.parts[0].config.units
    between = "" if np.isnan(low) else f" 95 % between {low:.4f} and {high:.4f}, {units} drawn for all targets at once."
    links = "".join(
        f"<li><a href='{escape(part.name)}/report.html'>{escape(part.name)}</a></li>" for part in several.parts
    )
    environment = dict(sorted(provenance.environment.items()))
    sections = [
        ("Targets", pages.table(*joined.table()) + pages.note(f"{_about(joined)}{between}")),
        ("Report of each target", f"<ul>{links}</ul>{pages.note(OWN_REPORT)}"),
        (
            "How to reproduce it",
            pages.reproduction(provenance.command, environment, {"config": several.given}),
        ),
    ]
    lost = f" Worse than a trivial baseline: {', '.join(joined.lost)}." if joined.lost else ""
    lead = f"{metric_in_words(several)[0].upper()}{metric_in_words(several)[1:]}: {joined.score:.4f}.{lost}"
    facts = [(f"{joined.score:.4f}", f"out-of-fold {metric_in_words(several)}"), (str(len(several.parts)), "targets")]
    return pages.page(several.name, "experiment", lead, facts, sections)


def _about(joined: JoinedResult) -> str:
    """Say what the last row is."""
    if joined.whole is None:
        return "The mean is weighted by share."
    return f"{joined.name} scores all targets together; each is blended and decided on by its own metric."


def write(folder: Path, joined: JoinedResult, provenance: Provenance) -> Path:
    """Write report.html, and made.json, which says how the experiment was made; return the page's path."""
    artefacts.write_json(folder / "made.json", asdict(provenance))
    files.write_text(folder / "report.html", html(joined, provenance))
    return folder / "report.html"
