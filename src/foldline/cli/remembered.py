"""`train` again, with nothing changed since: what the last run has said, in a moment, and nothing is imported or read.

Beside the record that `latest` points to lies what the run depended on (core/unchanged.py) and what it would say again.
Whatever differs, or is missing, has the whole of `train` done, which checks everything and writes that anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldline.core import files, unchanged
from foldline.core.console import Said, Terminal
from foldline.core.unchanged import Witness

FILE = "unchanged.json"  # in runs/NAME/HASH
FORMAT = 1
NOT_AGAIN = frozenset({"--force", "--dry-run", "--debug"})  # flags of runs that are neither remembered nor answered so
RANKS = "WORLD_SIZE"  # variable of a process that torchrun has started: others wait for it


@dataclass(frozen=True)
class Memory:
    """What a command has said, while it can be said again."""

    path: Path
    command: dict[str, Any]  # what was typed, where

    @staticmethod
    def of(verb: str, config: str, overrides: Sequence[str], flags: frozenset[str]) -> Memory | None:
        """Return that of a command line; None where it has none."""
        if verb != "train" or flags & NOT_AGAIN or RANKS in os.environ:
            return None
        name = Path(config).name.removesuffix(".toml")
        command = {
            "words": [config, *overrides],
            "folder": str(Path.cwd()),
            **unchanged.surroundings(),
        }
        return Memory(files.runs() / name / "latest" / FILE, {"format": FORMAT, **command})

    def said(self) -> list[Said]:
        """Return what the command says again; nothing where anything may have changed."""
        try:
            value = json.loads(self.path.read_bytes())
            known = value["command"] == self.command and not unchanged.differing(value["facts"])
            return value["said"] if known else []
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return []

    @contextmanager
    def kept(self, terminal: Terminal) -> Iterator[Callable[[], None]]:
        """Yield what remembers, at its end, a command that begins here."""
        witness = Witness()
        try:
            yield lambda: self._keep(witness, terminal)
        finally:
            witness.end()

    def _keep(self, witness: Witness, terminal: Terminal) -> None:
        record = self.path.parent.resolve()
        _, (answer, *_) = terminal.said[-1]
        if record.name != answer["experiment"]:  # another run has moved `latest` meanwhile
            return
        ours = [files.runs(), *(files.home() / name for name in ("folds", "submissions"))]
        facts = witness.facts(ours, files.runs() / "cells")
        if facts is None:
            (record / FILE).unlink(missing_ok=True)
            return
        value = {"command": self.command, "facts": facts, "said": terminal.said}
        files.write_text(record / FILE, json.dumps(value), durable=False)
