"""`estimate IN OUT`: exact pressures of the ventilator competition where provable, estimates with sd elsewhere."""

from __future__ import annotations

from pathlib import Path

from foldline.api.decode import inputs
from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.errors import UserError

USAGE = "./run.sh estimate test.csv estimates.csv [labels=train.csv]"


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Write id,pressure,sd,kind for every row of inspiration."""
    from ventilator.decoder.digits import lost_digits
    from ventilator.estimation.file_estimation import estimate_file
    from ventilator.estimation.frame_estimation import ESTIMATED

    if len(arguments.words) != 2:
        raise UserError(f"`estimate` needs a file to read and a file to write: {USAGE}")
    source, out = (Path(word) for word in arguments.words)
    labels = _labels(arguments.overrides)
    if lost := lost_digits(inputs(source)):
        terminal.warn(f"{source}: {lost}; exact decoding needs the printed digits, so less can be proven.")
    if labels is not None:
        inputs(labels)
    with terminal.bar("estimating (the first run on a machine compiles for 20 s)", "breaths") as update:
        try:
            rows = estimate_file(source, out, labels=labels, progress=update)
        except (ValueError, FileNotFoundError) as error:
            raise UserError(str(error)) from error
    summary = rows.group_by("kind").len().sort("len", "kind", descending=[True, False])
    counts = dict(summary.iter_rows())
    terminal.table("", ["kind", "rows"], [[kind, str(count)] for kind, count in counts.items()])
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
        path = Path(value)
    return path
