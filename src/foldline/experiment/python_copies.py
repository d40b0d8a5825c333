"""The competition's Python files beside a record: copies of its metric file and of competition.py.

The experiment is scored, and predicts new series, by these copies from then on. What a record says of its config names
them, so that they serve where the files themselves are gone, as in a bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from foldline.core import artefacts, files
from foldline.core.errors import UserError
from foldline.data import competition_file, metrics
from foldline.data.metrics import UTILITIES_FILE, KaggleFile
from foldline.experiment import runs_index
from foldline.experiment.config import Config

METRIC, CODE = "metric_file", "competition_file"  # keys of experiment.json
WHAT = {METRIC: "metric file", CODE: "competition.py"}  # in messages


def recorded(config: Config) -> dict[str, Any]:
    """Return a config's tables as a record has them: its files lie beside the record, not where they were."""
    tables = config.tables()
    if config.data.has_metric_file:
        tables["data"] |= {"metric": Path(config.data.metric).name, "metric_folder": ""}
    if config.data.code:
        tables["data"] |= {"code": Path(config.data.code).name, "code_folder": ""}
    return tables


def copy(config: Config, parts: Sequence[Config], folder: Path) -> dict[str, Any]:
    """Copy the files beside the record, and return what the record says of them; nothing where there are none.

    Args:
        config: the experiment's.
        parts: the configs that it has its members of; those with a competition.py have the same one.
    """
    said = next(filter(None, (copy_code(each, folder) for each in (config, *parts))), {})
    if config.data.has_metric_file:
        said = {METRIC: copy_metric(metrics.loaded(config.data.metric_choice(0)), folder), **said}
    return said


def copy_metric(file: KaggleFile, folder: Path) -> dict[str, Any]:
    """Copy a metric file, and what it imports, beside the record; return what the record says of it."""
    files.write_text(folder / file.path.name, file.text)
    if file.utilities.is_file():
        files.write_text(folder / file.utilities.name, file.utilities.read_text(encoding="utf-8"))
    return {"name": file.path.name, **file.key()}


def copy_code(config: Config, folder: Path) -> dict[str, Any]:
    """Copy competition.py beside the record, and return what the record says of it; nothing where there is none."""
    code = competition_file.of(config.data.code_path)
    if code is None:
        return {}
    files.write_text(folder / code.path.name, code.text)
    return {CODE: {"name": code.path.name, "file": metrics.hash_of(code.text)}}


def files_of(folder: Path) -> list[Path]:
    """List the copies that a record has of its metric file, of what that imports, and of competition.py."""
    value = artefacts.read_json(folder / "experiment.json")
    names = [value[key]["name"] for key in (METRIC, CODE) if key in value]
    names += [UTILITIES_FILE] if METRIC in value else []
    return [folder / name for name in dict.fromkeys(names) if (folder / name).is_file()]


def refuse_changed(value: dict[str, Any], folder: Path) -> None:
    """Refuse copies that are not the files that the record was made with."""
    used = [(value[key]["name"], value[key]["file"], what) for key, what in WHAT.items() if key in value]
    if utilities := value.get(METRIC, {}).get("utilities"):
        used.append((UTILITIES_FILE, utilities, "file of utilities"))
    for name, expected, what in used:
        path = folder / name
        if not path.is_file() or metrics.hash_of(path.read_text(encoding="utf-8")) != expected:
            raise UserError(f"{path} is not the {what} that was used. Run `{runs_index.made_by(folder)}` again.")
