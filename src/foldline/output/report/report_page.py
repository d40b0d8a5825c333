"""The report as a whole: its sections in order, and the files it leaves in the experiment's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from foldline.core import files, pages
from foldline.core.console import Terminal
from foldline.output.report import blend_section, error_section, examples_section, score_section, training_section
from foldline.output.report.report_data import Evidence, Made
from foldline.output.tracking import Summary, WandbTracker


def whole(evidence: Evidence) -> str:
    """The page as text."""
    config, made = evidence.config, evidence.made
    sections = [
        ("Scores", score_section.by_fold(evidence)),
        ("Best, median and worst", examples_section.panels(evidence)),
        ("Errors", error_section.shapes(evidence)),
        (f"Error by {' × '.join(config.data.static)}", score_section.by_statics(evidence)),
        ("Slices", score_section.by_slice(evidence)),
        ("Calibration", error_section.calibration(evidence)),
        ("Read back exactly", blend_section.decoded(evidence)),
        ("Learning curves", training_section.curves(evidence)),
        ("Blend", blend_section.weights(evidence)),
        ("Time", training_section.times(evidence)),
        ("Cells", training_section.listed(evidence)),
        ("How to make it again", pages.reproduction(made.command, made.environment, {"resolved config": config.tables()})),
    ]
    return pages.page(config.name, "experiment", score_section.lead(evidence), score_section.facts(evidence), sections)


def told(evidence: Evidence, artifacts: Mapping[str, Path]) -> Summary:
    """What wandb's summary run gets: config, scores by fold and slice, the blend, the report and its pictures.

    Args:
        artifacts: kind -> file, such as the submission and the folds.
    """
    blend = evidence.result.blend
    weights = [] if blend.weights is None else zip(blend.labels, blend.weights, strict=True)
    shown = {
        "best, median and worst": examples_section.panels(evidence),
        "errors": error_section.shapes(evidence),
        "calibration": error_section.calibration(evidence),
        "learning curves": training_section.curves(evidence),
    }
    pictures = {f"pictures/{name}": f"<style>{pages.CSS}</style>{body}" for name, body in shown.items() if body}
    return Summary(
        config=evidence.config.tables(),
        values=score_section.values(evidence) | {f"blend/{label}": float(weight) for label, weight in weights},
        pages={"report": whole(evidence), **pictures},
        artifacts=artifacts,
    )


def mirror(tracker: WandbTracker, evidence: Evidence, artifacts: Mapping[str, Path], terminal: Terminal) -> None:
    """The experiment as a whole goes to wandb, beside its cells. artifacts: as in `told`."""
    with tracker:
        if tracker.mode != "disabled":
            tracker.conclude(told(evidence, artifacts))
    if tracker.trouble:
        terminal.warn(tracker.trouble)


def write(folder: Path, evidence: Evidence) -> Path:
    """report.html, and made.json: how the experiment was made. Returns the page's path.

    A run that finds everything finished takes no time; so each step's longest time so far is kept.
    """
    before, now = read_made(folder), dict(evidence.made.seconds)
    if before is not None:
        now = {name: max(now.get(name, 0.0), before.seconds.get(name, 0.0)) for name in {**before.seconds, **now}}
    made = replace(evidence.made, seconds=now)
    files.write_json(folder / "made.json", asdict(made))
    files.write_text(folder / "report.html", whole(replace(evidence, made=made)))
    return folder / "report.html"


def read_made(folder: Path) -> Made | None:
    """How the experiment in a folder was made; None where nobody has written it down."""
    path = folder / "made.json"
    if not path.exists():
        return None
    value: dict[str, Any] = files.read_json(path)
    return Made(**value)
