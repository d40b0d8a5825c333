"""Compare everything under runs/ with its checksums: `doctor --verify`. Reads all of it; changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from foldline.core import artefacts, files
from foldline.data import store
from foldline.fit import checkpoint
from foldline.run import cells


@dataclass
class Verified:
    """What was found under runs/."""

    checked: int = 0  # marks, records and checkpoints
    unchecked: int = 0  # of them, those of an older version, which stored no checksums
    damaged: dict[Path, str] = field(default_factory=dict)  # file or folder -> what is wrong with it


def verify(on_progress: Callable[[int, int], None]) -> Verified:
    """Check all that is stored. on_progress: called with (checked, all)."""
    found, marks = Verified(), list(_marks())
    for number, (what, mark) in enumerate(marks):
        why = _damage(mark)
        found.checked += 1
        if why == artefacts.NO_MARK:
            found.unchecked += 1
        elif why:
            found.damaged[what] = why
        on_progress(number + 1, len(marks))
    return found


def _damage(mark: Path) -> str:
    if mark.name == checkpoint.CHECKPOINT:
        return "" if checkpoint.is_sound(mark) else f"{mark.name} does not hold the bytes that were written"
    return artefacts.damage(mark)


def _marks() -> Iterator[tuple[Path, Path]]:
    """List each stored thing with the mark that vouches for it. Folders whose mark is lost are among them."""
    runs = files.runs()
    for folder in sorted((runs / "cells").glob("[!.]*/")):
        if (folder / checkpoint.CHECKPOINT).exists():
            yield folder, folder / checkpoint.CHECKPOINT
        if not (folder / cells.DONE).exists():
            continue  # not finished: it goes on from its checkpoint, or is trained from the beginning
        yield folder, folder / cells.DONE
        older = cells.has_no_checksums(folder)
        for path in () if older else sorted(folder.glob("test-*.npy")):
            yield path, path.with_suffix(".json")
    for name, mark in (("store", store.MARK), ("data", artefacts.CHECKSUMS), ("outside", artefacts.CHECKSUMS)):
        yield from ((folder, folder / mark) for folder in sorted((runs / name).glob("[!.]*/")))
    yield from ((path, path.with_suffix(".json")) for path in sorted((runs / "exact").glob("[!.]*.parquet")))
    yield from ((path, path) for path in sorted((runs / "probes").glob("[!.]*.json")))
    for name in ("experiment.json", "made.json"):
        yield from ((path, path) for path in sorted(runs.glob(f"*/[!.]*/{name}")) if not path.parent.is_symlink())
