"""[data]: which column plays which role, and where the files lie."""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any

from foldline.core import strict_tables
from foldline.data import role_checks
from foldline.data.auxiliary import AuxiliaryTarget
from foldline.data.data_keys import WHOLE, DataKeys
from foldline.data.metrics.options import FileChoice, MetricChoice
from foldline.data.windows import WindowCutsConfig

# Keys that older versions did not have.
NEWER = (
    "observed",
    "level",
    "kind",
    "classes",
    "group",
    "weight",
    "metric_columns",
    "auxiliary",
    "missing_values",
    "static_numeric",
    "categorical",
    "resample",
    "first",
    "last",
    "channels",
    "forecast",
    "known",
)


@dataclass(frozen=True, kw_only=True)
class DataConfig(DataKeys):
    """[data]: which column plays which role, and where the files are."""

    def __post_init__(self) -> None:
        self._fill_in()
        role_checks.check(self)

    def _fill_in(self) -> None:
        """Give what is left out, and hangs on other keys, its value."""
        if not self.id and self.on_series:
            object.__setattr__(self, "id", self.key)
        if not self.metric and self.kind == "regression":
            object.__setattr__(self, "metric", "mae")
        if not self.group and self.level == "window":
            object.__setattr__(self, "group", WHOLE + self.key)

    def of_auxiliary(self, auxiliary: AuxiliaryTarget) -> DataConfig:
        """Return the roles of a task whose target is an auxiliary one, to read, check and encode it by."""
        return DataConfig(
            id=self.id,
            key=self.key,
            order=self.order,
            inputs=self.inputs,
            level=self.level_inside,
            target=auxiliary.target,
            kind=auxiliary.kind,
            classes=auxiliary.classes,
            metric="mae",  # never asked
        )

    def of_windows(self) -> DataConfig:
        """Return the roles of a table whose windows are cut already: that of a series each."""
        return replace(self, level="series", windows=WindowCutsConfig())

    def metric_choice(self, classes: int, labels: tuple[object, ...] = (), solution: str = "") -> MetricChoice:
        """Return what the metric is made of.

        Args:
            classes: number of labels that the target has; 0: none.
            labels: these; only a metric file to which labels are submitted needs them.
            solution: file with data.metric_columns of each answer of the training table.
        """
        return MetricChoice(self.metric, self.metric_options, self.kind, classes, self._file_choice(labels, solution))

    def _file_choice(self, labels: tuple[object, ...], solution: str) -> FileChoice | None:
        if not self.has_metric_file:
            return None
        columns = tuple(map(str, labels)) if self.kind == "multiclass" and self.answer != "label" else self.target
        return FileChoice(
            path=str(Path(self.metric_folder, self.metric)),
            higher_is_better=self.higher_is_better,
            arguments=json.dumps(self.metric_arguments, sort_keys=True),
            row_id=self.id,
            columns=columns,
            labels=labels if self.answer == "label" else (),
            decided=self.answer == "label",
            solution=solution,
        )

    def roles(self) -> dict[str, object]:
        """Return what a model's weights depend on: never where the files lie."""
        names = ("key", "order", "target", "inputs", "static", "scored")
        # Newer keys only where they are used: older cells keep their keys.
        newer = [name for name in NEWER if getattr(self, name) != _DEFAULTS[name]]
        values = {name: getattr(self, name) for name in (*names, *newer)}
        values |= {"level": "series"} if self.level == "window" else {}  # how they were cut, the table's values say
        return {name: strict_tables.plain(value) for name, value in values.items()}


_DEFAULTS: dict[str, Any] = {
    entry.name: entry.default if entry.default_factory is MISSING else entry.default_factory()
    for entry in fields(DataConfig)
}
