"""From a table to its store: the families of [features], computed once and kept under the hash of what they depend on.

Features are computed on chunks of whole series (a family never reads another series), so that the data may be larger
than memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from foldline import features
from foldline.core import artefacts, files
from foldline.core.errors import UserError, unknown
from foldline.data import column_facts, competition_file, feature_file, store_contents
from foldline.data.competition_file import FAMILY
from foldline.data.feature_file import Made
from foldline.data.store import MARK, SOLUTION, Store, open_store
from foldline.data.table import Table
from foldline.features import Columns, Family

SERIES_TRIED = 4  # on which features() of competition.py is tried before anything is written


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig:
    """[features]: the families of features, each with a table of its own where it has parameters."""

    families: tuple[str, ...] = ("raw", "time", "integral", "lags", "differences", "stats", "static")
    scaler: str = "robust"  # "robust", "standard", "none"; fitted inside the fold: fit/scaler.py
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)  # family -> its parameters
    competition_file: str = ""  # path of the file with features(), where families names that: from data.code
    times: bool = False  # whether a store has the times of its rows: where a network's train.patches.every needs them

    def __post_init__(self) -> None:
        if not self.families:
            raise ValueError("families must name at least one feature family")
        if len(set(self.families)) < len(self.families):
            raise ValueError(f"families must not name one twice, but is {', '.join(self.families)}")
        for name in {*self.families, *self.tables} - {FAMILY}:
            features.build(name, self.tables.get(name, {}))  # raises for unknown families and parameters

    @property
    def built(self) -> list[Family]:
        """The families, made with their parameters, in order."""
        own = competition_file.of(Path(self.competition_file)) if self.competition_file else None
        return [
            own.family() if own is not None and name == FAMILY else features.build(name, self.tables.get(name, {}))
            for name in self.families
        ]

    def weights_depend_on(self) -> dict[str, Any]:
        """Return what the values of the features depend on: families, parameters and the hash of their sources."""
        known = [name for name in self.families if name != FAMILY]
        paths = sorted({path for name in known for path in features.source_of(name)})
        sources = {path.name: files.digest(path.read_text(encoding="utf-8")) for path in paths}
        if self.competition_file:
            own = competition_file.load(Path(self.competition_file))
            sources[FAMILY] = files.digest(own.text_of_features)
        return {"families": [[name, self.tables.get(name, {})] for name in self.families], "sources": sources}


def parse(table: dict[str, Any], where: str) -> dict[str, Any]:
    """Gather the families' own tables of [features] under `tables`.

    Args:
        table: as written in the config. where: for messages.

    Raises:
        UserError: a key is neither a field nor a family.
    """
    own = {"families", "scaler"}
    for name in table:
        if name not in own and name not in features.FAMILIES:
            raise unknown("key", name, {"families", "scaler", *features.FAMILIES}, where)
    gathered = {name: value for name, value in table.items() if name not in own}
    return {name: value for name, value in table.items() if name in own} | {"tables": gathered}


def families_of(table: Table, config: FeaturesConfig) -> list[Family]:
    """Return the families of a table's features: those of [features], and what its missing inputs need."""
    found = list(config.built)
    if _adds_categories(table, config):
        found.append(features.build("categories", config.tables.get("categories", {})))
    if table.facts.missing and "missing" not in config.families:
        found.append(features.build("missing", {"columns": table.facts.missing}))
    return found


def columns_of(table: Table, levels: dict[str, tuple[object, ...]]) -> Columns:
    """Return the roles of a table's columns, as features use them."""
    data = table.data
    numbers = tuple(name for name in data.static if not levels[name])
    static = tuple(name for name in data.static if name not in numbers)
    known = {name: levels[name] for name in (*static, *data.categorical_inputs)}
    return Columns(
        key=data.key,
        order=data.order,
        inputs=data.numeric_inputs,
        static=static,
        levels=known,
        static_numbers=numbers,
        categories=data.categorical_inputs,
        targets=data.target if data.has_start else (),
        gap=data.forecast.gap,
        has_moments=table.moments is not None and table.of_dates,  # moments may be long whole numbers
    )


def names_of(families: list[Family], columns: Columns) -> list[str]:
    """Return the features' names, (F,), in the order of the store's columns.

    Raises:
        UserError: a family's parameters don't fit the data's columns.
    """
    found = []
    for family in families:
        try:
            found += family.names(columns)
        except ValueError as error:
            raise UserError(f"features: {_lack_of_inputs(family, columns) or error}") from error
    return found


def _lack_of_inputs(family: Family, columns: Columns) -> str:
    """Say that a family lacks an input that is a number, if it is that; else return nothing."""
    if columns.inputs:
        return ""
    try:
        family.names(replace(columns, inputs=("any",)))
    except ValueError:
        return ""
    name = next((name for name, kind in features.FAMILIES.items() if kind is type(family)), type(family).__name__)
    return (
        f"the family {name!r} is made from inputs that are numbers, but data.inputs names none; categories are no "
        "numbers. Add such an input, or name the families that suit as features.families."
    )


