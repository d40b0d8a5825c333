"""`study FILE`: systems at an equal number of parameters; with --dry-run what would be trained."""

from __future__ import annotations

from pathlib import Path

from foldline.api import study as studying
from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.durations import duration
from foldline.core.errors import UserError
from foldline.evidence.study import study_file
from foldline.evidence.study.study_preparation import PreparedStudy
from foldline.experiment.runs_index import short_path
from foldline.run import estimate
from foldline.run.cells import Job


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Solve for the widths, train the cells that are not finished, compare, measure, write page and JSON."""
    if not arguments.words:
        raise UserError("`study` needs the file of a study: ./run.sh study configs/study-sequence.toml")
    dry, force = "--dry-run" in arguments.flags, "--force" in arguments.flags
    prepared = studying.plan(study_file.load(Path(arguments.config), arguments.overrides), terminal, dry)
    if dry:
        _dry_run(prepared, prepared.ablation.jobs(force), terminal)
        return 0
    prepared, result = studying.carry_out(prepared, arguments.command_line, terminal, force)
    where = prepared.folder.parent / "latest" / "study.html"
    scores = {each.system.name: each.score for each in result.systems}
    answer = {"page": str(where), "json": str(where.with_suffix(".json")), "scores": scores}
    terminal.result({**answer, "failed": dict(result.compared.failed)}, f"study: {short_path(where)}")
    return 0


def _dry_run(prepared: PreparedStudy, jobs: list[Job], terminal: Terminal) -> None:
    """Show how long each system would train here."""
    rows, total_s = [], 0.0
    with terminal.bar("measuring a few steps", "systems") as update:
        for system, each in zip(prepared.systems, prepared.ablation.prepared, strict=True):
            own = set(prepared.ablation.needed(each))
            own_jobs = [job for job in jobs if job.key in own]
            seconds = estimate.estimate(own_jobs, each.config.executor).elapsed_s
            rows.append([system.name, str(len(own_jobs)), f"{seconds / 60:.1f}"])
            total_s += seconds
            update(len(rows), len(prepared.systems))
    terminal.table("", ["", "to train", "minutes"], rows)
    count = len(jobs)
    terminal.result(
        {"to_train": count, "seconds": total_s},
        f"dry run: nothing was trained; {count} cells would take about {duration(total_s)}",
    )
