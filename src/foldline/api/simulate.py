"""`simulate`: write a simulated competition as Kaggle's files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from operator import index
from pathlib import Path

import polars as pl

from foldline.api.paths import path_of
from foldline.api.session import session
from foldline.core import files, own_files
from foldline.core.console import Terminal
from foldline.core.errors import UserError

WRITTEN = ("train.csv", "test.csv", "sample_submission.csv", "truth.csv", "hidden.csv")
MARK = ".simulated.json"  # beside them: file -> its SHA-256; empty while they are being written


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is simulated, the keys of the command line."""

    breaths: int = 20_000  # in train.csv
    test_breaths: int = 5_000  # in test.csv
    seed: int = 0
    truth: bool = False  # also truth.csv and hidden.csv: the test file's pressures and each breath's controller


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What `simulate` returns; tables are read when they are asked for."""

    folder: Path  # with the CSV files
    size: Size  # as it was asked for

    def _read(self, name: str) -> pl.DataFrame:
        return pl.read_csv(self.folder / name)

    @property
    def train(self) -> pl.DataFrame:
        """Read train.csv."""
        return self._read("train.csv")

    @property
    def test(self) -> pl.DataFrame:
        """Read test.csv."""
        return self._read("test.csv")

    @property
    def truth(self) -> pl.DataFrame | None:
        """Read truth.csv, the pressures of test; None: it was not asked for."""
        return self._read("truth.csv") if self.size.truth else None


def simulate(
    out: str | os.PathLike[str],
    *,
    breaths: int = Size.breaths,
    test_breaths: int = Size.test_breaths,
    seed: int = Size.seed,
    truth: bool = Size.truth,
    force: bool = False,
    quiet: bool = False,
) -> Simulated:
    """Write train.csv, test.csv and sample_submission.csv of a simulated ventilator competition.

    Args:
        out: the folder, a new one or one without CSV files.
        breaths: series in train.csv.
        test_breaths: series in test.csv.
        seed: of everything that is drawn.
        truth: write truth.csv and hidden.csv as well: the test file's pressures and each breath's controller.
        force: replace an older simulation in that folder.
        quiet: print nothing.

    Raises:
        foldline.Error: the folder holds other files, or there is nothing to simulate.
    """
    with session("simulate", quiet=quiet) as notes:
        folder = path_of(out, "out")
        counts = (_whole(breaths, "breaths"), _whole(test_breaths, "test_breaths"), _whole(seed, "seed"))
        size = Size(breaths=counts[0], test_breaths=counts[1], seed=counts[2], truth=truth)
        carry_out(folder, size, force, notes)
        return Simulated(folder=folder, size=size)


def _whole(value: int, what: str) -> int:
    try:
        return index(value)
    except TypeError:
        raise UserError(
            f"simulate: {what} must be a whole number, but is {value!r} ({type(value).__name__})."
        ) from None


def carry_out(out: Path, size: Size, force: bool, terminal: Terminal) -> None:
    """Write the files."""
    from ventilator import simulator

    total = size.breaths + size.test_breaths
    _require_own(out, force)
    with terminal.bar("simulating", "breaths") as update:

        def on_progress(done: int) -> None:
            update(done, total)
            if done == total:  # next the files get their names, and a kill in between leaves some of them
                files.write_json(out / MARK, dict.fromkeys(WRITTEN, ""))

        try:
            simulator.write_competition(
                out,
                breaths=size.breaths,
                test_breaths=size.test_breaths,
                seed=size.seed,
                truth=size.truth,
                on_progress=on_progress,
            )
        except ValueError as error:
            raise UserError(f"simulate: {error}") from error
    files.write_json(out / MARK, {name: files.sha256(out / name) for name in WRITTEN if (out / name).exists()})


def _require_own(out: Path, force: bool) -> None:
    """Refuse a folder with CSV files; with `force`, one with CSV files that this verb did not write as they are."""
    there = [path.name for path in sorted(out.glob("*.csv"))] if out.is_dir() else [out.name] if out.exists() else []
    if there and not (force and out.is_dir()):
        raise UserError(
            f"{out} must be new or hold no CSV file, but there is {', '.join(there)}. Name another folder; --force "
            "replaces an older simulation."
        )
    made = _made(out / MARK)
    for name in there:
        own = partial(_is_made, made, out / name)
        own_files.require_own(out / name, own, "a simulated file", "Name another folder, or move it away.")


def _is_made(made: dict[str, str], path: Path) -> bool:
    """Whether a file is as the mark says, `made`; or its name is in a mark of files that were being written."""
    return path.name in made and made[path.name] in ("", files.sha256(path))


def _made(mark: Path) -> dict[str, str]:
    """Read the mark; empty where there is none, or a damaged one."""
    try:
        found = files.read_json(mark)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
