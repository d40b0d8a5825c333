"""Where configs lie, and what stands in their files: names, [[target]] of one, one level of `extends`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from foldline.core import files, strict_tables, unchanged
from foldline.core.errors import UserError, unknown

OTHER_FILES = {  # table that no config has -> what a file with it is, and the verb that reads it
    "space": ("a search", "tune"),
    "variant": ("an ablation", "ablate"),
    "system": ("a study", "study"),
}


def read(path: Path) -> dict[str, Any]:
    """Read a config file's tables, merged over those of the file that it extends."""
    tables = _read(path)
    for table, (kind, verb) in OTHER_FILES.items():
        if table in tables:
            raise UserError(f"{path} is no config, but {kind}: `./run.sh {verb} {path.stem}` reads it.")
    if "extends" not in tables:
        return tables
    name = str(tables.pop("extends"))
    beside, packed = path.parent / name, files.packed_configs() / name
    base = packed if packed.is_file() and not beside.is_file() else beside
    below = _read(base)
    if "extends" in below:
        raise UserError(f"{path}: extends reaches one level only, but {base} extends {below['extends']} itself.")
    return strict_tables.merged(below, tables)


def locate(path: Path, trainable: bool = False) -> Path:
    """Find the file of a path or a bare name; configs/NAME is looked up as NAME is.

    Args:
        trainable: where there is none, the error lists configs that can be trained; else searches, studies and all.

    Raises:
        UserError: there is no such file, or it is named like a folder of runs/.
    """
    name, known = path.name.removesuffix(".toml"), named_configs()
    found = path if path.is_file() else known.get(name) if path.parent in (Path(), Path("configs")) else None
    if found is not None:
        _refuse_taken(found)
        return found
    offered = [name for name, file in known.items() if not trainable or _is_trainable(file)]
    raise unknown("config", str(path), offered, "CONFIG")


def _refuse_taken(path: Path) -> None:
    """Refuse a name whose folder under runs/ would be one that has another use: `clean` would delete what is in it."""
    if path.stem.lower() in (*files.SHARED_FOLDERS, *files.OWN_ENTRIES) or path.stem.startswith("."):
        raise UserError(
            f"{path}: runs/{path.stem} is not for a config's runs, so no config can be called {path.stem!r}. Rename it."
        )


def named_configs() -> dict[str, Path]:
    """List the configs that have a name: those of the installed package, and over them those in configs/."""
    folders = (files.packed_configs(), files.home() / "configs")
    return {file.stem: file for folder in folders for file in folder.glob("*.toml") if file.is_file()}


def _is_trainable(path: Path) -> bool:
    """Return whether a file says what is learned from, or extends a config that does; without models it has a default.

    One that can't be read counts: the list shall show it.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError):
        return True
    data = tables.get("data")
    return not {"model", "extends"}.isdisjoint(tables) or (isinstance(data, dict) and "source" in data)


def _read(path: Path) -> dict[str, Any]:
    unchanged.reads(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist, but a config extends it.") from error
    except IsADirectoryError as error:
        raise UserError(f"{path} is a directory, but a config extends it. Name a file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no valid TOML: {error}.") from error


def target_of(path: Path) -> tuple[Path, str]:
    """Split CONFIG.NAME into the config's path and the name of its target; empty where the whole names a file."""
    stem, dot, name = path.name.rpartition(".")
    known, single = named_configs(), path.name.removesuffix(".toml")
    if not dot or name == "toml" or path.is_file() or single in known:
        return path, ""
    file = path.with_name(f"{stem}.toml")
    return (file, name) if file.is_file() else (path.with_name(stem), name) if stem in known else (path, "")


def locate_base(path: Path) -> Path:
    """Find the file of a config that `load` takes, as `locate` does; of CONFIG.NAME the path that means that target."""
    file, name = target_of(path)
    found = locate(file)
    return found.with_name(f"{found.stem}.{name}") if name else found
