"""`simulate OUT breaths=N test_breaths=N seed=S`: write a simulated competition as Kaggle's files."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from foldline.cli.main import Arguments
from foldline.core import files, own_files, strict_tables
from foldline.core.console import Terminal
from foldline.core.errors import UserError

WRITTEN = ("train.csv", "test.csv", "sample_submission.csv", "truth.csv", "hidden.csv")
MARK = ".simulated.json"  # beside them: file -> its SHA-256; empty while they are being written


@dataclass(frozen=True, kw_only=True)
class Size:
    """The keys that `key=value` may set."""

    breaths: int = 20_000  # in train.csv
    test_breaths: int = 5_000  # in test.csv
    seed: int = 0
    truth: bool = False  # also truth.csv and hidden.csv: the test file's pressures and each breath's controller


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Write the files."""
    from ventilator import simulator

    if len(arguments.words) != 1:
        raise UserError("`simulate` needs one folder to write into: ./run.sh simulate OUT breaths=20000 seed=1")
    out = Path(arguments.words[0])
    values: dict[str, Any] = {}
    for text in arguments.overrides:
        try:
            values |= tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UserError(f"`simulate` takes key=value with a number or true/false, but got {text!r}.") from error
    size = strict_tables.build(Size, values, "simulate")
    total = size.breaths + size.test_breaths
    _require_own(out, "--force" in arguments.flags)
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
    terminal.result({"folder": str(out), **strict_tables.plain(size)}, f"simulated: {out}")
    return 0


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
