"""`study`: systems at an equal number of parameters on the same folds and seeds, and what each one costs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from foldline.api import asked
from foldline.api.asked import ConfigLike
from foldline.api.page import Page
from foldline.api.session import session
from foldline.core import artefacts, files
from foldline.core.console import Terminal
from foldline.core.json_values import without_nan
from foldline.evidence.ablation import ablation_run, ablation_wording
from foldline.evidence.study import study_file, study_preparation, study_results
from foldline.evidence.study.study_file import StudyPlan
from foldline.evidence.study.study_page import page
from foldline.evidence.study.study_preparation import PreparedStudy
from foldline.evidence.study.study_results import StudyResult
from foldline.experiment import runs_index
from foldline.output.tracking import WandbTracker


@dataclass(frozen=True, kw_only=True)
class Study:
    """What `study` returns."""

    name: str  # the file's
    folder: Path  # runs/NAME/HASH
    systems: pl.DataFrame  # in the file's order: name, width, parameters, score, verdict, epoch_s, step_s, peak_bytes
    failed: Mapping[str, str]  # system that could not be trained -> why
    report: Page  # shown in Jupyter where it is the value of a cell
    warnings: tuple[str, ...] = ()  # sentences, printed or not


def study(
    file: ConfigLike,
    *,
    force: bool = False,
    home: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **tables: Any,
) -> Study:
    """Solve for the widths, train the cells that are not finished, and compare systems and their costs.

    Args:
        file: of a study: a path, a name in configs/, or its tables with a name.
        force: train finished cells again.
        home: the folder with runs/, folds/ and configs/; None: as the command line finds it.
        quiet: print nothing.
        tables: study={"seeds": [0]} and base="sample.toml" change the study, all other keys its base.

    Raises:
        foldline.Error: a mistake in file or data, before anything is trained.
        KeyboardInterrupt: finished cells and checkpoints are kept; the same call goes on.
    """
    with session("study", home, quiet) as notes:
        texts = asked.overrides(tables)
        with asked.as_file(file) as path:
            chosen = study_file.load(path, texts)
        prepared = plan(chosen, notes)
        trained, found = carry_out(prepared, asked.command("study", [file], texts), notes, force)
        return _study(trained, found, notes.warnings)


def plan(chosen: StudyPlan, terminal: Terminal, dry: bool = False) -> PreparedStudy:
    """Read the data, solve for the widths, and say what will be trained. dry: write no fold file."""
    prepared = study_preparation.prepare(chosen, terminal, dry)
    _summary(prepared, terminal)
    return prepared


def carry_out(
    prepared: PreparedStudy, command: str, terminal: Terminal, force: bool = False
) -> tuple[PreparedStudy, StudyResult]:
    """Train, compare, measure, show, and write page and JSON. command: that makes the same result."""
    trained = ablation_run.train(prepared.ablation, force, terminal, WandbTracker, verb="study", folder=prepared.folder)
    prepared = replace(prepared, ablation=trained)
    result = study_results.evaluate(prepared, terminal)
    _table(prepared, result, terminal)
    _write(prepared, result, command)
    return prepared, result


def _summary(prepared: PreparedStudy, terminal: Terminal) -> None:
    """Show what will be trained, before that begins."""
    plan, base = prepared.plan, prepared.ablation.base
    cells = {cell.key: cell for each in prepared.ablation.prepared for cell in each.plan}
    done = sum(cell.done for cell in cells.values())
    terminal.say(
        f"{plan.name}: {len(prepared.systems)} systems of {plan.settings.parameters:,} parameters on "
        f"{len(base.train.lengths)} series of {plan.base.name}, {base.folds.k} folds x {len(plan.settings.seeds)} seeds"
    )
    for each in prepared.systems:
        terminal.say(f"  {each.name}: width {each.width}, {each.parameters:,} parameters")
    variants = len(prepared.ablation.plan.variants)
    terminal.say(f"a verdict needs {ablation_wording.needed(base.folds.k, plan.settings.alpha, variants)}")
    terminal.say(f"cells: {len(cells)}, {done} finished, {len(cells) - done} to train")


def _table(prepared: PreparedStudy, result: StudyResult, terminal: Terminal) -> None:
    rows = study_results.rows(result, prepared)
    first, metric = prepared.systems[0].name, prepared.ablation.base.config.data.metric
    terminal.table(f"{metric}, mean over folds and single seeds; verdicts against {first}", study_results.COLUMNS, rows)
    for text in ablation_wording.failures(result.compared):
        terminal.say(text)
    names = study_results.undecided(result)
    if names:
        terminal.say(f"cannot tell {', '.join(names)} from {first}: more folds, series or seeds would")


def _write(prepared: PreparedStudy, result: StudyResult, command: str) -> None:
    """Write the page and study.json into the run's folder, and point `latest` there."""
    folder = prepared.folder
    record = {"command": command, **study_results.as_json(result)}
    artefacts.write_json(folder / "study.json", without_nan(record))
    files.write_text(folder / "study.html", page(prepared, result, command))
    runs_index.note_cells(folder, prepared.ablation.keys)
    files.replace_symlink(folder.parent / "latest", folder)


def _study(prepared: PreparedStudy, found: StudyResult, warnings: tuple[str, ...]) -> Study:
    rows = [
        {
            "name": each.system.name,
            "width": each.system.width,
            "parameters": each.system.parameters,
            "score": each.score,
            "verdict": each.verdict,
            "epoch_s": each.epoch_s,
            "step_s": each.step.step_s,
            "peak_bytes": each.step.peak_bytes,
        }
        for each in found.systems
    ]
    return Study(
        name=prepared.plan.name,
        folder=prepared.folder,
        systems=pl.DataFrame(rows),
        failed=dict(found.compared.failed),
        report=Page(prepared.folder / "study.html"),
        warnings=warnings,
    )