def obtain(
    table: Table,
    config: FeaturesConfig,
    levels: dict[str, tuple[object, ...]],
    on_progress: Callable[[int, int], None] | None = None,
) -> Store:
    """Open the store of a table, or make it: a call that was killed or interrupted is gone on with.

    Args:
        levels: known values of each static column, from the training table.
        on_progress: called with (series done, series in all).

    Raises:
        UserError: a feature is not finite.
    """
    path = _path(table, config, levels)
    columns = columns_of(table, levels)
    artefacts.make_folder(path, lambda draft: _write(draft, table, config, columns, on_progress), MARK, resumes=True)
    return open_store(path)


def _path(table: Table, config: FeaturesConfig, levels: dict[str, tuple[object, ...]]) -> Path:
    key = files.digest(
        {
            "table": table.fingerprint,
            "roles": table.data.roles(),
            "levels": {name: [str(value) for value in values] for name, values in levels.items()},
            "features": config.weights_depend_on(),
            "layout": 5,  # raise it when the files of a store change
            **_of_other_classes(table),
            **({"times": True} if config.times else {}),
            **of_facts(table, config),
        }
    )
    return files.runs() / "store" / key


def _of_other_classes(table: Table) -> dict[str, Any]:
    """Return the classes of a table that has those of another one: how many they are, its store says.

    Nothing where they are its own, as in a training table, so that older keys stay as they are.
    """
    if not table.classes:
        return {}
    own = set(table.frame[table.data.target[0]].unique(maintain_order=True).drop_nulls()) if table.labelled else set()
    return {} if own == set(table.classes) else {"classes": [str(label) for label in table.classes]}


def of_facts(table: Table, config: FeaturesConfig) -> dict[str, Any]:
    """Return what a store depends on of the training table's facts, and of the families that it adds by itself.

    Nothing where they are the defaults, so that older keys stay as they are.
    """
    facts = table.facts.to_json()
    if facts:
        facts["code"] = _code(Path(str(column_facts.__file__)), *features.source_of("missing"))
    if _adds_categories(table, config):
        parameters = config.tables.get("categories", {})
        facts["categories"] = {"parameters": parameters, "code": _code(*features.source_of("categories"))}
    return {"facts": facts} if facts else {}


def _code(*paths: Path) -> str:
    return files.digest([path.read_text(encoding="utf-8") for path in paths])


def _adds_categories(table: Table, config: FeaturesConfig) -> bool:
    return bool(table.data.categorical_inputs) and "categories" not in config.families


def check(table: Table, config: FeaturesConfig, levels: dict[str, tuple[object, ...]]) -> None:
    """Refuse features that don't fit the columns, and a store that doesn't fit on the disk, before anything is written.

    Raises:
        UserError
    """
    columns = columns_of(table, levels)
    names = names_of(families_of(table, config), columns)
    if not names:
        raise UserError(
            f"features.families = {json.dumps(config.families)} make no feature of {table.path}: where there are no "
            'inputs, take "time", "target_lags" or "calendar".'
        )
    if config.competition_file:
        first = int(table.lengths[:SERIES_TRIED].sum())
        competition_file.check_inside_series(
            config.built[config.families.index(FAMILY)], table.for_features[:first], columns
        )
    path = _path(table, config, levels)
    if not path.is_dir():
        # Features in float32; targets and masks take some 16 bytes a row. A killed run may have written some of them.
        there = sum(512 * each.stat().st_blocks for each in files.draft_of(path).glob("*.npy"))
        files.require_space(table.frame.height * (4 * len(names) + 16) - there, f"the features of {table.path}")


def _write(
    folder: Path,
    table: Table,
    config: FeaturesConfig,
    columns: Columns,
    on_progress: Callable[[int, int], None] | None,
) -> artefacts.Contents:
    """Write the files of a store into a folder; return what its mark says beside checksums. open_store reads both."""
    families, facts = families_of(table, config), of_facts(table, config)
    made = Made(table, families, columns, names_of(families, columns))
    features_entry = feature_file.write(folder / "x.npy", made, on_progress)
    arrays = store_contents.arrays_of(table, columns, config.times)
    for name, array in arrays.items():
        files.write_array(folder / f"{name}.npy", array)
    if table.labelled and table.data.metric_columns:
        table.answers.select(table.data.metric_columns).write_parquet(folder / SOLUTION)
    names = json.dumps(table.keys.to_list(), ensure_ascii=False)  # in one line: a long list takes a tenth of the time
    files.write_text(folder / "keys.json", f"{names}\n")
    roots = store_contents.roots_of(families, columns)
    absent = {"absent": store_contents.absent_of(table, families, columns, roots)} if table.data.channels else {}
    meta = store_contents.meta_of(made, arrays, roots, table.fingerprint) | absent | facts
    return meta, {"x.npy": features_entry}
