"""`decode IN OUT`: read pressures of the ventilator competition back exactly from a file's inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data.packed_files import guarded


def inputs(source: Path) -> np.ndarray:
    """Read u_in, where it is a number.

    Raises:
        UserError: the file is damaged, or not of the competition's shape.
    """
    from ventilator.decoder.file_decoding import read

    with guarded(source):
        try:
            return read(source)["u_in"].cast(pl.Float64, strict=False).drop_nulls().to_numpy()
        except (ValueError, FileNotFoundError) as error:
            raise UserError(str(error)) from error


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Write id,pressure,kind,kp,ki,kt for the rows that can be proven."""
    from ventilator.decoder.digits import lost_digits
    from ventilator.decoder.file_decoding import decode_file

    if len(arguments.words) != 2:
        raise UserError("`decode` needs a file to read and a file to write: ./run.sh decode test.csv exact.csv")
    source, out = (Path(word) for word in arguments.words)
    with terminal.bar("decoding (the first run on a machine compiles for 20 s)", "breaths") as update:
        try:
            if lost := lost_digits(inputs(source)):
                terminal.warn(f"{source}: {lost}; exact decoding needs the printed digits, so less can be proven.")
            rows = decode_file(source, out, progress=update)
        except (ValueError, FileNotFoundError) as error:
            raise UserError(str(error)) from error
    # Most rows first; by name among equals, whose order value_counts leaves to chance.
    counts = dict(rows["kind"].value_counts().sort("count", "kind", descending=[True, False]).iter_rows())
    terminal.table("", ["kind", "rows"], [[kind, str(count)] for kind, count in counts.items()])
    terminal.result({"out": str(out), "rows": rows.height, "kinds": counts}, f"exact rows: {rows.height}, in {out}")
    return 0
