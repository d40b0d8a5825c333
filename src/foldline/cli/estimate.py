"""`estimate IN OUT`: exact pressures of the ventilator competition where provable, estimates with sd elsewhere."""

from __future__ import annotations

from pathlib import Path

from foldline.api import estimate as estimation
from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.errors import UserError

USAGE = "./run.sh estimate test.csv estimates.csv [labels=train.csv]"


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Write id,pressure,sd,kind for every row of inspiration."""
    from ventilator.estimation.frame_estimation import ESTIMATED

    if len(arguments.words) != 2:
        raise UserError(f"`estimate` needs a file to read and a file to write: {USAGE}")
    source, out = (Path(word) for word in arguments.words)
    labels = _labels(arguments.overrides)
    rows, kinds = estimation.carry_out(source, out, labels, terminal)
    counts = dict(kinds.iter_rows())
    sd = rows.filter(kind=ESTIMATED)["sd"].median()
    said = f", median sd of an estimate {sd:.2f} cmH2O" if isinstance(sd, float) else ""
    terminal.result({"out": str(out), "rows": rows.height, "kinds": counts}, f"{rows.height} rows, in {out}{said}")
    return 0


def _labels(overrides: list[str]) -> Path | None:
    """Read `labels=FILE`, the only key there is."""
    path = None
    for text in overrides:
        key, _, value = text.partition("=")
        if key != "labels" or not value:
            raise UserError(f"`estimate` takes labels=FILE and no other key, but got {text!r}: {USAGE}")
        path = Path(value).expanduser()  # not every shell does that behind a =
    return path
