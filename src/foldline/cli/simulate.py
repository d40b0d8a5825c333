"""`simulate OUT breaths=N test_breaths=N seed=S`: write a simulated competition as Kaggle's files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from foldline.api import simulate as simulation
from foldline.api.simulate import Size
from foldline.cli.main import Arguments
from foldline.core import strict_tables
from foldline.core.console import Terminal
from foldline.core.errors import UserError


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Write the files."""
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
    simulation.carry_out(out, size, "--force" in arguments.flags, terminal)
    terminal.result({"folder": str(out), **strict_tables.plain(size)}, f"simulated: {out}")
    return 0
