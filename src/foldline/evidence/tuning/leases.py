"""Leases: which trials are alive. A worker holds a lock on a file for as long as it works on a trial.

The kernel frees the lock when the worker dies, however it dies, so that its trial is recognised at once. A worker that
uses another folder of leases (another machine, with a queue database) can't be asked that way: it counts as alive
while it gives a sign of life every now and then.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldline.core import files

SILENCE_S = 900.0  # without a sign of life after which a worker elsewhere is taken for dead
NAMING_S = 60.0  # without a name after which whoever began a trial died before it left one, which takes a moment
BEAT_S = 10.0  # between two signs of life


class _Held(Exception):
    """Somebody holds the lock."""


@dataclass(frozen=True)
class Leases:
    """A folder of locks, one a trial; its id tells whether a trial's lock is to be looked for here."""

    folder: Path

    @property
    def id(self) -> str:
        """Drawn once for the folder."""
        path = self.folder / "id"
        if not path.exists():
            with files.lock(self.folder / "id.lock"):
                if not path.exists():
                    files.write_text(path, secrets.token_hex(8))
        return path.read_text(encoding="utf-8")

    def turn(self) -> AbstractContextManager[None]:
        """One worker at a time looks which trials are alive, and takes one."""
        return files.lock(self.folder / "turn.lock")

    @contextmanager
    def hold(self, trial: int) -> Iterator[None]:
        """Work on a trial."""
        with files.lock(self._path(trial)):
            yield

    def free(self, trial: int) -> bool:
        """Nobody works on it, of those that use this folder."""
        try:
            with files.lock(self._path(trial), on_wait=_refuse):
                return True
        except _Held:
            return False

    def dead(self, trial: int, attrs: dict[str, Any], began: float, several_folders: bool) -> bool:
        """Nobody works any more on a trial that was begun.

        Args:
            attrs: what its worker left with it: `lease`, the id of its folder, and `beat`, the last sign of life.
            began: when, where there is no sign of life yet; seconds since 1970.
            several_folders: workers may use other folders of leases (a database that machines share).
        """
        if attrs.get("lease") == self.id or (not several_folders and "lease" not in attrs):
            return self.free(trial)
        return time.time() - float(attrs.get("beat", began)) > (SILENCE_S if "lease" in attrs else NAMING_S)

    def _path(self, trial: int) -> Path:
        return self.folder / f"{trial}.lock"


def _refuse() -> None:
    raise _Held
