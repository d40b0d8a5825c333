"""What a store holds of a table beside its features, on the disk (featurize.py) or in memory (held_features.py)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from foldline import features
from foldline.data import competition_file
from foldline.data.feature_file import Made
from foldline.data.ragged import consecutive
from foldline.data.table import Table
from foldline.data.task import Task
from foldline.features import Columns, Family

SERIES_TRIED = 4  # whose features are computed without a channel


def arrays_of(table: Table, columns: Columns, times: bool) -> dict[str, np.ndarray]:
    """Return the arrays of a store but for its features. times: those of its rows, too (FeaturesConfig.times)."""
    arrays = {"static": static_codes(table, columns.levels), "lengths": table.lengths, "scored": table.scored}
    if table.data.group_column and table.labelled:
        arrays["groups"] = table.groups
    if table.labelled:
        known = ~np.isnan(table.y)
        arrays |= {"y": table.y} if known.all() else {"y": np.where(known, table.y, 0.0), "known": known}
        arrays |= {} if table.weight is None else {"weight": table.weight}
        if table.auxiliary:
            arrays["auxiliary"] = np.concatenate([values for _, values in table.auxiliary], axis=1)
    elif table.start is not None:
        arrays |= {"y": np.nan_to_num(table.start), "known": table.observed[:, None] & ~np.isnan(table.start)}
    if table.data.known_column:
        arrays["known_steps"] = table.known_steps
    if times:
        arrays["times"] = table.since_first
    return arrays | _known_values(table)


def static_codes(table: Table, levels: Any) -> np.ndarray:
    """Return codes of the static columns, (N, S) int64: 1 + place among the known values; 0: an unknown value."""
    codes = np.zeros((len(table.lengths), len(table.data.static)), dtype=np.int64)
    for column, name in enumerate(table.data.static):
        place = {value: position for position, value in enumerate(levels.get(name, ()), start=1)}
        codes[:, column] = [place.get(value, 0) for value in table.frame[name].gather(table.starts).to_list()]
    return codes


def _known_values(table: Table) -> dict[str, np.ndarray]:
    """Return what a store keeps of data.known: which answers are given; of a training table how others are drawn."""
    if table.given is None:
        return {}
    if table.masks is None:
        return {"given": table.given}
    masks = {"masks": table.masks.known, "mask_lengths": table.masks.lengths}
    return {"given": table.given, "eligible": table.eligible, **masks}


def roots_of(families: list[Family], columns: Columns) -> list[list[str]]:
    """Return the columns that each feature is made of, (F,)."""
    return [expression.meta.root_names() for family in families for expression in family.expressions(columns)]


def meta_of(made: Made, arrays: Iterable[str], roots: list[list[str]], fingerprint: str) -> dict[str, Any]:
    """Return what the mark of a store says beside checksums, absent channels and facts. arrays: names of its others."""
    table, columns = made.table, made.columns
    coded = {f"place({name})": len(values) for name, values in columns.levels.items()}
    places = {name: coded[name] for name in made.names if name in coded}
    return {
        "names": made.names,
        "arrays": ["x", *arrays],
        "fingerprint": fingerprint,
        "levels": [len(columns.levels.get(name, ())) for name in table.data.static],
        "targets": len(table.task.columns),
        "task": table.task.to_json(),
        "labelled": table.labelled,
        "observed": table.most_known,
        **({"windows": True} if table.data.group_column and not table.data.named_group else {}),
        **({"auxiliary": [_auxiliary(*each) for each in table.auxiliary]} if table.auxiliary else {}),
        "of_static": [not set(table.data.static).isdisjoint(each) for each in roots],
        **({"missing": True} if made.has_gaps else {}),
        **({"places": places} if places else {}),
    }


def _auxiliary(task: Task, values: np.ndarray) -> dict[str, Any]:
    """Return what a store's mark says of an auxiliary target."""
    name, kind = task.data.target[0], task.data.kind
    return {"name": name, "kind": kind, "count": values.shape[1], "classes": len(task.classes)}


def absent_of(table: Table, families: list[Family], columns: Columns, roots: list[list[str]]) -> dict[str, Any]:
    """Return what features are in a series that lacks a channel: of each, `features` and `values`, null: missing.

    They are made of a few series from all over the table, without the channel; what still differs there, because other
    inputs are in it, or lags outside of their series, counts as missing. roots: (F,) the columns that each feature is
    made of.
    """
    tried = np.unique(np.linspace(0, len(table.lengths) - 1, SERIES_TRIED).astype(np.int64))
    rows, found = table.for_features[consecutive(table.starts[tried], table.lengths[tried])], {}
    for name, inputs in table.data.channels.items():
        lacking = (
            pl.lit(None, rows.schema[x]) if x in table.data.categorical else pl.lit(float("nan")) for x in inputs
        )
        frame = rows.with_columns(value.alias(x) for value, x in zip(lacking, inputs, strict=True))
        with competition_file.explained_features(families):
            values = features.compute(frame, columns, families).cast(pl.Float32).to_numpy()
        places = [place for place, names in enumerate(roots) if not set(names).isdisjoint(inputs)]
        same = (values[:1, places] == values[:, places]).all(axis=0)  # not so for NaN
        each = zip(same.tolist(), values[0, places].tolist(), strict=True)
        found[name] = {"features": places, "values": [value if one else None for one, value in each]}
    return found
