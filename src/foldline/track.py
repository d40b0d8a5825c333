"""Tracking: wandb as a mirror of the cells' own history.jsonl, which is the source of truth.

One wandb run a cell, grouped by experiment. The mode is decided before wandb starts, because it neither falls back by
itself nor fails fast: explicit config, else WANDB_MODE, else online where a key is found, else offline. Tracking never
stops a run: what wandb can't do is said once.
"""

from __future__ import annotations

import contextlib
import netrc
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from foldline.cells import Cell

INIT_TIMEOUT_S = 15.0


@dataclass(frozen=True, kw_only=True)
class TrackConfig:
    """[track]: where the curves go, besides each cell's history.jsonl."""

    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"
    project: str = "foldline"


def mode_of(config: TrackConfig) -> str:
    """online, offline or disabled: see the module's head."""
    if config.wandb != "auto":
        return config.wandb
    if os.environ.get("WANDB_MODE") in ("online", "offline", "disabled"):
        return os.environ["WANDB_MODE"]
    return "online" if _key_found() else "offline"


def _key_found() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return any("wandb" in host for host in netrc.netrc(path).hosts)
    except (OSError, netrc.NetrcParseError):
        return False


class Tracker:
    """Mirrors events of cells to wandb; a context manager that closes what is open."""

    def __init__(self, config: TrackConfig, experiment: str, folder: Path, job: str) -> None:
        self.config, self.experiment, self.folder, self.job = config, experiment, folder, job
        self.mode = mode_of(config)
        self.runs: dict[str, Any] = {}
        self.trouble = ""  # the first thing wandb could not do

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self.runs):
            self._finish(key, exit_code=1)

    def event(self, cell: Cell, kind: str, values: dict[str, Any]) -> None:
        """An event of an executor: an epoch is logged, the end of a cell ends its run."""
        if self.mode == "disabled":
            return
        if kind == "epoch":
            if cell.key not in self.runs:
                self._begin(cell)
            if cell.key in self.runs:
                self.runs[cell.key].log(dict(values))
        elif kind == "done":
            self._finish(cell.key, exit_code=0)

    def _begin(self, cell: Cell) -> None:
        import wandb

        try:
            self.runs[cell.key] = self._init(wandb, cell, self.mode)
        except wandb.errors.Error as error:
            self.trouble = self.trouble or f"wandb {self.mode} did not start ({_first_line(error)}); tracking goes on "
            if self.mode != "online":
                self.mode, self.trouble = "disabled", self.trouble + "in history.jsonl only"
                return
            self.mode, self.trouble = "offline", self.trouble + "offline"
            self._begin(cell)

    def _init(self, wandb: Any, cell: Cell, mode: str) -> Any:
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(
            silent=True,
            console="off",
            init_timeout=INIT_TIMEOUT_S,
            x_disable_stats=True,
            disable_git=True,
            save_code=False,
        )
        config = {name: value for name, value in cell.depends.items() if name != "engine"} | {"cell": cell.key}
        return wandb.init(
            project=self.config.project,
            group=self.experiment,
            job_type=self.job,
            name=cell.name,
            mode=mode,
            dir=str(self.folder),
            config=config,
            reinit="create_new",
            settings=settings,
        )

    def _finish(self, key: str, exit_code: int) -> None:
        run = self.runs.pop(key, None)
        if run is not None:
            with contextlib.suppress(OSError):  # a full disk: history.jsonl has said so already
                run.finish(exit_code=exit_code)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
