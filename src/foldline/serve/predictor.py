"""A predictor: the cells of a stored experiment, loaded once, applied to rows as they come.

What it answers is what `infer` writes, within the tolerance of gate.py: the same features, cells, blend, decisions and
exact rows. Letters: R rows of N series, A answers (R, or N where a series has one), K columns, M members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from foldline.core import files
from foldline.core.errors import UserError
from foldline.data import exact_rows
from foldline.data.held_features import Recipe, store_of
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.data.task import Task
from foldline.experiment import config_plans, scoring, several_targets
from foldline.experiment.config_plans import ConfigPlan
from foldline.experiment.several_targets import StoredTargets
from foldline.experiment.stored_experiment import StoredExperiment
from foldline.run import cell_training
from foldline.run.predictions import Estimator
from foldline.serve import border
from foldline.serve.border import Arrived, Border

MANIFEST = "foldline-manifest.json"  # in the data set of a bundle
FIRST = "2000-01-01"  # date of the row on which networks are built, where features ask for the calendar


def load(name: str | Path) -> Predictor:
    """Load the latest experiment of a config, or that of a bundle.

    Args:
        name: the config's; or the folder of a bundle's data set, with its manifest.

    Raises:
        UserError: never trained, damaged, trained by other code, or nothing that answers at once.
    """
    folder = Path(name)
    if (folder / MANIFEST).is_file():
        manifest = files.read_json(folder / MANIFEST)
        with files.at_home(folder):
            return Predictor(several_targets.read_folder(files.runs() / manifest["name"] / manifest["experiment"]))
    return Predictor(several_targets.read(str(name).removesuffix(".toml")))


@dataclass(frozen=True)
class LoadedPlan:
    """One config of an experiment: what makes its features, and its estimators by the key of their cell."""

    plan: ConfigPlan
    recipes: dict[bool, Recipe]  # by whether the rows' order is dates
    estimators: dict[str, Estimator]


class Model:
    """The loaded experiment of one target."""

    def __init__(self, stored: StoredExperiment) -> None:
        """Load every cell that the blend needs.

        Raises:
            UserError: as `load`.
        """
        _refuse_unservable(stored)
        self.stored, self.border = stored, Border.of(stored)
        self.task = Task(stored.config.data, stored.classes)
        self.blend = stored.blend.without_zero_weights()
        first = self.border.arrived(_any_row(stored)).table
        self.plans = [self._loaded(plan, first) for plan in stored.config_plans]

    def _loaded(self, plan: ConfigPlan, first: Table) -> LoadedPlan:
        """Load the cells of one config. first: a table of one row, for networks to be built on."""
        recipe = Recipe.of(first, plan.config.features, self.stored.levels)
        store = store_of(first, recipe)
        config_plans.refuse_changed_facts(plan, store, self.stored.folder)
        cells = {
            cell.key: cell for member in plan.members if member.label in self.blend.labels for cell in member.test_cells
        }
        estimators = {key: cell_training.load_estimator(cell, store) for key, cell in cells.items()}
        for each in estimators.values():
            each.apply(store, np.arange(1))  # networks go to their device, libraries wake up: not in a first answer
        return LoadedPlan(plan, {first.moments is not None: recipe}, estimators)

    def recipe(self, number: int, table: Table) -> Recipe:
        """Return what makes a table's features for one of the configs."""
        loaded, dates = self.plans[number], table.moments is not None
        if dates not in loaded.recipes:  # two threads may both make it: they make the same
            loaded.recipes[dates] = Recipe.of(table, loaded.plan.config.features, self.stored.levels)
        return loaded.recipes[dates]

    def predict(self, table: Table) -> np.ndarray:
        """Predict a table, post-processed: (A, K)."""
        return self.finished(table, [store_of(table, self.recipe(number, table)) for number in range(len(self.plans))])

    def raw(self, stores: Sequence[Store]) -> tuple[np.ndarray, np.ndarray | None]:
        """Return predictions of the members as the blend names them, (M, A, K), and their spread where it needs that.

        stores: of the series, one for each config.
        """
        found: dict[str, np.ndarray] = {}
        spreads: dict[str, np.ndarray] = {}
        series = np.arange(len(stores[0].lengths))
        for loaded, store in zip(self.plans, stores, strict=True):
            for member in loaded.plan.members:
                if member.label in self.blend.labels:
                    each = [loaded.estimators[cell.key].apply(store, series) for cell in member.test_cells]
                    found[member.label] = _mean([value for value, _ in each])
                    own = [spread for _, spread in each if spread is not None]
                    if len(own) == len(each):
                        spreads[member.label] = _mean(own)
        spread = np.stack([spreads[label] for label in self.blend.labels]) if self.blend.needs_spread else None
        return np.stack([found[label] for label in self.blend.labels]), spread

    def finished(self, table: Table, stores: Sequence[Store]) -> np.ndarray:
        """Blend and post-process the members' predictions, (A, K).

        Raises:
            UserError: one is not finite.
        """
        stored, (predictions, spread) = self.stored, self.raw(stores)
        exact = exact_rows.at_once(table) if stored.config.post.decode else None
        values = scoring.blended(
            self.blend,
            stored.grids,
            stored.config.post,
            predictions,
            spread,
            stores[0],
            exact,
            stored.decisions,
            stored.tidied,
        )
        if not np.isfinite(values).all():
            answer = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            key = table.keys[int(stores[0].series_of_answer[answer])]
            raise UserError(f"A prediction must be finite, but that of {table.data.key} {key} is not.")
        return values

    @property
    def columns(self) -> list[str]:
        """Names of an answer's columns: the label, or K numbers."""
        return list(self.stored.config.data.target if self.task.submits_labels else self.task.columns)

    def named(self, values: np.ndarray) -> list[pl.Series]:
        """Return answers (A, K) as they are submitted: labels, or Float64 numbers of each column."""
        if self.task.submits_labels:
            return [self.task.labels(values)]
        return [pl.Series(name, each) for name, each in zip(self.columns, np.ascontiguousarray(values.T), strict=True)]


