"""Compare all that is stored with its checksums: `doctor --verify`. Reads all of it; changes nothing.

Beside what lies under runs/ these are the committed fold files, and the submissions that the ledger knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from foldline.core import artefacts, files
from foldline.core.errors import UserError
from foldline.data import exact_rows, folds, store
from foldline.fit import checkpoint
from foldline.run import cells, ledger

RECORDS = ("experiment.json", "made.json", "blend.json", "ablation.json", "study.json")  # in a folder runs/NAME/HASH
ENDINGS = (".csv", ".parquet")  # of submissions
Check = tuple[Path, Callable[[], str]]  # file or folder, and what says why it is damaged


@dataclass
class Verified:
    """What was found."""

    checked: int = 0  # marks, records, checkpoints, fold files and submissions
    unchecked: int = 0  # of them, those of an older version, which stored no checksums
    damaged: dict[Path, str] = field(default_factory=dict)  # file or folder -> what is wrong with it


def verify(on_progress: Callable[[int, int], None]) -> Verified:
    """Check all that is stored. on_progress: called with (checked, all)."""
    found = Verified()
    checks: list[Check] = [*_cells(), *_folders(), *_records(), *_submissions()]
    checks += [(path, partial(folds.damage, path)) for path in folds.saved()]
    for number, (what, damage) in enumerate(checks):
        why = damage()
        found.checked += 1
        if why == artefacts.NO_MARK:
            found.unchecked += 1
        elif why:
            found.damaged[what] = why
        on_progress(number + 1, len(checks))
    return found


def _cells() -> Iterator[Check]:
    """List checkpoints, finished cells, and what they have predicted of test tables."""
    for folder in sorted((files.runs() / "cells").glob("[!.]*/")):
        if (folder / checkpoint.CHECKPOINT).exists():
            yield folder, partial(checkpoint.damage, folder / checkpoint.CHECKPOINT)
        if not (folder / cells.DONE).exists():
            continue  # not finished: it goes on from its checkpoint, or is trained from the beginning
        yield folder, partial(artefacts.damage, folder / cells.DONE)
        older = cells.has_no_checksums(folder)
        for path in sorted(folder.glob("test-*.npy")):
            mark = path.with_suffix(".json")
            if mark.exists() or not older:
                yield path, partial(artefacts.damage, mark)


def _folders() -> Iterator[Check]:
    """List stores, simulated data, members from outside, exact rows and probes. Some may have lost their mark."""
    runs = files.runs()
    for name, mark in (("store", store.MARK), ("data", artefacts.CHECKSUMS), ("outside", artefacts.CHECKSUMS)):
        for folder in sorted((runs / name).glob("[!.]*/")):
            yield folder, partial(artefacts.damage_of_folder, folder, mark)
    for path in sorted((runs / "exact").glob("[!.]*.parquet")):
        yield path, partial(exact_rows.damage, path)
    for path in sorted((runs / "probes").glob("[!.]*.json")):
        yield path, partial(artefacts.damage, path)


def _records() -> Iterator[Check]:
    """List the records of experiments, searches, ablations and studies."""
    for name in RECORDS:
        found = [path for depth in ("*/[!.]*", "*/[!.]*/[!.]*") for path in files.runs().glob(f"{depth}/{name}")]
        for path in sorted(found):  # those of one target of several lie a folder deeper
            if not (path.parent.is_symlink() or path.parent.parent.is_symlink()):
                yield path, partial(artefacts.damage, path)


def _submissions() -> list[Check]:
    """List the submissions, in experiments' folders and under submissions/, whose hash stands in a ledger."""
    try:
        rows = [row for simulated in (False, True) for row in ledger.entries(ledger.ledger_path(simulated))]
    except UserError:  # a table of other columns: `doctor` says so
        return []
    names = [f"{stem}{ending}" for stem in ("submission", "infer-*") for ending in ENDINGS]
    drafts = [path for name in names for path in files.runs().glob(f"*/[!.]*/{name}")]
    copies = [path for ending in ENDINGS for path in (files.home() / "submissions").glob(f"*{ending}")]
    known = [(path, _hashes(path, rows)) for path in sorted([*drafts, *copies]) if not path.parent.is_symlink()]
    # The ledger holds equal submissions of two experiments once: a file with any hash of it is as it was written.
    every = {row["sha256"] for row in rows}
    return [(path, partial(_damage_of_submission, path, every)) for path, hashes in known if hashes]


def _hashes(path: Path, rows: list[dict[str, str]]) -> set[str]:
    """Collect the hashes that a submission may have by the ledgers; none where they don't know it."""
    if path.parent.name == "submissions":  # CONFIG-HASH.csv
        start = path.stem.rpartition("-")[2]
        return {row["sha256"] for row in rows if len(start) == 8 and row["sha256"].startswith(start)}
    own = [row for row in rows if (row["config"], row["experiment"]) == (path.parent.parent.name, path.parent.name)]
    if path.stem != "submission":
        return {row["sha256"] for row in own if path.stem == f"infer-{row['test']}"}
    # A line of a file that `infer` has written says nothing of a submission that the gate has refused.
    return {row["sha256"] for row in own if not path.with_name(f"infer-{row['test']}{path.suffix}").exists()}


def _damage_of_submission(path: Path, hashes: set[str]) -> str:
    try:
        same = files.sha256(path) in hashes
    except PermissionError:
        raise
    except OSError:
        return f"{path.name} can't be read"
    return "" if same else f"{path.name} is not the file whose hash stands in the ledger"
