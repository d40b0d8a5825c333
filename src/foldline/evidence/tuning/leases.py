"""Leases: which trials are running. A worker holds a lock on a file as long as it works on a trial.

The kernel frees the lock when the worker dies, however it dies, so a dead trial is found at once. A worker that uses
another folder of leases (another machine, with a shared database) has no lock here. It counts as alive as long as its
heartbeats come.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldline.core import files, locks

LOST_S = 900.0  # since the last heartbeat; then a worker elsewhere counts as dead, unless tune.lost_s says otherwise
REGISTRATION_TIMEOUT_S = 60.0  # at most, since a trial began without the id of a lease; writing it takes a moment
HEARTBEAT_S = 10.0  # between two heartbeats, at most


class _Locked(Exception):
    """Another process holds the lock."""


@dataclass(frozen=True)
class Leases:
    """A folder of locks, one for each trial. A trial stores the folder's id: others see whether its lock is here."""

    folder: Path
    lost_s: float = LOST_S  # since its last heartbeat; then a worker elsewhere counts as dead

    @property
    def id(self) -> str:
        """The folder's random id, made by the first process that needs it."""
        path = self.folder / "id"
        if not path.exists():
            with locks.lock(self.folder / "id.lock"):
                if not path.exists():
                    files.write_text(path, secrets.token_hex(8))
        return path.read_text(encoding="utf-8")

    def queue_lock(self) -> AbstractContextManager[None]:
        """Lock the queue: one worker at a time checks which trials are dead, and takes one."""
        return locks.lock(
            self.folder / "turn.lock"
        )  # the name that earlier versions use, which may run beside this one

    @contextmanager
    def hold(self, trial: int) -> Iterator[None]:
        """Hold the lease of a trial."""
        with locks.lock(self._path(trial)):
            yield

    def free(self, trial: int) -> bool:
        """Whether no worker that uses this folder holds the trial's lease."""
        try:
            with locks.lock(self._path(trial), on_wait=_refuse):
                return True
        except _Locked:
            return False

    def dead(self, trial: int, attrs: dict[str, Any], began: float, several_folders: bool) -> bool:
        """Whether the worker of a trial that was begun is dead.

        Args:
            attrs: what its worker stored with it: `lease`, the id of its folder, and `beat`, its last heartbeat.
            began: when it began, for a trial without a heartbeat; seconds since 1970.
            several_folders: workers may use other folders of leases (a database that machines share).
        """
        if attrs.get("lease") == self.id or (not several_folders and "lease" not in attrs):
            return self.free(trial)
        limit_s = self.lost_s if "lease" in attrs else min(self.lost_s, REGISTRATION_TIMEOUT_S)
        return time.time() - float(attrs.get("beat", began)) > limit_s

    def _path(self, trial: int) -> Path:
        return self.folder / f"{trial}.lock"


def heartbeat_s(lost_s: float) -> float:
    """Return the time between two heartbeats, s: several fit into what a worker is given."""
    return min(HEARTBEAT_S, lost_s / 6)


def _refuse() -> None:
    raise _Locked
