"""Whether wandb is online, offline or disabled.

The mode is decided before wandb starts, because wandb neither falls back by itself nor fails fast: [track], else
WANDB_MODE, else online where a key is found, else offline.
"""

from __future__ import annotations

import netrc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from foldline.run.tracker import Mode, TrackConfig

MODES: tuple[Mode, ...] = ("online", "offline", "disabled")
# Variables that say which run a process is. Each cell is a run of its own, and an id from outside would make all
# of them one; a group, name or job of theirs is foldline's to say, too.
RUNS_OWN = (
    *("WANDB_RUN_ID", "WANDB_RESUME", "WANDB_RESUME_FROM", "WANDB_FORK_FROM", "WANDB_SWEEP_ID"),
    *("WANDB_RUN_GROUP", "WANDB_NAME", "WANDB_RUN_NAME", "WANDB_JOB_TYPE", "WANDB_RUN_JOB_TYPE"),
)


@contextmanager
def runs_own_hidden() -> Iterator[None]:
    """Take the variables that say which run this is out of the environment."""
    hidden = {name: os.environ.pop(name) for name in RUNS_OWN if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def mode_of(config: TrackConfig) -> Mode:
    """Decide the mode: [track], else WANDB_MODE, else online where a key is found, else offline."""
    if config.wandb != "auto":
        return config.wandb
    for mode in MODES:
        if os.environ.get("WANDB_MODE") == mode:
            return mode
    return "online" if key_found() else "offline"


def key_found() -> bool:
    """Return whether a key is in the environment, or in ~/.netrc for wandb or for the host of WANDB_BASE_URL."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    own = urlsplit(os.environ.get("WANDB_BASE_URL", "")).hostname
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return any("wandb" in host or host == own for host in netrc.netrc(path).hosts)
    except (OSError, netrc.NetrcParseError):
        return False


def without_key(text: str) -> str:
    """Remove the key from a text of wandb's, so that it can be logged."""
    key = os.environ.get("WANDB_API_KEY")
    return text.replace(key, "(key)") if key else text
