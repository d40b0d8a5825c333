"""All that lies under runs/: the recorded experiments, the cells that they and searches need, their submissions.

Reads JSON only, of any age: no record is refused because code has changed since, and nothing heavy is imported, so
that `board` and `clean` are quick. To use one experiment, read it with stored_experiment.py.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from foldline.core import artefacts, files
from foldline.core.errors import UserError
from foldline.ensemble.fitted_blend import method_in_words
from foldline.run import ledger

# The format of experiment.json and of the arrays in its cells' folders. Records without a number are of format 1, whose
# out-of-fold and test arrays are padded, (series, steps, targets); in format 2 they are flat, (rows, targets).
FORMAT = 2
REFUSED = "submission.refused"  # beside a submission that the gate refused: why
MODELS_ALONE = "models alone"  # row of the score table, where a decoder has read rows back and models predict all
RANKED_ROWS = "ranked rows in place"  # row of the score table: before it, where an estimator has settled open rows
EXACT_ROWS = "exact rows in place"  # row of the score table: the last one, where a decoder has read rows back
CELLS_FILE = "cells.txt"  # in the folder of a search, an ablation or a study: the keys of its cells, one a line


@dataclass(frozen=True)
class ExperimentRecord:
    """The record of an experiment, as it lies on the disk."""

    folder: Path  # runs/NAME/HASH
    value: dict[str, Any]  # experiment.json
    latest: bool  # `latest` points to it
    lines: tuple[dict[str, str], ...]  # of its submissions in the ledgers, oldest first

    @property
    def name(self) -> str:
        """Return the config's name."""
        return self.folder.parent.name

    @property
    def config(self) -> dict[str, Any]:
        """Return its config's tables, resolved."""
        tables: dict[str, Any] = self.value["config"]
        return tables

    @property
    def current(self) -> bool:
        """Whether this version of foldline can apply it and show its predictions, not only list it."""
        return format_of(self.value) == FORMAT

    @property
    def simulated(self) -> bool:
        """Whether its data are simulated."""
        return bool(self.config["data"].get("source", "simulate") == "simulate")

    @property
    def scores(self) -> list[float]:
        """Return the out-of-fold score of what was submitted: in each fold, then over all rows."""
        values: list[float] = self.value["scores"][-1][1]
        return values

    @property
    def models_alone(self) -> float | None:
        """Return the score before exact rows took the place of predictions; None where models know them."""
        if self.value["scores"][-1][0] != EXACT_ROWS:
            return None
        return next((values[-1] for name, values in self.value["scores"] if name == MODELS_ALONE), None)

    @property
    def cost(self) -> float:
        """Return the last score, or minus it, so that lower is better; in older records it always was."""
        return -self.scores[-1] if self.value.get("higher_is_better", False) else self.scores[-1]

    @property
    def baseline(self) -> str:
        """Describe the best trivial baseline, linear 2.41234; empty in older records."""
        name = self.value.get("best_baseline", "")
        return f"{name} {dict(self.value['baselines'])[name][-1]:.5f}" if name else ""

    @property
    def lost(self) -> tuple[str, ...]:
        """Name the models and steps that lose to it, as the rows of the score table; none in older records."""
        return tuple(self.value.get("lost_to_baseline", ()))

    @property
    def refused(self) -> bool:
        """Whether the gate refused its submission."""
        return (self.folder / REFUSED).is_file()

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the last score, over `drawn`; NaN for a single one, and in older records."""
        low, high = (math.nan if end is None else float(end) for end in self.value.get("interval", (None, None)))
        return low, high

    @property
    def drawn(self) -> str:
        """Name what the interval is over: series, also in older records, or their groups."""
        return str(self.value.get("interval_over", "series"))

    @property
    def blend(self) -> str:
        """Describe the blend: hybrid 0.74 + lightgbm 0.26; without weights, its method and its members."""
        blend = self.value["blend"]
        weights, method = blend.get("weights") or [], method_in_words(blend["method"])
        if len(weights) != len(blend["labels"]):
            return f"{method} of {', '.join(blend['labels'])}"
        pairs = sorted(zip(weights, blend["labels"], strict=True), reverse=True)
        return " + ".join(f"{label} {weight:.2f}" for weight, label in pairs if weight) or method

    @property
    def keys(self) -> set[str]:
        """Return the keys of its own cells."""
        return {entry["key"] for entry in self.value["cells"]}

    @property
    def outside(self) -> set[str]:
        """Return the names of its members' folders in runs/outside."""
        return {Path(path).parent.name for entry in self.value.get("outside", []) for path in entry["tests"].values()}

    @property
    def data(self) -> str:
        """Return the training data's fingerprint, empty where its cells are gone: scores on the same data compare."""
        prints = {str(depends(key).get("data", {}).get("fingerprint", "")) for key in self.keys}
        return min(prints - {""}, default="")

    @property
    def minutes(self) -> float:
        """Add up the training time of all cells it needs, in minutes; NaN where one is gone."""
        return sum(_train_s(key) for key in cells_needed(self.keys)) / 60


