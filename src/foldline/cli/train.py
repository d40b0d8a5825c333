"""`train [CONFIG]`: from the competition's files to a checked submission; with --dry-run what is left to do."""

from __future__ import annotations

from pathlib import Path

from foldline.api import train as training
from foldline.cli.dry_run import Estimate
from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.experiment import config as configs
from foldline.experiment.runs_index import short_path
from foldline.fit import ranks
from foldline.run import followers


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Train what is not trained, blend, post-process, gate, record, report."""
    with ranks.torchruns() as together:
        if not together.first:
            return followers.follow(together)
        code = _run(arguments, terminal)
        followers.dismiss(together)
    return code


def _run(arguments: Arguments, terminal: Terminal) -> int:
    config = configs.load_any(Path(arguments.config), arguments.overrides)
    dry, force = "--dry-run" in arguments.flags, "--force" in arguments.flags
    planned = training.plan(config, arguments.command_line, terminal, dry, force)
    if dry:
        Estimate.of(planned.parts, terminal).show(terminal)
        return 0
    found = planned.carry_out(terminal)
    terminal.result(dict(found.answer), f"submission: {short_path(found.published.path)}")
    return 0
