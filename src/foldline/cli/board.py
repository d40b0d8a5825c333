"""`board`: list the recorded experiments, best first."""

from __future__ import annotations

import math
from dataclasses import asdict

from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.errors import UserError, unknown
from foldline.experiment import runs_index
from foldline.output import board
from foldline.output.board import Group, Line
from foldline.run.cell_cost import COLUMNS

SHOWN = 3  # differences of a config that the table has room for
LATEST, OTHER_VERSION, LOST, REFUSED = "*", "†", "‡", "✗"  # marks behind the name of an experiment


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Show one table for each group of experiments that can be compared."""
    found = runs_index.experiments(on_damage=terminal.warn)
    names = {record.name for record in found}
    for word in arguments.words:
        if word not in names:
            raise unknown("experiment", word, names, "./run.sh board")
    if not found:
        raise UserError("There is no experiment yet. Run `./run.sh train` first.")
    chosen = [record for record in found if not arguments.words or record.name in arguments.words]
    groups, fleet = board.groups(chosen), board.fleet(chosen)
    for group in groups:
        _table(group, terminal)
    if not all(line.current for group in groups for line in group.lines):
        terminal.say(
            f"{OTHER_VERSION} recorded by another version of foldline: infer, report and bundle need it trained again"
        )
    if any(line.lost for group in groups for line in group.lines):
        terminal.say(f"{LOST} loses to a trivial baseline, or one of its models does")
    if any(line.refused for group in groups for line in group.lines):
        terminal.say(f"{REFUSED} its submission was refused: {runs_index.REFUSED} in its folder says why")
    if fleet:
        terminal.table("where their cells ran", COLUMNS, [each.row for each in fleet])
    values = [{**asdict(group), "lines": [asdict(line) for line in group.lines]} for group in groups]
    terminal.result(
        {"groups": values, "fleet": [asdict(each) for each in fleet]},
        "\n".join(_best(group, len(groups) > 1) for group in groups),
    )
    return 0


def _best(group: Group, several: bool) -> str:
    """Write the last line, one for each table: scores of two tables can't be compared."""
    best = group.lines[0]
    refused = ", whose submission was refused" if best.refused else ""
    where = f" on {group.title}" if several else ""
    return f"best{where}: {best.experiment}, {group.metric} {best.score:.5f}{refused}"


def _table(group: Group, terminal: Terminal) -> None:
    drawn = " or ".join(sorted({line.drawn for line in group.lines}))
    columns = ["experiment", group.metric, f"95 % over {drawn}", "models alone", "cells", "minutes"]
    columns += ["public", "private", "best baseline", "blend", "its config, unlike the best's"]
    rows = [_row(line) for line in group.lines]
    kept = [n for n in range(len(columns)) if n < 2 or any(row[n] for row in rows)]
    shown = [[row[n] for n in kept] for row in rows]
    terminal.table(group.title, [columns[n] for n in kept], shown)


def _row(line: Line) -> list[str]:
    more = f", and {len(line.differs) - SHOWN} more" if len(line.differs) > SHOWN else ""
    return [
        " ".join([line.experiment, *_marks(line)]),
        f"{line.score:.5f}",
        "" if math.isnan(line.low) else f"{line.low:.4f} to {line.high:.4f}",
        "" if line.models_alone is None else f"{line.models_alone:.5f}",
        str(line.cells),
        "" if math.isnan(line.minutes) else f"{line.minutes:.1f}",
        line.public,
        line.private,
        _baseline(line),
        line.blend,
        ", ".join(line.differs[:SHOWN]) + more,
    ]


def _marks(line: Line) -> list[str]:
    marks = {LATEST: line.latest, OTHER_VERSION: not line.current, LOST: bool(line.lost), REFUSED: line.refused}
    return [mark for mark, applies in marks.items() if applies]


def _baseline(line: Line) -> str:
    """Describe the best trivial baseline, with what loses to it."""
    if not line.lost:
        return line.baseline
    return f"{line.baseline}, beats {'what is submitted' if line.submitted_lost else ', '.join(line.lost)}"
