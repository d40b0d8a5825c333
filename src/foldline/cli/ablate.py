"""`ablate FILE`: a baseline and its variants, and a verdict on each; with --dry-run what would be trained."""

from __future__ import annotations

from pathlib import Path

from foldline.api import ablate as ablation
from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.durations import duration
from foldline.core.errors import UserError
from foldline.evidence.ablation import ablation_file, ablation_wording
from foldline.evidence.ablation.ablation_run import PreparedAblation
from foldline.experiment.runs_index import short_path
from foldline.run import estimate
from foldline.run.cells import Job


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Train the cells that are not finished, compare the variants, write page and JSON."""
    if not arguments.words:
        raise UserError("`ablate` needs the file of an ablation: ./run.sh ablate configs/ablate-components.toml")
    dry, force = "--dry-run" in arguments.flags, "--force" in arguments.flags
    prepared = ablation.plan(ablation_file.load(Path(arguments.config), arguments.overrides), terminal, dry)
    if dry:
        _dry_run(prepared, prepared.jobs(force), terminal)
        return 0
    prepared, found = ablation.carry_out(prepared, arguments.command_line, terminal, force)
    verdicts: dict[str, str] = {each.name: each.significance.verdict for each in found.variants}
    verdicts |= dict.fromkeys(found.failed, ablation_wording.FAILED)
    where = prepared.folder.parent / "latest" / "ablation.html"
    answer = {"page": str(where), "json": str(where.with_suffix(".json")), "verdicts": verdicts}
    terminal.result(answer, f"ablation: {short_path(where)}")
    return 0


def _dry_run(prepared: PreparedAblation, jobs: list[Job], terminal: Terminal) -> None:
    """Show what each variant would train that no variant above it trains, and how long that would take here."""
    rows, counted, total_s = [], set[str](), 0.0
    with terminal.bar("measuring a few steps", "variants") as update:
        for name, each in zip(prepared.names, prepared.prepared, strict=True):
            own = set(prepared.needed(each))  # those that only teach or begin others, too
            new = [job for job in jobs if job.key in own - counted]
            seconds = estimate.estimate(new, prepared.base.config.executor).elapsed_s
            rows.append([name, str(len(own)), str(len(new)), f"{seconds / 60:.1f}"])
            counted, total_s = counted | own, total_s + seconds
            update(len(rows), len(prepared.names))
    terminal.table("", ["", "cells", "to train", "minutes"], rows)
    count = len(jobs)
    terminal.result(
        {"to_train": count, "seconds": total_s},
        f"dry run: nothing was trained; {count} cells would take about {duration(total_s)}",
    )
