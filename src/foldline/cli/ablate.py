"""`ablate`: a baseline and its variants on the same folds and seeds, and a verdict on each."""

from __future__ import annotations

from pathlib import Path

from foldline.cli.main import Arguments
from foldline.core import artefacts, files
from foldline.core.console import Terminal
from foldline.core.durations import duration
from foldline.core.errors import UserError
from foldline.evidence.ablation import ablation_file, ablation_results, ablation_run, ablation_wording
from foldline.evidence.ablation.ablation_page import page
from foldline.evidence.ablation.ablation_results import AblationResult
from foldline.evidence.ablation.ablation_run import PreparedAblation
from foldline.experiment import runs_index
from foldline.experiment.preparation import short_path
from foldline.output.tracking import WandbTracker
from foldline.run import estimate
from foldline.run.cells import Job


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Train the cells that are not finished, compare the variants, write page and JSON."""
    if not arguments.words:
        raise UserError("`ablate` needs the file of an ablation: ./run.sh ablate configs/ablate-components.toml")
    dry = "--dry-run" in arguments.flags
    plan = ablation_file.load(Path(arguments.config), arguments.overrides)
    prepared = ablation_run.prepare(plan, terminal, dry)
    _summary(prepared, terminal)
    stages = prepared.stages("--force" in arguments.flags)
    if dry:
        _dry_run(prepared, stages, terminal)
        return 0
    prepared = ablation_run.train(prepared, "--force" in arguments.flags, terminal, WandbTracker)
    found = ablation_results.evaluate(prepared, terminal)
    _table(prepared, found, terminal)
    answer, where = _write(prepared, found, arguments.command_line)
    terminal.result(answer, f"ablation: {short_path(where)}")
    return 0


def _summary(prepared: PreparedAblation, terminal: Terminal) -> None:
    """Show what will be trained, before that begins."""
    plan, base = prepared.plan, prepared.base
    cells = {cell.key: cell for each in prepared.prepared for cell in each.plan}
    done = sum(cell.done for cell in cells.values())
    terminal.say(
        f"{plan.name}: {len(plan.variants)} variants of {base.config.name}, {len(base.train.lengths)} series, "
        f"{base.folds.k} folds x {len(plan.settings.seeds)} seeds"
    )
    terminal.say(f"a verdict needs {ablation_wording.needed(base.folds.k, plan.settings.alpha, len(plan.variants))}")
    terminal.say(f"cells: {len(cells)}, {done} finished, {len(cells) - done} to train")


def _dry_run(prepared: PreparedAblation, stages: list[list[Job]], terminal: Terminal) -> None:
    """Show what each variant would train that no variant above it trains, and how long that would take here."""
    rows, counted, total_s = [], set[str](), 0.0
    with terminal.bar("measuring a few steps", "variants") as update:
        for name, each in zip(prepared.names, prepared.prepared, strict=True):
            own = {cell.key for cell in each.plan}
            new = [[job for job in stage if job.key in own - counted] for stage in stages]
            seconds = sum(model.total_s for model in estimate.estimate(new, prepared.base.config.executor))
            rows.append([name, str(len(own)), str(sum(map(len, new))), f"{seconds / 60:.1f}"])
            counted, total_s = counted | own, total_s + seconds
            update(len(rows), len(prepared.names))
    terminal.table("", ["", "cells", "to train", "minutes"], rows)
    count = sum(map(len, stages))
    terminal.result(
        {"to_train": count, "seconds": total_s},
        f"dry run: nothing was trained; {count} cells would take about {duration(total_s)}",
    )


def _table(prepared: PreparedAblation, found: AblationResult, terminal: Terminal) -> None:
    title = ablation_wording.title(found, prepared.plan.base.data.metric)
    terminal.table(title, ablation_wording.COLUMNS, ablation_wording.rows(found))
    for text in ablation_wording.remarks(found)[: 3 + len(found.failed)]:
        terminal.say(text)


def _write(prepared: PreparedAblation, found: AblationResult, command: str) -> tuple[dict[str, object], Path]:
    """Write the page and ablation.json into the run's folder, and point `latest` there."""
    folder = prepared.folder
    values = ablation_results.as_json(found)
    artefacts.write_json(folder / "ablation.json", values)
    files.write_text(folder / "ablation.html", page(prepared, found, command))
    runs_index.note_cells(folder, prepared.keys)
    files.replace_symlink(folder.parent / "latest", folder)
    verdicts: dict[str, str] = {each.name: each.significance.verdict for each in found.variants}
    verdicts |= dict.fromkeys(found.failed, ablation_wording.FAILED)
    where = folder.parent / "latest" / "ablation.html"
    return {"page": str(where), "json": str(where.with_suffix(".json")), "verdicts": verdicts}, where
