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

from foldline.features.autocorrelation import Autocorrelation
from foldline.features.calendar import Calendar
from foldline.features.categories import Categories
from foldline.features.compartment import Compartment
from foldline.features.compute import compute, series_chunks
from foldline.features.correlation import Correlation
from foldline.features.differences import Differences
from foldline.features.family import Columns, Family, unknown_name
from foldline.features.integral import Integral
from foldline.features.lags import Lags
from foldline.features.missing import Missing
from foldline.features.quantiles import Quantiles
from foldline.features.raw import Raw
from foldline.features.shape import Shape
from foldline.features.spectrum import Spectrum
from foldline.features.static import Static
from foldline.features.stats import Stats
from foldline.features.summary import Summary
from foldline.features.target_lags import TargetLags
from foldline.features.time import Time
from foldline.features.trend import Trend

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
    "missing": Missing,
    "categories": Categories,
    # Of series that are known at their start, as in forecasts:
    "target_lags": TargetLags,
    "calendar": Calendar,
    # One value a series, on each of its rows:
    "summary": Summary,
    "quantiles": Quantiles,
    "trend": Trend,
    "autocorrelation": Autocorrelation,
    "shape": Shape,
    "spectrum": Spectrum,
    "correlation": Correlation,
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
    """Return the files whose text decides what the family `name` computes: its own, those of its bases, and compute.py.

    Cache keys hash their text, so that changed code makes features anew.
    """
    classes = [base for base in FAMILIES[name].__mro__ if issubclass(base, Family)]
    modules = [*(base.__module__ for base in classes), compute.__module__]
    return [Path(str(sys.modules[module].__file__)) for module in modules]
