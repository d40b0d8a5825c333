"""Files between the driver and nodes that share no folder: by Ray's object store, executor.data = "object-store".

A node keeps what it gets below its folder for temporary files, laid out as in the home folder: what is there already,
by its checksums, is not sent again. What a cell leaves comes back with the end of its task, also when it was stopped:
the driver's runs/ has its checkpoint then.
"""

from __future__ import annotations

import getpass
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from foldline.core import artefacts, files, locks
from foldline.core.errors import UserError
from foldline.data import store
from foldline.fit.checkpoint import CHECKPOINT
from foldline.run.cells import DONE, Cell, Job

Contents = dict[str, np.ndarray]  # file of a cell's folder -> its bytes, (n,) uint8


@dataclass(frozen=True)
class Parcel:
    """Files of one folder below runs/, with the mark that vouches for them."""

    folder: str  # below runs/
    mark: str  # name of the file that is written last; empty: nothing vouches, as for half a cell
    text: bytes  # of the mark
    files: tuple[tuple[str, Any], ...]  # name -> reference of its bytes, without the mark


def refuse_channels(jobs: Sequence[Job]) -> None:
    """Refuse cells that estimate open rows, or read such channels: they read more files than are sent.

    Raises:
        UserError
    """
    for job in jobs:
        model = job.cell.model
        if model.fitted_as == "estimator" or model.channels_from:
            raise UserError(
                f"executor.data = 'object-store' sends features and cells, but {model.label!r} estimates open rows or "
                "reads such channels, which lie in runs/ too: share the home folder, executor.data = 'shared'."
            )


class Post:
    """The driver's side: puts files into the object store, each once a run."""

    def __init__(self) -> None:
        self._sent: dict[tuple[Path, str], Parcel] = {}

    def parcels(self, job: Job) -> list[Parcel]:
        """Return all that a job reads, what its own cell has left before included."""
        found = [self._once(path, store.MARK) for path in (job.train, job.test, job.unlabelled) if path is not None]
        if job.exact is not None:
            found.append(self._once(job.exact.parent, job.exact.with_suffix(".json").name))
        for cell in job.cell.before:
            found += self._cell(cell)
        return [*found, *self._cell(job.cell)]

    def _once(self, folder: Path, mark: str) -> Parcel:
        """Send what never changes: a store, or a file with its mark."""
        if (folder, mark) not in self._sent:
            self._sent[folder, mark] = _parcel(folder, mark, list(artefacts.read_json(folder / mark)[artefacts.LISTED]))
        return self._sent[folder, mark]

    def _cell(self, cell: Cell) -> Iterator[Parcel]:
        """Send a cell's folder: fitted, with its predictions of test tables, or half of one with a checkpoint."""
        if cell.done:
            names = {path.name for path in _kept(cell.folder)}
            marks = [DONE, *sorted(name for name in names if name.startswith("test-") and name.endswith(".json"))]
            for mark in marks:
                listed = artefacts.read_json(cell.folder / mark)[artefacts.LISTED]
                yield _parcel(cell.folder, mark, [name for name in listed if name in names])
        elif (cell.folder / CHECKPOINT).exists():
            yield _parcel(cell.folder, "", [path.name for path in _kept(cell.folder)])


def _kept(folder: Path) -> list[Path]:
    """List the files of a cell's folder, without half-written ones."""
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _parcel(folder: Path, mark: str, names: Sequence[str]) -> Parcel:
    import ray

    sent = tuple((name, ray.put(_bytes_of(folder / name))) for name in names)
    text = (folder / mark).read_bytes() if mark else b""
    return Parcel(folder.relative_to(files.runs()).as_posix(), mark, text, sent)


def _bytes_of(path: Path) -> np.ndarray:
    """Map a file's bytes, (n,) uint8."""
    return np.memmap(path, dtype=np.uint8, mode="r") if path.stat().st_size else np.zeros(0, dtype=np.uint8)


def node_home(home: str) -> Path:
    """Return where a node keeps what a driver with that home folder sends."""
    return Path(tempfile.gettempdir()) / f"foldline-{getpass.getuser()}" / files.digest(home)


def unpack(parcels: Sequence[Parcel]) -> None:
    """Write parcels below runs/ on a node, unless what is there is the same; a mark is written last."""
    for parcel in parcels:
        folder = files.runs() / parcel.folder
        with locks.lock(files.runs() / "locks" / f"parcel-{files.digest([parcel.folder, parcel.mark])}"):
            if not _is_there(folder, parcel):
                _write(folder, parcel)


def _is_there(folder: Path, parcel: Parcel) -> bool:
    if not parcel.mark:  # half a cell: this node's own half is as good, and perhaps further
        return (folder / CHECKPOINT).exists() or (folder / DONE).exists()
    mark = folder / parcel.mark
    return mark.exists() and mark.read_bytes() == parcel.text and not artefacts.damage(mark)


def _write(folder: Path, parcel: Parcel) -> None:
    import ray

    if parcel.mark:
        (folder / parcel.mark).unlink(missing_ok=True)
    for name, reference in parcel.files:
        _write_bytes(folder / name, ray.get(reference))
    if parcel.mark:
        _write_bytes(folder / parcel.mark, np.frombuffer(parcel.text, dtype=np.uint8))


def _write_bytes(path: Path, content: np.ndarray) -> None:
    with files.atomic(path) as stream:
        stream.write(content.data)


def moved(job: Job, home: str) -> Job:
    """Return a job of a driver with that home folder with its files below this process's."""

    def here(path: Path | None) -> Path | None:
        return None if path is None else files.runs() / path.relative_to(Path(home) / "runs")

    return replace(
        job, train=here(job.train), test=here(job.test), exact=here(job.exact), unlabelled=here(job.unlabelled)
    )


def left_by(cell: Cell) -> Contents:
    """Read all that a cell has left on a node."""
    return {path.name: _bytes_of(path) for path in _kept(cell.folder)} if cell.folder.is_dir() else {}


def receive(cell: Cell, contents: Contents | None) -> None:
    """Write what a cell has left on a node into the driver's runs/; a kill at any moment leaves half a cell, or all."""
    if not contents:  # the folder is shared, or there is nothing
        return
    with locks.lock(files.runs() / "locks" / cell.key):
        if _is_another(cell.folder, contents):
            (cell.folder / DONE).unlink(missing_ok=True)  # first: what has no mark is no finished cell
            for path in _kept(cell.folder):
                path.unlink()
        for name in sorted(contents, key=lambda name: (_is_mark(name), name == DONE, name)):
            _write_bytes(cell.folder / name, contents[name])


def _is_another(folder: Path, contents: Mapping[str, np.ndarray]) -> bool:
    """Whether a folder holds another training of the cell, half or whole, than what has come."""
    mark = folder / DONE
    same = mark.exists() and DONE in contents and mark.read_bytes() == contents[DONE].tobytes()
    return folder.is_dir() and not same


def _is_mark(name: str) -> bool:
    return name == DONE or (name.startswith("test-") and name.endswith(".json"))
