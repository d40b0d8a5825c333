"""What lies under runs/: the recorded experiments, the cells that they and searches need, their lines in the ledgers.

Reads JSON only, of any age: records are not refused because code has changed since, and nothing heavy is imported.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from foldline.blend.rules import shown
from foldline.core import files
from foldline.core.errors import UserError
from foldline.run import ledger

# The format of experiment.json and of the arrays in its cells' folders. Records without a number are of format 1, whose
# out-of-fold and test arrays are padded, (series, steps, targets); in format 2 they are flat, (rows, targets).
FORMAT = 2
NOTE = "cells.txt"  # in the folder of a search, an ablation or a study: the keys of its cells, one a line


@dataclass(frozen=True)
class Record:
    """An experiment as it was written down."""

    folder: Path  # runs/NAME/HASH
    value: dict[str, Any]  # experiment.json
    latest: bool  # `latest` points to it
    lines: tuple[dict[str, str], ...]  # of its submissions in the ledgers, oldest first

    @property
    def name(self) -> str:
        return self.folder.parent.name

    @property
    def config(self) -> dict[str, Any]:
        """Its tables, resolved."""
        tables: dict[str, Any] = self.value["config"]
        return tables

    @property
    def current(self) -> bool:
        """Whether this version of foldline can apply it and show its predictions, not only list it."""
        return format_of(self.value) == FORMAT

    @property
    def simulated(self) -> bool:
        return bool(self.config["data"].get("source", "simulate") == "simulate")

    @property
    def scores(self) -> list[float]:
        """Out-of-fold score of what was submitted: in each fold, then over all rows."""
        values: list[float] = self.value["scores"][-1][1]
        return values

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the last of these, over series; NaN for a single one, and where an older run left none."""
        low, high = (math.nan if end is None else float(end) for end in self.value.get("interval", (None, None)))
        return low, high

    @property
    def blend(self) -> str:
        """hybrid 0.74 + lightgbm 0.26; where there are no weights, its method and its members."""
        blend = self.value["blend"]
        weights, way = blend.get("weights") or [], shown(blend["method"])
        if len(weights) != len(blend["labels"]):
            return f"{way} of {', '.join(blend['labels'])}"
        pairs = sorted(zip(weights, blend["labels"], strict=True), reverse=True)
        return " + ".join(f"{label} {weight:.2f}" for weight, label in pairs if weight) or way

    @property
    def keys(self) -> set[str]:
        """Of its own cells."""
        return {entry["key"] for entry in self.value["cells"]}

    @property
    def outside(self) -> set[str]:
        """Folders of runs/outside with predictions that it weighs."""
        return {Path(path).parent.name for entry in self.value.get("outside", []) for path in entry["tests"].values()}

    @property
    def data(self) -> str:
        """What its score can be compared on: the training data's fingerprint; empty where its cells are gone."""
        prints = {str(depends(key).get("data", {}).get("fingerprint", "")) for key in self.keys}
        return min(prints - {""}, default="")

    @property
    def minutes(self) -> float:
        """Training time of all cells it needs, added up; NaN where one is gone."""
        return sum(_train_s(key) for key in needed(self.keys)) / 60


def experiments() -> list[Record]:
    """All of them, by name and hash."""
    lines = [row for simulated in (False, True) for row in ledger.entries(ledger.ledger_path(simulated))]
    found = []
    for path in sorted(files.runs().glob("*/[!.]*/experiment.json")):
        folder = path.parent
        if not folder.is_symlink():
            own = tuple(row for row in lines if (row["config"], row["experiment"]) == (folder.parent.name, folder.name))
            found.append(Record(folder, files.read_json(path), is_latest(folder), own))
    return found


def described(folder: Path) -> str:
    """Which experiment it is, in a line: NAME/HASH, its blend, its score, and which verb made it when.

    The time is that of this machine's clock and zone. A bundle's experiment does not know how it was made.
    """
    path = folder / "experiment.json"
    record, when = Record(folder, files.read_json(path), is_latest(folder), ()), path.stat().st_mtime
    told = f"{record.name}/{folder.name}: {record.blend}, out-of-fold {record.config['data']['metric']} "
    told += f"{record.scores[-1]:.5f}"
    if not (folder / "made.json").exists():
        return told
    words = files.read_json(folder / "made.json")["command"].split()
    return f"{told}, made by `{words[1]}` {datetime.fromtimestamp(when).astimezone():%Y-%m-%d %H:%M}"


def format_of(value: dict[str, Any]) -> int:
    """Return the format of an experiment.json."""
    return int(value.get("format", 1))


def refuse_other_format(value: dict[str, Any], folder: Path) -> None:
    """Refuse an experiment that another version of foldline has recorded. value: its experiment.json.

    Raises:
        UserError: its format is not FORMAT.
    """
    recorded = format_of(value)
    if recorded == FORMAT:
        return
    age, way_out = (
        ("an older", f"run `{made_by(folder)}` again") if recorded < FORMAT else ("a newer", "update this one")
    )
    raise UserError(
        f"{folder} was made by {age} version of foldline (format {recorded}, this version reads {FORMAT}): {way_out}."
    )


def made_by(folder: Path) -> str:
    """Return the command that made an experiment; of one that does not say so, as in a bundle, `train` and its name."""
    path = folder / "made.json"
    return str(files.read_json(path)["command"]) if path.exists() else f"./run.sh train {folder.parent.name}"


def is_latest(folder: Path) -> bool:
    """Whether `latest` beside a folder points to it."""
    link = folder.parent / "latest"
    return link.is_symlink() and link.readlink().name == folder.name


def note_cells(folder: Path, keys: Iterable[str]) -> None:
    """Write down which cells a search, an ablation or a study uses; workers may do so side by side."""
    new = sorted(set(keys) - noted_cells(folder))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / NOTE).open("ab", buffering=0) as stream:  # one write: lines of two workers do not mix
        stream.write("".join(f"{key}\n" for key in new).encode())


def noted_cells(folder: Path) -> set[str]:
    """What `note_cells` wrote there."""
    path = folder / NOTE
    return set(path.read_text(encoding="utf-8").split()) if path.is_file() else set()


def needed(keys: Iterable[str]) -> set[str]:
    """Cells, and those they started from or were taught by."""
    found: set[str] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            known = depends(key)
            waiting += [known["start"]] if "start" in known else []
            waiting += known.get("teacher", {}).get("cells", [])
    return found


def depends(key: str) -> dict[str, Any]:
    """What a stored cell's key hashes; empty where the cell is gone."""
    return _depends(files.runs() / "cells" / key / "depends.json")


@functools.cache
def _depends(path: Path) -> dict[str, Any]:  # a file of that name never changes: the name hashes it
    found: dict[str, Any] = files.read_json(path) if path.is_file() else {}
    return found


def _train_s(key: str) -> float:
    path = files.runs() / "cells" / key / "done.json"
    return float(files.read_json(path)["time.train_s"]) if path.is_file() else math.nan
