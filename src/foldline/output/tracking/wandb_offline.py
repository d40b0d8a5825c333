"""Runs that wandb has kept on the disk because it was offline: list them, and send them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from foldline.core.errors import UserError
from foldline.output.tracking.wandb_mode import RUNS_OWN, key_found, without_key

COMMAND = (sys.executable, "-m", "wandb", "sync", "--yes")
HEADER_BYTES = 7  # of a .wandb file, before its first record
SYNC_TIMEOUT_S = 600.0  # longest wait for one run


def waiting(folder: Path) -> list[Path]:
    """List the offline runs below a folder that have not been sent, oldest first; wandb marks those it has sent."""
    return _runs(path for path in _files(folder) if path.stat().st_size > HEADER_BYTES and not _marker(path).exists())


def empty(folder: Path) -> list[Path]:
    """List the offline runs that hold nothing: they were killed as they began. wandb can't read them."""
    return _runs(path for path in _files(folder) if path.stat().st_size <= HEADER_BYTES)


def _files(folder: Path) -> Iterator[Path]:
    return folder.rglob("offline-run-*/*.wandb")


def _runs(found: Iterable[Path]) -> list[Path]:
    return sorted({path.parent for path in found}, key=lambda path: (path.name, path))


def _marker(path: Path) -> Path:
    return path.with_suffix(".wandb.synced")


def sync(runs: list[Path]) -> Iterator[tuple[Path, str]]:
    """Send runs one by one; one that can't be sent keeps back no other.

    Yields:
        a run, and why it could not be sent; that is empty if it was.

    Raises:
        UserError: there is no key.
    """
    if not key_found():
        raise UserError(
            "Sending runs to wandb needs a key, and none was found. Set WANDB_API_KEY, or call `wandb login` in the "
            "environment that foldline runs in; then `./run.sh track sync` again."
        )
    for run in runs:
        yield run, _send(run)


def _send(run: Path) -> str:
    """Send one run; returns why it could not be sent, empty if it was."""
    try:
        done = subprocess.run(
            [*COMMAND, str(run)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SYNC_TIMEOUT_S,
            check=False,
            env={name: value for name, value in os.environ.items() if name not in RUNS_OWN},
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {SYNC_TIMEOUT_S:g} s"
    if done.returncode == 0 and run not in waiting(run.parent):  # wandb exits with 0 where it has sent nothing, too
        return ""
    printed = [line for line in done.stdout.splitlines() if line.strip()]
    return without_key(printed[-1].strip()[:160]) if printed else f"exit code {done.returncode}"