def _mean(values: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean over cells, added up in their order as Member.test does."""
    total = values[0].astype(np.float64)
    for each in values[1:]:
        total = total + each
    return np.asarray(total / len(values))


@dataclass(frozen=True)
class Predictor:
    """A loaded experiment, of one target or several. Several threads may use it at once."""

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

    @cached_property
    def wanted(self) -> list[str]:
        """Names of the columns that have a role."""
        return list(dict.fromkeys(name for model in self.models for name in model.border.wanted))

    def predict(self, frame: Any, static: Any = None) -> pl.DataFrame:
        """Predict one series or a table of them.

        Args:
            frame: (rows, columns) of polars or pandas, in any order, with the columns of the test table; other columns
                are ignored, inputs that lack are missing. Without data.key all rows are one series.
            static: further columns, found by those that both have, such as a subject's; one row: said of all rows.

        Returns:
            (A, ids and answers): ids as they came, a row a series or a row a row, in the order of the rows; numbers are
            Float64, labels of the type that training has. It may be empty, as the frame is.

        Raises:
            UserError: a value can't be what its column is, or a row has no place in time.
        """
        rows = border.frame_of(frame)
        beside = None if static is None else border.frame_of(static, "The static columns")
        rows = border.with_columns_of(rows, beside, self.wanted, "The static columns")
        if not rows.height:
            return self._empty(rows)
        arrived = [model.border.arrived(rows) for model in self.models]
        answers = [
            column
            for model, each in zip(self.models, arrived, strict=True)
            for column in model.named(model.predict(each.table))
        ]
        return self.laid_out(rows, arrived[0], answers)

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

    def _empty(self, rows: pl.DataFrame) -> pl.DataFrame:
        nothing = [
            each.clear() for model in self.models for each in model.named(np.zeros((1, len(model.task.columns))))
        ]
        return pl.DataFrame([*self._ids(rows), *nothing])


def _refuse_unservable(stored: StoredExperiment) -> None:
    """Refuse what needs more than the rows that it is asked about."""
    name, data = stored.name, stored.config.data
    outside = sorted(
        member.label for member in stored.outside_members if member.label in stored.blend.without_zero_weights().labels
    )
    if outside:
        raise UserError(
            f"{name}: the blend weighs {', '.join(outside)}, whose predictions came from outside: there is no model "
            "that could answer. Run `./run.sh blend` without it first."
        )
    if data.forecast.on:
        raise UserError(
            f"{name} is a forecast (data.forecast): its series go on from those of the training table, which no "
            f"predictor has. Use `./run.sh infer {name}`, or give each series its past by data.observed, and train."
        )


def _any_row(stored: StoredExperiment) -> pl.DataFrame:
    """Return a row of the experiment's columns, all that may be missing missing: networks are built on it."""
    data = stored.config.data
    dated = data.known_column and any("calendar" in plan.config.features.families for plan in stored.config_plans)
    columns: dict[str, Any] = {data.key: "1", data.order: FIRST if dated else 0.0}
    columns |= dict.fromkeys(data.target, 0.0) if data.observed else {}
    if isinstance(data.observed, str):
        columns[data.observed] = 0.0
    return pl.DataFrame({name: [value] for name, value in columns.items()})
