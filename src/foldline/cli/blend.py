"""`blend [CONFIG ...]`: compare all ways to blend, and submit; with --dry-run what would be trained before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from foldline.api import blend as blending
from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.experiment import config as configs
from foldline.experiment.multi_config import MultiConfigExperiment
from foldline.experiment.runs_index import short_path

OUTSIDE = "outside."  # prefix that --outside NAME=... has among the overrides


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Train what is not trained, weigh, compare, record, gate."""
    overrides = [text for text in arguments.overrides if not text.startswith(OUTSIDE)]
    outside = [text.removeprefix(OUTSIDE) for text in arguments.overrides if text.startswith(OUTSIDE)]
    named = [configs.load_any(Path(word), overrides) for word in arguments.words or ["quickstart"]]
    dry = "--dry-run" in arguments.flags
    planned = blending.plan(named, outside, arguments.command_line, terminal, dry)
    if dry:
        _show_plan(planned.parts, terminal)
        return 0
    found = planned.carry_out(terminal)
    terminal.result(dict(found.answer), f"submission: {short_path(found.published.path)}")
    return 0


def _show_plan(prepared: Sequence[MultiConfigExperiment], terminal: Terminal) -> None:
    """Say what would be trained and blended. prepared: one experiment a target."""
    keys = {job.key for mixed in prepared for each in mixed.prepared for job in each.jobs()}
    labels = [member.label for mixed in prepared for member in mixed.members]
    last = f"dry run: {len(keys)} cells are left to train or to predict, and then {len(labels)} members to blend"
    terminal.result({"to_train": len(keys), "members": labels}, last)
