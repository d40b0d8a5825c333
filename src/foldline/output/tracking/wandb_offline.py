"""Runs that wandb has kept on the disk because it was offline: list them, and send them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from foldline.core.errors import Finding, UserError
from foldline.output.tracking.wandb_mode import key_found, without_key

COMMAND = (sys.executable, "-m", "wandb", "sync", "--yes")
SYNC_TIMEOUT_S = 600.0  # longest wait for one run


def waiting(folder: Path) -> list[Path]:
    """List the offline runs below a folder that have not been sent, oldest first; wandb marks those it has sent."""
    runs = {path.parent for path in folder.rglob("offline-run-*/*.wandb") if not _marker(path).exists()}
    return sorted(runs, key=lambda path: (path.name, path))


def _marker(path: Path) -> Path:
    return path.with_suffix(".wandb.synced")


def sync(runs: list[Path]) -> Iterator[Path]:
    """Send runs one by one, and yield each that has been sent.

    Raises:
        UserError: there is no key.
        Finding: wandb could not send one; those before are sent, and the same command goes on there.
    """
    if not key_found():
        raise UserError(
            "Sending runs to wandb needs a key, and none was found. Set WANDB_API_KEY, or call `wandb login` in the "
            "environment that foldline runs in; then `./run.sh track sync` again."
        )
    for number, run in enumerate(runs):
        problem = _send(run)
        if problem:
            raise Finding(
                f"wandb could not send {run} ({problem}). {number} of {len(runs)} runs are sent; `./run.sh track sync` "
                "goes on with the others."
            )
        yield run


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
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {SYNC_TIMEOUT_S:g} s"
    if done.returncode == 0 and run not in waiting(run.parent):  # wandb exits with 0 where it has sent nothing, too
        return ""
    printed = [line for line in done.stdout.splitlines() if line.strip()]
    return without_key(printed[-1].strip()[:160]) if printed else f"exit code {done.returncode}"
