"""Feature families, one file each: polars expressions over the rows of a series.

    from foldline.features import Columns, build, compute

    columns = Columns(key="breath_id", order="time_step", inputs=("u_in", "u_out"))
    features = compute(frame, columns, [build("raw"), build("lags", {"lags": [1, 2], "leads": []})])

The folder lies at top level and is imported as foldline.features. It imports nothing else of foldline, and nothing here
is fitted on data. family.py says how to add a family.
"""

import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from foldline.features import family
from foldline.features.compartment import Compartment
from foldline.features.compute import compute, series_chunks
from foldline.features.differences import Differences
from foldline.features.family import Columns, Family, unknown_name
from foldline.features.integral import Integral
from foldline.features.lags import Lags
from foldline.features.raw import Raw
from foldline.features.static import Static
from foldline.features.stats import Stats
from foldline.features.time import Time

__all__ = ["FAMILIES", "Columns", "Family", "build", "compute", "series_chunks", "source_of"]

FAMILIES: dict[str, type[Family]] = {
    "raw": Raw,
    "time": Time,
    "integral": Integral,
    "lags": Lags,
    "differences": Differences,
    "stats": Stats,
    "static": Static,
    "compartment": Compartment,
}


def build(name: str, params: Mapping[str, object] | None = None) -> Family:
    """Build the family `name` with the parameters of its config table; lists, as TOML has them, become tuples.

    Raises:
        ValueError: for an unknown family or parameter (with the nearest match) and for a value it can't take.
    """
    if name not in FAMILIES:
        raise ValueError(unknown_name("feature family", name, list(FAMILIES)))
    known = [field.name for field in fields(FAMILIES[name])]  # type: ignore[arg-type]
    for parameter in params or {}:
        if parameter not in known:
            raise ValueError(unknown_name(f"parameter of the feature family {name!r},", parameter, known))
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in (params or {}).items()}
    return FAMILIES[name](**values)


def source_of(name: str) -> list[Path]:
    """Return the files whose text decides what the family `name` computes: its own, family.py and compute.py.

    Cache keys hash their text, so that changed code makes features anew.
    """
    modules = (FAMILIES[name].__module__, family.__name__, compute.__module__)
    return [Path(str(sys.modules[module].__file__)) for module in modules]
