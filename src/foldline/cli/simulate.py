"""`simulate OUT breaths=N test_breaths=N seed=S`: write a simulated competition as Kaggle's files."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldline.cli.main import Arguments
from foldline.core import strict_tables
from foldline.core.console import Terminal
from foldline.core.errors import UserError


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
    there = [path.name for path in out.glob("*.csv")] if out.is_dir() else [out.name] if out.exists() else []
    if there and (not out.is_dir() or "--force" not in arguments.flags):
        raise UserError(
            f"{out} must be new or hold no CSV file, but there is {', '.join(there)}. Name another folder, or --force."
        )
    with terminal.bar("simulating", "breaths") as update:
        try:
            simulator.write_competition(
                out,
                breaths=size.breaths,
                test_breaths=size.test_breaths,
                seed=size.seed,
                truth=size.truth,
                on_progress=lambda done: update(done, total),
            )
        except ValueError as error:
            raise UserError(f"simulate: {error}") from error
    terminal.result({"folder": str(out), **strict_tables.plain(size)}, f"simulated: {out}")
    return 0
