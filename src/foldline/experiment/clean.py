"""What takes space under runs/, and what of it can be deleted. All of it can be made again; that takes time.

caches     features, simulated data, decoded rows, precision probes: made again in seconds or minutes
unused     cells, and predictions from outside, that no record needs: of interrupted runs, and of one that still goes
           on, which is recorded when it ends (until then nothing can be deleted)
old        experiments, searches and ablations that are neither the latest of their name nor in the ledger of real data,
           and the cells that only they need
bench      data of benchmarks
ledger     what is kept for lines of that ledger only: without it a submission can't be made again from its
           cells. Deleted only when this name is given
kept       the latest of each name, with its cells, its audit, and what a person put there: never deleted
"""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from foldline.core import files, runs_lock
from foldline.core.errors import UserError
from foldline.experiment import runs_index
from foldline.experiment.runs_index import ExperimentRecord
from foldline.run import ledger

CACHES = ("store", "data", "exact", "probes", "folds")
SHARED = ("cells", "outside")  # folders of runs/ whose entries several experiments may need
NOT_EXPERIMENTS = (*CACHES, *SHARED, "bench", "locks")  # folders of runs/ that are no config's name
KINDS = ("caches", "unused", "old", "bench", "ledger")  # that can be deleted
GONE = ".gone"  # ending of what is being deleted
HASHED = re.compile("[0-9a-f]{16}")  # names of experiments, searches and ablations


@dataclass(frozen=True)
class Item:
    """A file or folder under runs/."""

    path: Path
    kind: str
    size: int  # bytes


def survey() -> list[Item]:
    """List what takes space under runs/, each with its kind."""
    recorded = runs_index.experiments()  # a damaged one stops this: nobody knows which cells it needs
    kinds = dict(_experiments(recorded))
    return [Item(path, kind, size_of(path)) for path, kind in [*_caches(), *kinds.items(), *_shared(recorded, kinds)]]


def _caches() -> Iterator[tuple[Path, str]]:
    """Caches, benchmarks' data, and what interrupted deletions have left."""
    for name in (*CACHES, "bench"):
        for path in sorted((files.runs() / name).glob("*")):
            if not path.name.endswith(GONE):
                yield path, "caches" if name in CACHES else "bench"
    for path in sorted(files.runs().glob(f"*/.*{GONE}")):
        yield path, "caches"


def _experiments(recorded: list[ExperimentRecord]) -> Iterator[tuple[Path, str]]:
    """Each runs/NAME/HASH and its kind."""
    damaged = "\n".join(ledger.damaged_lines(ledger.ledger_path(simulated=False)))  # may name one: it stays, too
    submitted = {record.folder for record in recorded if in_ledger(record) or record.folder.name in damaged}
    for folder in sorted(files.runs().glob("*/*")):
        if folder.parent.name in NOT_EXPERIMENTS or folder.name.startswith("."):
            continue
        if folder.is_symlink() or not folder.is_dir():
            continue
        kept = runs_index.is_latest(folder) or not HASHED.fullmatch(folder.name)  # an audit, or a person's own
        yield folder, "kept" if kept else "ledger" if folder in submitted else "old"


def in_ledger(record: ExperimentRecord) -> bool:
    """Return whether one of its submissions is in the ledger of real data."""
    return bool(record.lines) and not record.simulated


def _shared(recorded: list[ExperimentRecord], kinds: dict[Path, str]) -> Iterator[tuple[Path, str]]:
    """Each cell and each member from outside, with the strongest kind of what needs it; else unused."""
    needed_by: dict[str, set[str]] = {kind: set() for kind in ("kept", "ledger", "old")}
    for record in recorded:
        needed_by[kinds[record.folder]] |= runs_index.cells_needed(record.keys) | record.outside
    for folder, kind in kinds.items():
        needed_by[kind] |= runs_index.cells_needed(runs_index.noted_cells(folder))
    for name in SHARED:
        for folder in sorted((files.runs() / name).glob("[!.]*")):
            reasons = [kind for kind, keys in needed_by.items() if folder.name in keys]
            yield folder, reasons[0] if reasons else "unused"


def size_of(path: Path) -> int:
    """Add up the bytes of a file, or of all files below a folder."""
    if path.is_dir() and not path.is_symlink():
        return sum(inner.lstat().st_size for inner in path.rglob("*") if not inner.is_dir())
    return path.lstat().st_size


def remove(items: list[Item]) -> int:
    """Delete items and return the freed bytes. An interrupted call leaves nothing that looks complete and is not.

    What has changed its kind since it was listed stays: a run may have ended meanwhile, and needs its cells.

    Raises:
        UserError: another command uses runs/. It is not waited for, and nothing is deleted.
    """
    try:
        with runs_lock.alone():
            refuse_running()
            still = {(item.path, item.kind) for item in survey()}
            chosen = [item for item in items if (item.path, item.kind) in still]
            for item in chosen:
                _remove(item.path)
    except runs_lock.InUse:
        raise _in_use(runs_lock.path()) from None
    return sum(item.size for item in chosen)


def _remove(path: Path) -> None:
    gone = path
    if not gone.name.endswith(GONE):
        gone = path.with_name(f".{path.name}{GONE}")
        _delete(gone)  # what an interrupted call has left of the same name
        path.rename(gone)  # first: deleting a folder takes many steps, renaming it a single one
    _delete(gone)


def _delete(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def refuse_running() -> None:
    """Refuse while another process holds the lock of a cell or a store: a worker that has lost its parent, say.

    Raises:
        UserError: naming the lock.
    """
    held = running(besides=runs_lock.path())
    if held is not None:
        raise _in_use(held)


def _in_use(held: Path) -> UserError:
    way_out = "Wait for it, or end it, and clean then."
    return UserError(f"Nothing is deleted while a run goes on (it holds {held}). {way_out}")


def running(besides: Path | None = None) -> Path | None:
    """Return a lock that another process holds or shares; None where no run goes on. besides: a lock of this one's."""
    for path in sorted((files.runs() / "locks").glob("*")):
        if path == besides:
            continue
        with path.open("a+") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return path
    return None
