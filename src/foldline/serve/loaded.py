"""A loaded experiment of one target or several, and the layout of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from foldline.experiment.several_targets import StoredTargets
from foldline.experiment.stored_experiment import StoredExperiment
from foldline.serve import border
from foldline.serve.border import Arrived
from foldline.serve.loaded_model import Model


@dataclass(frozen=True)
class Loaded:
    """A loaded experiment. A answers: one a row, or one a series."""

    stored: StoredExperiment | StoredTargets  # the record that it was loaded from
    models: list[Model] = field(init=False)  # one a target

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", [Model(each) for each in self.stored.experiments])

    @property
    def name(self) -> str:
        """The config's name."""
        return self.stored.name

    @property
    def columns(self) -> list[str]:
        """Names of the answer's columns."""
        return [name for model in self.models for name in model.columns]

    @property
    def of_series(self) -> bool:
        """Whether a series has one answer, else each of its rows has one."""
        return self.models[0].task.on_series

    @property
    def order(self) -> str:
        """Name of the column that says when a row is."""
        return self.models[0].stored.config.data.order

    @cached_property
    def wanted(self) -> list[str]:
        """Names of the columns that have a role."""
        return list(dict.fromkeys(name for model in self.models for name in model.border.wanted))

    def laid_out(self, rows: pl.DataFrame, arrived: Arrived, answers: Sequence[pl.Series]) -> pl.DataFrame:
        """Put answers, (A,) each in the table's order, behind the ids of the rows that came, in the order of these."""
        if self.of_series:
            starts = np.cumsum(arrived.table.rows_in_file) - arrived.table.rows_in_file
            return pl.DataFrame([*self._ids(rows)[arrived.places[starts]], *answers])
        back = np.argsort(arrived.places)
        return pl.DataFrame([*self._ids(rows), *(column.gather(back) for column in answers)])

    def _ids(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the columns that name rows, or series, as they came."""
        data = self.models[0].stored.config.data
        names = [data.key] if self.of_series else [data.id] if data.id in rows.columns else [data.key, data.order]
        there = [name for name in names if name in rows.columns and name not in self.columns]
        if not there and self.of_series:
            return pl.DataFrame({data.key: pl.repeat(border.ONE_SERIES, rows.height, eager=True)})
        return rows.select(there)

    def empty(self, rows: pl.DataFrame) -> pl.DataFrame:
        nothing = [
            each.clear() for model in self.models for each in model.named(np.zeros((1, len(model.task.columns))))
        ]
        return pl.DataFrame([*self._ids(rows), *nothing])
