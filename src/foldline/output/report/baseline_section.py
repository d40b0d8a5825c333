"""Trivial baselines in the report: what each model and step scores beside the best of them."""

from __future__ import annotations

from foldline.core.pages import note, table
from foldline.experiment.scoring import all_answers
from foldline.output.report.report_data import ReportData


def comparison(report: ReportData) -> str:
    """Make a table of models and steps beside the best trivial baseline; empty where none was scored."""
    result, name = report.result, report.config.data.metric
    if not result.baselines:
        return ""
    best = result.best_baseline
    rows = [
        [step, f"{scores[-1]:.4f}", f"loses to {best}" if step in result.lost else "beats them all"]
        for step, scores in result.scores.items()
    ]
    return table(["", f"out-of-fold {name}", "beside the baselines"], rows) + note(
        f"The best trivial baseline is {best!r}: {name} {result.baselines[best][-1]:.4f} over "
        f"{all_answers(report.config.data)}. Baselines are fitted outside each fold, as the models are, and take no "
        "part in the blend."
    )
