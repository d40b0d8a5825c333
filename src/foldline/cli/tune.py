"""`tune [FILE]`: a search for better values of a config's keys; with --dry-run what would be searched."""

from __future__ import annotations

import time
from pathlib import Path

from foldline.api import tune as tuning
from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.evidence.tuning import tuning_file
from foldline.experiment.runs_index import short_path


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Search, run the final check, write best.toml and the page."""
    began = time.time()
    file = Path(arguments.words[0] if arguments.words else "tune-quickstart")
    dry = "--dry-run" in arguments.flags
    planned = tuning.plan(tuning_file.load(file, arguments.overrides), terminal, dry)
    folder = planned.search.folder
    if dry:
        terminal.result({"folder": str(folder)}, "dry run: nothing was trained")
        return 0
    answer, _ = planned.carry_out(began, terminal)
    terminal.result(answer, f"best config: {short_path(folder.parent / 'latest') / 'best.toml'}")
    return 0
