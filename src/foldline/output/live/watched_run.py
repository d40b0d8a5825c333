"""What lies on the disk of a run, running or finished, as `live` shows it. Reads only, and only files written at once.

Any of them may be missing, of another version, or gone a moment later: what can't be read is not shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from foldline.core import artefacts, files
from foldline.run import progress_file
from foldline.run.progress_file import HISTORY, PROGRESS, CellProgress, RunProgress

Stage = Literal["nothing", "training", "concluding", "finished", "failed", "stopped"]
RECORDS = ("experiment.json", "ablation.json", "study.json")  # written when a run has ended well
PAGES = ("report.html", "ablation.html", "study.html")
Rows = list[dict[str, Any]]  # of a cell's history


@dataclass(frozen=True, kw_only=True)
class WatchedRun:
    """A run at a moment."""

    name: str
    now: float  # s since 1970
    stage: Stage = "nothing"
    folder: Path | None = None  # of its record
    progress: RunProgress | None = None  # None: it was recorded by a version that wrote none
    record: dict[str, Any] | None = None
    cells: tuple[CellProgress, ...] = ()
    histories: dict[str, Rows] = field(default_factory=dict)  # key of a cell -> its epochs

    @property
    def page(self) -> Path | None:
        """The page of a finished run."""
        if self.folder is None or self.stage != "finished":
            return None
        return next((path for path in (self.folder / name for name in PAGES) if path.is_file()), None)

    @property
    def metric(self) -> str:
        """The metric's name; empty where nothing says it."""
        return self.progress.metric if self.progress else str(_data(self.record).get("metric", ""))

    @property
    def kind(self) -> str:
        """The kind of target."""
        return self.progress.kind if self.progress else str(_data(self.record).get("kind", "regression"))


class Reader:
    """Reads the newest run of a name, again and again; a history is read again once it has changed."""

    def __init__(self, name: str, runs: Path) -> None:
        self.name, self.runs = name, runs
        self._histories: dict[Path, tuple[tuple[int, int], Rows]] = {}

    def read(self) -> WatchedRun:
        """Read what lies there now: a run that goes on before one that began later and has ended."""
        now, found = time.time(), list(_progress(self.runs / self.name))
        if not found:
            return self._recorded(now)
        path, run = max(found, key=lambda each: (_goes_on(each[1]), each[1].began))
        ended = run.state in ("failed", "stopped")  # a later run may have made the record without any cell to train
        record = _record(path.parent, run.written if ended else run.began)
        stage = _stage(run, record is not None)
        cells = tuple(run.cells if stage == "training" else map(self._as_stored, run.cells))
        return WatchedRun(
            name=self.name,
            now=now,
            stage=stage,
            folder=path.parent,
            progress=run,
            record=record if stage == "finished" else None,
            cells=cells,
            histories=self._read_histories(cells),
        )

    def _recorded(self, now: float) -> WatchedRun:
        """Show the latest record of a run that has left no progress.json."""
        folder = self.runs / self.name / "latest"
        record = _record(folder, 0.0)
        if record is None:
            return WatchedRun(name=self.name, now=now)
        cells = tuple(self._as_stored(_cell(entry)) for entry in record.get("cells", []))
        histories = self._read_histories(cells)
        where = folder.resolve()
        return WatchedRun(
            name=self.name, now=now, stage="finished", folder=where, record=record, cells=cells, histories=histories
        )

    def _as_stored(self, cell: CellProgress) -> CellProgress:
        """Return a cell of a run that does not go on: another run may have finished it."""
        if cell.state == "failed" or not (self.runs / "cells" / cell.key / "done.json").is_file():
            return cell
        return replace(cell, state="done", done=1.0)

    def _read_histories(self, cells: tuple[CellProgress, ...]) -> dict[str, Rows]:
        begun = (cell for cell in cells if cell.state != "waiting")  # another run's may lie there until it begins
        return {cell.key: rows for cell in begun if (rows := self._history(cell.key))}

    def _history(self, key: str) -> Rows:
        path = self.runs / "cells" / key / HISTORY
        try:
            found = path.stat()
        except OSError:
            return []
        state = (found.st_mtime_ns, found.st_size)
        if path not in self._histories or self._histories[path][0] != state:
            self._histories[path] = (state, progress_file.rows_of(path))
        return self._histories[path][1]


def _progress(folder: Path) -> Iterator[tuple[Path, RunProgress]]:
    """Read each progress.json of a name: of an experiment, or of one target of several. folder: runs/NAME."""
    for pattern in (f"*/{PROGRESS}", f"*/*/{PROGRESS}"):
        for path in folder.glob(pattern):
            run = None if path.relative_to(folder).parts[0] == "latest" else progress_file.read(path)
            if run is not None:
                yield path, run


def names(runs: Path) -> list[str]:
    """List the names of all runs."""
    return [each.name for each in sorted(runs.glob("[!.]*")) if each.is_dir() and each.name not in files.SHARED_FOLDERS]


def newest(runs: Path) -> str | None:
    """Return the name of the run that goes on, or was the last to begin; None where nothing has run."""
    times = {}
    for folder in (runs / name for name in names(runs)):
        begun = [(_goes_on(run), run.began) for _, run in _progress(folder)]
        recorded = [
            (False, path.stat().st_mtime) for path in (folder / "latest" / name for name in RECORDS) if path.is_file()
        ]
        if begun or recorded:
            times[folder.name] = max([*begun, *recorded])
    return max(times, key=lambda name: times[name], default=None)


def _stage(run: RunProgress, recorded: bool) -> Stage:
    """Say how far a run is. recorded: whether its record is there."""
    if recorded and run.state != "training":
        return "finished"
    if run.state == "failed" or run.state == "stopped":
        return run.state
    if not run.alive:
        return "stopped"
    return "training" if run.state == "training" else "concluding"


def _goes_on(run: RunProgress) -> bool:
    return run.state == "training" and run.alive


def _record(folder: Path, since: float) -> dict[str, Any] | None:
    """Read the record in a folder; None where there is none that was written after a time, s since 1970."""
    for path in (folder / name for name in RECORDS):
        try:
            if path.stat().st_mtime >= since:
                return artefacts.read_json(path)
        except (OSError, artefacts.Damaged):
            continue
    return None


def _data(record: dict[str, Any] | None) -> dict[str, Any]:
    data: dict[str, Any] = (record or {}).get("config", {}).get("data", {})
    return data


def _cell(entry: dict[str, Any]) -> CellProgress:
    """Make a cell of its entry in experiment.json."""
    fold, label, seed = entry.get("fold"), str(entry.get("label", "")), int(entry.get("seed", 0))
    name = f"{label} {'full' if fold is None else f'fold {fold}'} seed {seed}"
    return CellProgress(key=str(entry["key"]), name=name, label=label, fold=fold, seed=seed)
