"""`decode IN OUT`: read pressures of the ventilator competition back exactly from a file's inputs."""

from __future__ import annotations

from pathlib import Path

from foldline.api import decode as decoding
from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.errors import UserError


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Write id,pressure,kind,kp,ki,kt for the rows that can be proven."""
    if len(arguments.words) != 2:
        raise UserError("`decode` needs a file to read and a file to write: ./run.sh decode test.csv exact.csv")
    source, out = (Path(word) for word in arguments.words)
    rows, kinds = decoding.carry_out(source, out, terminal)
    answer = {"out": str(out), "rows": rows.height, "kinds": dict(kinds.iter_rows())}
    terminal.result(answer, f"exact rows: {rows.height}, in {out}")
    return 0
