"""A tracker that sends to wandb: a run for each cell, and one for the summary of the experiment, all in one group.

No failure of wandb stops a run. Where it can't start online, tracking goes on offline; where it can't do that, or fails
later, in history.jsonl alone. `trouble` says so once.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldline.core import strict_tables
from foldline.output.tracking.wandb_mode import key_found, mode_of, runs_own_hidden, without_key
from foldline.run.cells import Cell
from foldline.run.tracker import TrackConfig

INIT_TIMEOUT_S = 15.0  # longest wait for a server
SERVICE_TIMEOUT_S = 300.0  # and for wandb's own process on this machine, which is slow where all cores are busy
FINISH_TIMEOUT_S = 60.0  # longest wait for an upload at a run's end; what is left can be sent by `track sync`


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What is sent of an experiment as a whole."""

    config: Mapping[str, Any]  # resolved, nested as in TOML
    values: Mapping[str, float]  # score, scores/ROW/fold 0, slices/NAME, blend/MEMBER, ...
    pages: Mapping[str, str]  # name -> HTML
    artifacts: Mapping[str, Path]  # kind -> file


class WandbTracker:
    """Sends the events of cells to wandb (run/tracking.Tracker); a context manager that finishes the open runs."""

    def __init__(self, config: TrackConfig, experiment: str, folder: Path, job: str) -> None:
        self.config, self.experiment, self.folder, self.job = config, experiment, folder, job
        self.mode = mode_of(config)
        self.runs: dict[str, Any] = {}
        self.reason = ""  # the first failure of wandb
        self.trouble = ""  # that, and how tracking goes on; empty: nothing failed

    def __enter__(self) -> WandbTracker:
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self.runs):
            self._finish(key, exit_code=1)

    def event(self, cell: Cell, kind: str, values: dict[str, Any]) -> None:
        """Take an event of an executor: an epoch is logged, the end of a cell finishes its run."""
        if kind == "epoch":
            with self._failures_caught():
                run = self.runs.get(cell.key) or self._begin(cell.key, cell.name, config_of(cell))
                if run is not None:
                    run.log(dict(values))
        elif kind == "done":
            with self._failures_caught():
                run, score = self.runs.get(cell.key), values.get("held_out")
                if run is not None and score is not None:
                    run.summary["held_out"] = score
            self._finish(cell.key, exit_code=0)

    def log_summary(self, summary: Summary) -> None:
        """Send the summary of the experiment, as a run of its own."""
        with self._failures_caught():
            run = self._begin("summary", "summary", summary.config)
            if run is not None:
                self._log_summary(run, summary)
        self._finish("summary", exit_code=0)

    def _log_summary(self, run: Any, summary: Summary) -> None:
        import wandb

        run.summary.update(dict(summary.values))
        run.log({name: wandb.Html(text, inject=False, data_is_not_path=True) for name, text in summary.pages.items()})
        for kind, path in summary.artifacts.items():
            name = re.sub(r"[^a-zA-Z0-9_.-]", "-", self.experiment)[:100]  # what wandb lets a name be
            artifact = wandb.Artifact(f"{name}-{kind}", type=kind)
            artifact.add_file(str(path), policy="immutable")  # read where it lies, not copied to a cache first
            run.log_artifact(artifact)

    @contextlib.contextmanager
    def _failures_caught(self) -> Iterator[None]:
        """End tracking, not the run, where wandb fails inside: a killed service, a full disk."""
        try:
            yield
        except Exception as error:  # wandb's own ones have no base class in common
            self.reason = self.reason or f"wandb failed ({_first_line(error)})"
            self.mode, self.trouble = "disabled", f"{self.reason}; tracking goes on in history.jsonl only"
            self.runs.clear()

    def _begin(self, key: str, name: str, config: Mapping[str, Any]) -> Any:
        """Begin a run; None where wandb is disabled or fails."""
        if self.mode == "disabled":
            return None
        import wandb

        try:
            with runs_own_hidden():
                self.runs[key] = self._init(wandb, name, config, self.mode)
        except (wandb.errors.Error, OSError) as error:
            self.reason = self.reason or f"wandb {self.mode} did not start ({_first_line(error)})"
            if self.mode != "online":
                self.mode, self.trouble = "disabled", f"{self.reason}; tracking goes on in history.jsonl only"
                return None
            self.mode, self.trouble = "offline", f"{self.reason}; tracking goes on offline"
            return self._begin(key, name, config)
        return self.runs[key]

    def _init(self, wandb: Any, name: str, config: Mapping[str, Any], mode: str) -> Any:
        if mode == "online" and not key_found():
            raise wandb.errors.UsageError("no key was found")  # wandb would prompt for one at a terminal, and wait
        self.folder.mkdir(parents=True, exist_ok=True)
        limited = mode == "online" and "finish_timeout" in wandb.Settings.model_fields  # since wandb 0.31
        limits = {"finish_timeout": FINISH_TIMEOUT_S} if limited else {}
        settings = wandb.Settings(
            silent=True,
            console="off",
            init_timeout=INIT_TIMEOUT_S if mode == "online" else SERVICE_TIMEOUT_S,
            x_disable_stats=True,  # no system metrics, no commit, no code: only what this file sends
            disable_git=True,
            save_code=False,
            **limits,
        )
        return wandb.init(
            project=self.config.project,
            group=self.experiment,
            job_type=self.job,
            name=name,
            mode=mode,
            dir=str(self.folder),
            config=dict(config),
            reinit="create_new",  # several runs of one process are open at a time
            settings=settings,
        )

    def _finish(self, key: str, exit_code: int) -> None:
        run = self.runs.pop(key, None)
        if run is not None:
            with self._failures_caught():
                run.finish(exit_code=exit_code)


def config_of(cell: Cell) -> dict[str, Any]:
    """Return what a cell was made from, nested as in TOML."""
    model, depends = cell.model, cell.depends
    families = depends["features"].get("families", [])  # an estimator of open rows has none
    tables = {family: params for family, params in families if params}
    return {
        "data": depends["data"],
        "features": {
            "families": [family for family, _ in families],
            "scaler": cell.scaler,
            **tables,
        },
        "model": {"name": model.name, "label": model.label, **strict_tables.plain(model.params)},
        "train": strict_tables.plain(model.train),
        **strict_tables.plain({"teacher": model.teacher, "pretrain": model.pretrain}),
        "fold": "all" if cell.fold is None else cell.fold,
        "seed": cell.seed,
        "cell": cell.key,
    }


def _first_line(error: Exception) -> str:
    return without_key((str(error).strip().splitlines() or [type(error).__name__])[0])[:160]
