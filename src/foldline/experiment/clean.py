"""What takes space under runs/, and what of it may go. Nothing here is knowledge: all of it can be made again, in time.

caches     features, simulated data, decoded rows, precision probes: made again in seconds or minutes
unused     cells, and predictions from outside, that nothing recorded needs: of runs that were broken off, and of one
           that still goes on, which is recorded when it ends (until then nothing can be deleted)
old        experiments, searches and ablations that are neither the latest of their name nor in the committed ledger,
           and the cells that only they need
bench      data of benchmarks
ledger     what is kept for lines of the committed ledger only: without it a submission can't be made again from its
           cells. Goes only when it is asked for by this name
kept       the latest of each name, with its cells, and its audit: never goes
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from foldline.core import files
from foldline.core.errors import UserError
from foldline.experiment import records
from foldline.experiment.records import Record

CACHES = ("store", "data", "exact", "probes", "folds")
MADE = ("cells", "outside")  # folders of runs/ whose entries are kept for what needs them
ROOMS = (*CACHES, *MADE, "bench", "locks")  # folders of runs/ that are no experiment's
KINDS = ("caches", "unused", "old", "bench", "ledger")  # that may go
GONE = ".gone"  # ending of what is being deleted


@dataclass(frozen=True)
class Item:
    """A file or folder under runs/."""

    path: Path
    kind: str
    size: int  # bytes


def survey() -> list[Item]:
    """Everything under runs/ that is more than bookkeeping, by what it is needed for."""
    recorded = records.experiments()
    kinds = dict(_experiments(recorded))
    return [Item(path, kind, size_of(path)) for path, kind in [*_rooms(), *kinds.items(), *_made(recorded, kinds)]]


def _rooms() -> Iterator[tuple[Path, str]]:
    for room in (*CACHES, "bench"):
        for path in sorted((files.runs() / room).glob("*")):
            if not path.name.endswith(GONE):
                yield path, "caches" if room in CACHES else "bench"
    for path in sorted(files.runs().glob(f"*/.*{GONE}")):
        yield path, "caches"


def _experiments(recorded: list[Record]) -> Iterator[tuple[Path, str]]:
    """Each runs/NAME/HASH and what keeps it."""
    submitted = {record.folder for record in recorded if in_ledger(record)}
    for folder in sorted(files.runs().glob("*/*")):
        if folder.parent.name in ROOMS or folder.is_symlink() or not folder.is_dir() or folder.name.startswith("."):
            continue
        kept = records.is_latest(folder) or folder.name == "audit"
        yield folder, "kept" if kept else "ledger" if folder in submitted else "old"


def in_ledger(record: Record) -> bool:
    """Whether a line of the committed ledger, that of real data, came from it."""
    return bool(record.lines) and not record.simulated


def _made(recorded: list[Record], kinds: dict[Path, str]) -> Iterator[tuple[Path, str]]:
    """Each cell and each prediction from outside, and the strongest reason to keep it."""
    wanted: dict[str, set[str]] = {kind: set() for kind in ("kept", "ledger", "old")}
    for record in recorded:
        wanted[kinds[record.folder]] |= records.needed(record.keys) | record.outside
    for folder, kind in kinds.items():
        wanted[kind] |= records.needed(records.noted_cells(folder))
    for room in MADE:
        for folder in sorted((files.runs() / room).glob("[!.]*")):
            reasons = [kind for kind, names in wanted.items() if folder.name in names]
            yield folder, reasons[0] if reasons else "unused"


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_dir() and not path.is_symlink():
        return sum(inner.lstat().st_size for inner in path.rglob("*") if not inner.is_dir())
    return path.lstat().st_size


def remove(items: list[Item]) -> int:
    """Delete items; the bytes that are freed. An interrupted call leaves nothing that looks whole and is not.

    Raises:
        UserError: a run is going on.
    """
    refuse_running()
    for item in items:
        gone = item.path
        if not gone.name.endswith(GONE):
            gone = item.path.with_name(f".{item.path.name}{GONE}")
            _delete(gone)  # what an interrupted call has left of the same name
            item.path.rename(gone)
        _delete(gone)
    return sum(item.size for item in items)


def _delete(path: Path) -> None:
    """A file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def refuse_running() -> None:
    """Refuse while another process holds a lock: it may be reading what would go.

    Raises:
        UserError: naming the lock.
    """
    held = running()
    if held is not None:
        way_out = "Wait for it, or end it, and clean then."
        raise UserError(f"Nothing is deleted while a run goes on (it holds {held}). {way_out}")


def running() -> Path | None:
    """A lock that another process holds; None where no run goes on."""
    for path in sorted((files.runs() / "locks").glob("*")):
        with path.open("a") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return path
    return None