def experiments(on_damage: Callable[[str], None] | None = None) -> list[ExperimentRecord]:
    """List the records of all experiments, by name and hash.

    Args:
        on_damage: told of each damaged record, which is left out then.

    Raises:
        Damaged: a record is not what was written, and there is no `on_damage`.
    """
    lines = [row for simulated in (False, True) for row in ledger.entries(ledger.ledger_path(simulated))]
    found = []
    for path in sorted(files.runs().glob("*/[!.]*/experiment.json")):
        folder = path.parent
        if folder.is_symlink():
            continue
        try:
            value = read_record(folder)
        except artefacts.Damaged as why:
            if on_damage is None:
                raise
            on_damage(str(why))
            continue
        own = tuple(row for row in lines if (row["config"], row["experiment"]) == (folder.parent.name, folder.name))
        found.append(ExperimentRecord(folder, value, is_latest(folder), own))
    return found


def describe(folder: Path) -> str:
    """Describe an experiment in a line: NAME/HASH, blend, score, and which verb made it when.

    The time is that of this machine's clock and zone. An experiment in a bundle does not say how it was made.
    """
    path = folder / "experiment.json"
    record, when = ExperimentRecord(folder, read_record(folder), is_latest(folder), ()), path.stat().st_mtime
    line = f"{record.name}/{folder.name}: {record.blend}, out-of-fold {record.config['data']['metric']} "
    line += f"{record.scores[-1]:.5f}"
    if not (made := provenance(folder)):
        return line
    called = re.match(r"foldline\.(\w+)\(", made["command"])  # in Python, of tables without a file
    verb = called[1] if called else made["command"].split()[1]
    return f"{line}, made by `{verb}` {datetime.fromtimestamp(when).astimezone():%Y-%m-%d %H:%M}"


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
    made = provenance(folder)
    return str(made["command"]) if made else to_make(folder.parent.name)


def to_make(name: str) -> str:
    """Return the command that makes an experiment of this name; of several configs it is their blend."""
    return f"./run.sh blend {name.replace('+', ' ')}" if "+" in name else f"./run.sh train {name}"


def provenance(folder: Path) -> dict[str, Any]:
    """Read made.json, how an experiment was made; empty where it is not there, as in a bundle, or damaged."""
    try:
        return artefacts.read_json(folder / "made.json")
    except artefacts.Damaged:
        return {}


def read_record(folder: Path) -> dict[str, Any]:
    """Read experiment.json.

    Raises:
        Damaged: it is not what was written.
    """
    try:
        return artefacts.read_json(folder / "experiment.json")
    except artefacts.Damaged as why:
        raise artefacts.Damaged(
            f"{folder} is damaged: {why}. Run `{made_by(folder)}` again, or move the folder out of runs/."
        ) from None


def is_latest(folder: Path) -> bool:
    """Whether `latest` beside a folder points to it."""
    link = folder.parent / "latest"
    return link.is_symlink() and link.readlink().name == folder.name


def short_path(path: Path) -> Path:
    """Shorten a path for messages: relative where it lies below the working folder, `latest` for the latest hash."""
    here = Path.cwd()
    if is_latest(path.parent):
        path = path.parent.with_name("latest") / path.name
    return path.relative_to(here) if path.is_relative_to(here) else path


def note_cells(folder: Path, keys: Iterable[str]) -> None:
    """Append the cells that a search, an ablation or a study uses to its list; several workers may do so at once."""
    new = sorted(set(keys) - noted_cells(folder))
    if not new:
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CELLS_FILE
    cut_off = path.is_file() and not path.read_bytes().endswith(b"\n")  # else the first key would go on its last line
    with path.open("ab", buffering=0) as stream:  # one write: lines of two workers do not mix
        stream.write("".join(["\n" * cut_off, *(f"{key}\n" for key in new)]).encode())


def noted_cells(folder: Path) -> set[str]:
    """Read the keys that `note_cells` wrote there."""
    path = folder / CELLS_FILE
    return set(path.read_text(encoding="utf-8", errors="replace").split()) if path.is_file() else set()


def cells_needed(keys: Iterable[str]) -> set[str]:
    """Collect the keys of cells, and of those whose weights, channels or pseudo-labels they were given."""
    found: set[str] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            inputs = depends(key)
            waiting += [inputs[name] for name in ("start", "channels") if name in inputs]
            waiting += [other for name in ("cells", "out_of_fold") for other in inputs.get("teacher", {}).get(name, [])]
    return found


def depends(key: str) -> dict[str, Any]:
    """Read what a stored cell's key is the hash of; empty where the cell is gone."""
    return _depends(files.runs() / "cells" / key / "depends.json")


@functools.cache
def _depends(path: Path) -> dict[str, Any]:  # a file of that name never changes: the name hashes it
    try:
        return artefacts.read_json(path)
    except artefacts.Damaged:
        return {}


def _train_s(key: str) -> float:
    try:
        return float(artefacts.read_json(files.runs() / "cells" / key / "done.json")["time.train_s"])
    except artefacts.Damaged:
        return math.nan
