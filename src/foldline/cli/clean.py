"""`clean`: show what takes space under runs/, and delete what is not needed."""

from __future__ import annotations

import sys

from foldline.cli.main import Arguments
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import unknown
from foldline.experiment import clean
from foldline.experiment.clean import KINDS, Item

DESCRIPTIONS = {
    "caches": "features, simulated data, decoded rows: made again when needed",
    "unused": "cells that no experiment needs: of runs that were interrupted or still go on",
    "old": "experiments and searches before the latest of their name, and their cells",
    "bench": "data of benchmarks",
    "ledger": "older experiments whose submission is in the ledger, and their cells",
    "kept": "the latest of each name, and its cells: never deleted",
}


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Show the table; delete the kinds that are named, after a question."""
    for word in arguments.words:
        if word not in KINDS:
            raise unknown("kind", word, KINDS, "./run.sh clean")
    found = clean.survey()
    sizes = {kind: sum(item.size for item in found if item.kind == kind) for kind in DESCRIPTIONS}
    counts = {kind: sum(item.kind == kind for item in found) for kind in DESCRIPTIONS}
    rows = [[kind, DESCRIPTIONS[kind], f"{sizes[kind] / 1e6:.1f}", str(counts[kind])] for kind in DESCRIPTIONS]
    terminal.table(str(files.runs()), ["kind", "what it is", "MB", "items"], rows)
    held = clean.running()
    if held is not None:
        terminal.say(f"a run goes on (it holds {held.name}): its finished cells count as unused until it ends")
    chosen = [item for item in found if item.kind in arguments.words]
    freed = clean.remove(chosen) if chosen and _sure(chosen, arguments, terminal) else 0
    last = f"{freed / 1e6:.1f} MB were freed" if freed else f"nothing was deleted{_way(chosen, arguments)}"
    terminal.result({"bytes": sizes, "freed": freed}, last)
    return 0


def _way(chosen: list[Item], arguments: Arguments) -> str:
    """Say how to delete something, where nothing was."""
    if not arguments.words:
        return "; ./run.sh clean KIND ... does (caches and unused are safe to delete)"
    return "; --force deletes without asking" if chosen else f": there is nothing of {', '.join(arguments.words)}"


def _sure(chosen: list[Item], arguments: Arguments, terminal: Terminal) -> bool:
    if "--force" in arguments.flags:
        return True
    if terminal.as_json or not sys.stdin.isatty():  # nobody could answer
        return False
    size = sum(item.size for item in chosen) / 1e6
    print(f"Delete {len(chosen)} items, {size:.1f} MB ({', '.join(arguments.words)})? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
