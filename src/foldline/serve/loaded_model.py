"""A stored experiment with all that predicts loaded: what a predictor and its streams are made of.

Letters: R rows of N series, A answers (R, or N where a series has one), K columns, M members of the blend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from foldline.core.errors import UserError
from foldline.data import exact_rows
from foldline.data.held_features import Recipe, store_of
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.data.task import Task
from foldline.experiment import config_plans, scoring
from foldline.experiment.config_plans import ConfigPlan
from foldline.experiment.stored_experiment import StoredExperiment
from foldline.fit.network_cell import NetworkCell
from foldline.run import cell_training
from foldline.run.predictions import Estimator
from foldline.serve.border import Border

# Predicts by an estimator, given the number of its config: (A, K), and the spread or None.
Apply = Callable[[int, Estimator], tuple[np.ndarray, np.ndarray | None]]
FIRST = "2000-01-01"  # date of the row on which networks are built, where features ask for the calendar


@dataclass(frozen=True)
class LoadedPlan:
    """One config of an experiment: what makes its features, and its estimators by the key of their cell."""

    plan: ConfigPlan
    first: Store  # of one row, as networks were built on
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
        first = replace(self.border, clock=None).arrived(_any_row(stored)).table  # its order is numbers
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
            if isinstance(each, NetworkCell):
                each.wake()
            each.apply(store, np.arange(1))  # libraries wake up, too: not in a first answer
        return LoadedPlan(plan, store, {first.moments is not None: recipe}, estimators)

    def recipe(self, number: int, table: Table) -> Recipe:
        """Return what makes a table's features for one of the configs."""
        loaded, dates = self.plans[number], table.moments is not None
        if dates not in loaded.recipes:  # two threads may both make it: they make the same
            loaded.recipes[dates] = Recipe.of(table, loaded.plan.config.features, self.stored.levels)
        return loaded.recipes[dates]

    def predict(self, table: Table) -> np.ndarray:
        """Predict a table, post-processed: (A, K)."""
        stores = [store_of(table, self.recipe(number, table)) for number in range(len(self.plans))]
        series = np.arange(len(table.lengths))
        found = self.of_members(lambda number, estimator: estimator.apply(stores[number], series))
        return self.finished(table, stores[0], *found)

    def of_members(self, apply: Apply) -> tuple[np.ndarray, np.ndarray | None]:
        """Return predictions of the members as the blend names them, (M, A, K), and their spread where it needs that.

        apply: predicts by an estimator, given the number of its config.
        """
        found: dict[str, np.ndarray] = {}
        spreads: dict[str, np.ndarray] = {}
        for number, loaded in enumerate(self.plans):
            for member in loaded.plan.members:
                if member.label in self.blend.labels:
                    each = [apply(number, loaded.estimators[cell.key]) for cell in member.test_cells]
                    found[member.label] = _mean([value for value, _ in each])
                    own = [spread for _, spread in each if spread is not None]
                    if len(own) == len(each):
                        spreads[member.label] = _mean(own)
        spread = np.stack([spreads[label] for label in self.blend.labels]) if self.blend.needs_spread else None
        return np.stack([found[label] for label in self.blend.labels]), spread

    def finished(self, table: Table, store: Store, predictions: np.ndarray, spread: np.ndarray | None) -> np.ndarray:
        """Blend and post-process what `of_members` returned for a table, (A, K).

        Raises:
            UserError: one is not finite.
        """
        stored = self.stored
        exact = exact_rows.at_once(table) if stored.config.post.decode else None
        values = scoring.blended(
            self.blend,
            stored.grids,
            stored.config.post,
            predictions,
            spread,
            store,
            exact,
            stored.decisions,
            stored.tidied,
        )
        if not np.isfinite(values).all():
            answer = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            key = table.keys[int(store.series_of_answer[answer])]
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
    if any(model.fitted_as == "estimator" for plan in stored.config_plans for model in plan.config.models):
        raise UserError(
            f"{name} estimates open rows of whole tables, which no predictor does: use `./run.sh infer {name}`."
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
