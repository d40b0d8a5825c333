"""The report's page: its sections in order, the files it writes, and the experiment's summary for tracking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from foldline.core import artefacts, files, pages
from foldline.core.console import Terminal
from foldline.experiment import runs_index
from foldline.output.report import (
    baseline_section,
    blend_section,
    classes_section,
    cost_section,
    curves_section,
    error_section,
    examples_section,
    open_rows_section,
    score_section,
    training_section,
)
from foldline.output.report.report_data import Provenance, ReportData
from foldline.output.tracking import Summary, WandbTracker


def html(report: ReportData) -> str:
    """Make the page, as the text of an HTML file."""
    config, provenance = report.config, report.provenance
    again = pages.reproduction(provenance.command, provenance.environment, {"resolved config": config.tables()})
    sections = [
        ("Scores", score_section.by_fold(report)),
        ("Baselines", baseline_section.comparison(report)),
        ("Confusion", classes_section.confusions(report)),
        ("Labels" if report.kind == "multilabel" else "Classes", classes_section.by_class(report)),
        ("Thresholds", curves_section.thresholds(report)),
        ("Reliability", curves_section.reliabilities(report)),
        ("Shares", classes_section.by_share(report)),
        ("Truth and prediction", classes_section.against_truth(report)),
        ("Best, median and worst", examples_section.examples(report)),
        ("Errors", error_section.error_curves(report)),
        (f"Error by {' × '.join(config.data.static)}", score_section.by_statics(report)),
        ("Slices", score_section.by_slice(report)),
        ("Calibration", error_section.calibration(report)),
        ("Read back exactly", blend_section.exact_rows(report)),
        ("Open rows", open_rows_section.section(report)),
        ("Learning curves", training_section.curves(report)),
        ("Blend", blend_section.weights(report)),
        ("Time", training_section.times(report)),
        ("Machines", cost_section.costs(report)),
        ("Cells", training_section.cell_list(report)),
        ("How to reproduce it", again),
    ]
    return pages.page(config.name, "experiment", score_section.summary(report), score_section.facts(report), sections)


def tracking_summary(report: ReportData, artifacts: Mapping[str, Path]) -> Summary:
    """Collect what the tracker's summary run shows: config, scores by fold and slice, the blend, report and pictures.

    Args:
        artifacts: kind -> file, such as the submission and the folds.
    """
    blend = report.result.blend
    weights = [] if blend.weights is None else zip(blend.labels, blend.weights, strict=True)
    shown = {
        "confusion": classes_section.confusions(report),
        "thresholds": curves_section.thresholds(report),
        "reliability": curves_section.reliabilities(report),
        "best, median and worst": examples_section.examples(report),
        "errors": error_section.error_curves(report),
        "calibration": error_section.calibration(report),
        "learning curves": training_section.curves(report),
    }
    pictures = {f"pictures/{name}": f"<style>{pages.CSS}</style>{body}" for name, body in shown.items() if body}
    return Summary(
        config=report.config.tables(),
        values=score_section.values(report) | {f"blend/{label}": float(weight) for label, weight in weights},
        pages={"report": html(report), **pictures},
        artifacts=artifacts,
    )


def track(tracker: WandbTracker, report: ReportData, artifacts: Mapping[str, Path], terminal: Terminal) -> None:
    """Send the summary of the experiment to the tracker, beside the runs of its cells.

    Args:
        artifacts: as in `tracking_summary`.
    """
    with tracker:
        if tracker.mode != "disabled":
            tracker.log_summary(tracking_summary(report, artifacts))
    if tracker.trouble:
        terminal.warn(tracker.trouble, again=False)


def write(folder: Path, report: ReportData) -> Path:
    """Write report.html and made.json, the experiment's provenance, and return the page's path.

    Where there are many targets, targets.csv has the scores of each.

    A run that finds everything finished takes almost no time. So the longest time of each step so far is kept.
    """
    before, now = read_provenance(folder), dict(report.provenance.seconds)
    if before is not None:
        now = {name: max(now.get(name, 0.0), before.seconds.get(name, 0.0)) for name in {**before.seconds, **now}}
    provenance = replace(report.provenance, seconds=now)
    artefacts.write_json(folder / "made.json", asdict(provenance))
    if targets := score_section.targets_csv(report):
        files.write_text(folder / score_section.TARGETS_FILE, targets)
    files.write_text(folder / "report.html", html(replace(report, provenance=provenance)))
    return folder / "report.html"


def read_provenance(folder: Path) -> Provenance | None:
    """Read how the experiment in a folder was made; None where no made.json lies there, as in a bundle."""
    value = runs_index.provenance(folder)
    return Provenance(**value) if value else None
