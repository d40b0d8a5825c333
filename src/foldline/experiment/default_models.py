"""What a config without a [[model]] trains: a default for each kind of data, and why it is that.

Read from top to bottom: the first that serves the data is taken. Its tables are filled in before the config is checked,
so that a record's config.toml holds them as if they had been written. What the config gives itself stays: its
[features] families, its [blend] and [post]. Where figures come from: docs/models-table.md, `./run.sh bench winners`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from foldline.data import readers, source_folder, window_file, windows
from foldline.data.assemble import Sources
from foldline.data.metrics import metric
from foldline.data.roles import DataConfig
from foldline.features import target_lags

FEW = 4000  # series, up to which a linear model on ten thousands of features is solved in seconds (systems/rocket.py)
SERIES_FAMILIES = ("raw", "time", "summary", "quantiles", "trend", "autocorrelation", "shape", "spectrum")
FORECAST_FAMILIES = ("raw", "static", "target_lags", "calendar")  # not time: it goes on where no tree has been
PROBABILITIES = ("binary", "multiclass", "multilabel", "distribution")  # kinds of targets that are predicted as such
Tables = tuple[dict[str, Any], ...]

_FEWER_SEEDS = {"seeds": [0], "full_seeds": [0, 1, 2]}  # fitted on all series, too: on few a fifth less is felt
_ONCE = {"seeds": [0], "full_seeds": [0]}
_ROCKET = {"name": "rocket", "train": _FEWER_SEEDS}
_MINIROCKET = {"name": "rocket", "label": "minirocket", "form": "mini", "kernels": 9996, "train": _FEWER_SEEDS}
_HYDRA = {"name": "hydra", "train": _FEWER_SEEDS}
_QUANT = {"name": "quant", "train": _ONCE}
_FEW_TREES = {
    "name": "lightgbm",
    "rounds": 60,
    "min_data_in_leaf": 3,
    "num_leaves": 15,
    "feature_fraction": 0.3,
    "train": _ONCE,
}
SERIES: Tables = (_MINIROCKET, _HYDRA, _QUANT)
SERIES_WITH_TREES: Tables = (_ROCKET, _MINIROCKET, _HYDRA, _FEW_TREES)
NETWORK_AND_TREES: Tables = (
    {"name": "hybrid", "width": 48, "blocks": [{"kind": "conv"}, {"kind": "bilstm"}]},
    {"name": "lightgbm", "rounds": 300},
)
FORECAST: Tables = (*NETWORK_AND_TREES, {"name": "nhits"})
MANY_SERIES: Tables = (*NETWORK_AND_TREES, {"name": "quant", "train": {"seeds": [0]}})
# Weights, and factors of classes, that are fitted to a hundred series cost more than they gain.
UNFITTED: Mapping[str, Mapping[str, Any]] = {"blend": {"method": "logit"}, "post": {"class_factors": False}}


@dataclass(frozen=True, kw_only=True)
class DefaultModels:
    """A row of the table: for which data, which [[model]] tables, and why."""

    name: str
    on_series: bool | None = None  # one answer a series (or window); None: at any level
    with_trees: bool | None = None  # whether trees pay (see `choose`); None: either way
    forecast: bool | None = None  # data.forecast; None: with or without
    most_series: int | None = None  # training series (or windows), at most; None: any number
    models: Tables
    families: tuple[str, ...] = ()  # see `families_for`
    with_classes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # keys of tables, unless given
    why: str

    def families_for(self, static: bool, dates: bool) -> list[str]:
        """Return the families of [features], where the config names none; []: those of [features].

        Args:
            static: there are static columns.
            dates: the order is dates or times, and a start of the series is known.
        """
        serves = {"static": static, "calendar": dates}
        return [name for name in self.families if serves.get(name, True)]

    @property
    def sentence(self) -> str:
        """What a summary says of it."""
        labels = ", ".join(str(table.get("label", table["name"])) for table in self.models)
        return f"no [[model]] is given: {labels}, the default for {self.name} ({self.why})"


DEFAULTS: tuple[DefaultModels, ...] = (
    DefaultModels(
        name="one answer a series, few series, scored by probabilities or with static columns or categories",
        on_series=True,
        with_trees=True,
        most_series=FEW,
        models=SERIES_WITH_TREES,
        families=(*SERIES_FAMILIES, "static"),
        with_classes=UNFITTED,
        why="the lowest log loss of all choices of five kinds on eight public sets; only trees read what is no number",
    ),
    DefaultModels(
        name="one answer a series, few series",
        on_series=True,
        most_series=FEW,
        models=SERIES,
        families=(*SERIES_FAMILIES, "static"),
        with_classes=UNFITTED,
        why="the highest accuracy of all choices of five kinds on eight public sets",
    ),
    DefaultModels(
        name="one answer a series, many series",
        on_series=True,
        models=MANY_SERIES,
        families=(*SERIES_FAMILIES, "static"),
        why=f"above {FEW:,} series a network has enough to learn from, and tens of thousands of features no room",
    ),
    DefaultModels(
        name="a forecast",
        forecast=True,
        models=FORECAST,
        families=FORECAST_FAMILIES,
        why="a network that reads the past step by step, trees on its lags, and a forecaster that reads it as a whole",
    ),
    DefaultModels(
        name="an answer at every step",
        models=NETWORK_AND_TREES,
        why="a recurrent network over the whole series, and trees on windows of it",
    ),
)


def choose(on_series: bool, forecast: bool, series: int, with_trees: bool) -> DefaultModels:
    """Return the first row that serves the data.

    Args:
        on_series: one answer a series, or window.
        series: of training, or windows; read where `on_series`.
        with_trees: trees pay. They are sure of themselves, which probabilities gain by, and their order, but labels
            seldom; and models of kernels read neither static columns nor categories.
    """

    def serves(row: DefaultModels) -> bool:
        return (
            row.on_series in (None, on_series)
            and row.with_trees in (None, with_trees)
            and row.forecast in (None, forecast)
            and (row.most_series is None or series <= row.most_series)
        )

    return next(row for row in DEFAULTS if serves(row))


def _series(data: DataConfig) -> int:
    """Count the training series, or the windows that they are cut into, by their keys alone.

    Raises:
        UserError: the training table, or the file of windows, can't be read.
    """
    source = Sources(data, source_folder.of(data)).of("train")
    if data.level != "window":
        return source.read({data.key: pl.String}).frame[data.key].n_unique()
    named = window_file.read(source, data)
    if named is not None:
        return named.frame.height
    rows = source.read({data.key: pl.String}).frame.group_by(data.key, maintain_order=True).len()
    return len(windows.by_stride(rows["len"].to_numpy(), data.windows).series)


def _by_dates(data: DataConfig) -> bool:
    """Whether the order of the training table is dates or times.

    Raises:
        UserError: the training table can't be read.
    """
    rows = Sources(data, source_folder.of(data)).of("train").read({data.order: readers.ORDER}).frame
    return rows[data.order].dtype.is_temporal()


def filled(tables: dict[str, Any], data: DataConfig) -> tuple[dict[str, Any], DefaultModels]:
    """Return a config's tables with the default's [[model]], families, [blend] and [post], where it has none itself.

    Raises:
        UserError: the training table can't be read, or there is no such metric.
    """
    on_series = data.level_inside == "series"
    of_classes = data.kind in PROBABILITIES
    probabilities = of_classes and metric(*data.metric_choice(0)).needs != "labels"
    with_trees = probabilities or bool(data.static or data.categorical_inputs)
    found = choose(on_series, data.forecast.on, _series(data) if on_series else 0, with_trees)
    more: dict[str, Any] = {"model": [dict(table) for table in found.models]}
    features = tables.get("features", {})
    if found.families and isinstance(features, dict) and "families" not in features:
        dates = "calendar" in found.families and _by_dates(data)
        more["features"] = {"families": found.families_for(bool(data.static), dates), **features}
        if "target_lags" in found.families and data.target_transform in target_lags.SCALES:
            more["features"].setdefault("target_lags", {"scale": data.target_transform})  # lags as they are predicted
    for name, filled_in in found.with_classes.items() if of_classes else ():
        given = tables.get(name, {})
        if isinstance(given, dict):
            more[name] = {**filled_in, **given}
    return {**tables, **more}, found
