"""The competition's metric file beside a record: a copy, by which the experiment is scored from then on.

What a record says of its config names the copy, so that it serves where the file itself is gone, as in a bundle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foldline.core import artefacts, files
from foldline.core.errors import UserError
from foldline.data import metrics
from foldline.data.metrics import UTILITIES_FILE
from foldline.experiment import runs_index
from foldline.experiment.config import Config


def recorded(config: Config) -> dict[str, Any]:
    """Return a config's tables as a record has them: a metric file lies beside the record, not where it was."""
    tables = config.tables()
    if config.data.has_metric_file:
        tables["data"] |= {"metric": Path(config.data.metric).name, "metric_folder": ""}
    return tables


def copy(config: Config, folder: Path) -> dict[str, Any]:
    """Copy the metric file beside the record, and return what the record says of it."""
    file = metrics.loaded(config.data.metric_choice(0))
    files.write_text(folder / file.path.name, file.text)
    if file.utilities.is_file():
        files.write_text(folder / file.utilities.name, file.utilities.read_text(encoding="utf-8"))
    return {"name": file.path.name, **file.key()}


def files_of(folder: Path) -> list[Path]:
    """List the copies that a record has of its metric file, and of what that imports."""
    named = artefacts.read_json(folder / "experiment.json").get("metric_file", {}).get("name")
    return [path for path in (folder / named, folder / UTILITIES_FILE) if path.is_file()] if named else []


def refuse_changed(value: dict[str, Any], folder: Path) -> None:
    """Refuse a copy of a metric file that is not the one that the record was made with."""
    said = value.get("metric_file")
    if said is None:
        return
    path = folder / said["name"]
    if not path.is_file() or metrics.hash_of(path.read_text(encoding="utf-8")) != said["file"]:
        raise UserError(f"{path} is not the metric file that was used. Run `{runs_index.made_by(folder)}` again.")
