"""`study`: systems at an equal number of parameters on the same folds and seeds, and what each one costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from foldline.cli.main import Arguments
from foldline.core import artefacts, files
from foldline.core.console import Terminal
from foldline.core.durations import duration
from foldline.core.errors import UserError
from foldline.evidence.ablation import ablation_run, ablation_wording
from foldline.evidence.study import study_file, study_preparation, study_results
from foldline.evidence.study.study_page import page
from foldline.evidence.study.study_preparation import PreparedStudy
from foldline.evidence.study.study_results import StudyResult
from foldline.experiment import runs_index
from foldline.experiment.preparation import short_path
from foldline.output.tracking import WandbTracker
from foldline.run import estimate
from foldline.run.cells import Job


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Solve for the widths, train the cells that are not finished, compare, measure, write page and JSON."""
    if not arguments.words:
        raise UserError("`study` needs the file of a study: ./run.sh study configs/study-sequence.toml")
    dry = "--dry-run" in arguments.flags
    plan = study_file.load(Path(arguments.config), arguments.overrides)
    prepared = study_preparation.prepare(plan, terminal, dry)
    _summary(prepared, terminal)
    stages = prepared.ablation.stages("--force" in arguments.flags)
    if dry:
        _dry_run(prepared, stages, terminal)
        return 0
    trained = ablation_run.train(prepared.ablation, "--force" in arguments.flags, terminal, WandbTracker)
    prepared = replace(prepared, ablation=trained)
    result = study_results.evaluate(prepared, terminal)
    _table(prepared, result, terminal)
    answer, where = _write(prepared, result, arguments.command_line)
    terminal.result(answer, f"study: {short_path(where)}")
    return 0


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


def _dry_run(prepared: PreparedStudy, stages: list[list[Job]], terminal: Terminal) -> None:
    """Show how long each system would train here."""
    rows, total_s = [], 0.0
    with terminal.bar("measuring a few steps", "systems") as update:
        for system, each in zip(prepared.systems, prepared.ablation.prepared, strict=True):
            own = {cell.key for cell in each.plan}
            jobs = [[job for job in stage if job.key in own] for stage in stages]
            seconds = sum(model.total_s for model in estimate.estimate(jobs, each.config.executor))
            rows.append([system.name, str(sum(map(len, jobs))), f"{seconds / 60:.1f}"])
            total_s += seconds
            update(len(rows), len(prepared.systems))
    terminal.table("", ["", "to train", "minutes"], rows)
    count = sum(map(len, stages))
    terminal.result(
        {"to_train": count, "seconds": total_s},
        f"dry run: nothing was trained; {count} cells would take about {duration(total_s)}",
    )


def _table(prepared: PreparedStudy, result: StudyResult, terminal: Terminal) -> None:
    rows = study_results.rows(result, prepared)
    first, metric = prepared.systems[0].name, prepared.ablation.base.config.data.metric
    terminal.table(f"{metric}, mean over folds and single seeds; verdicts against {first}", study_results.COLUMNS, rows)
    for text in ablation_wording.failures(result.compared):
        terminal.say(text)
    names = study_results.undecided(result)
    if names:
        terminal.say(f"cannot tell {', '.join(names)} from {first}: more folds, series or seeds would")


def _write(prepared: PreparedStudy, result: StudyResult, command: str) -> tuple[dict[str, object], Path]:
    """Write the page and study.json into the run's folder, and point `latest` there."""
    folder = prepared.folder
    artefacts.write_json(folder / "study.json", {"command": command, **study_results.as_json(result)})
    files.write_text(folder / "study.html", page(prepared, result, command))
    runs_index.note_cells(folder, prepared.ablation.keys)
    files.replace_symlink(folder.parent / "latest", folder)
    where = folder.parent / "latest" / "study.html"
    scores = {each.system.name: each.score for each in result.systems}
    answer = {"page": str(where), "json": str(where.with_suffix(".json")), "scores": scores}
    return {**answer, "failed": dict(result.compared.failed)}, where
