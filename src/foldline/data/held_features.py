"""A store in memory: the features of a few series, for a predictor that answers at once (foldline.serve).

The values are those of `featurize.obtain`. Nothing is written, and nothing is kept: what does not differ from call to
call, the expressions of all features above all, is put together once, as a *recipe*.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from foldline.data import competition_file, feature_file, featurize, store_contents
from foldline.data.feature_file import Made
from foldline.data.featurize import FeaturesConfig
from foldline.data.store import Store, of_arrays
from foldline.data.table import Table
from foldline.features import Columns, Family
from foldline.features.compute import CHUNK_ROWS
from foldline.features.family import LENGTH, SERIES, STEP

NOWHERE = Path("in memory")  # the folder of a store that has none


@dataclass(frozen=True)
class Recipe:
    """What makes the features of tables with the same columns. F features."""

    families: list[Family]
    columns: Columns
    names: list[str]  # (F,)
    roots: list[list[str]]  # (F,) columns that each is made of
    facts: dict[str, Any]  # of the training table, with the code of what they bring
    times: bool  # whether a store has the times of its rows

    @staticmethod
    def of(table: Table, config: FeaturesConfig, levels: dict[str, tuple[object, ...]]) -> Recipe:
        """Put a table's features together. levels: known values of each static column, from the training table.

        Raises:
            UserError: a family's parameters don't fit the columns.
        """
        families, columns = featurize.families_of(table, config), featurize.columns_of(table, levels)
        names = featurize.names_of(families, columns)
        ready: list[Family] = [ReadyFamily(family, tuple(family.expressions(columns))) for family in families]
        roots, facts = store_contents.roots_of(ready, columns), featurize.of_facts(table, config)
        return Recipe(ready, columns, names, roots, facts, config.times)


@dataclass(frozen=True)
class ReadyFamily(Family):
    """A family whose expressions have been made."""

    family: Family
    made: tuple[pl.Expr, ...]

    @property
    def lookahead(self) -> bool:
        return self.family.lookahead

    @property
    def has_gaps(self) -> bool:
        return self.family.has_gaps

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        return list(self.made)


def features_of(
    table: Table, recipe: Recipe, rows: np.ndarray | None = None, lengths: np.ndarray | None = None
) -> np.ndarray:
    """Compute the features of a table, (R, F) float32.

    Args:
        rows: (r,) int64, neighbours in each series that these are computed on alone: (r, F). None: all.
        lengths: (N,) int64, how many of each series.

    Raises:
        UserError: a feature is not finite.
    """
    made = Made(table, recipe.families, recipe.columns, recipe.names)
    frame = table.for_features if rows is None else table.for_features[rows]
    lengths = table.lengths if lengths is None else lengths
    if frame.height > CHUNK_ROWS:
        return feature_file.at_once(made, frame)
    # Without the threads that `compute` spreads chunks over: of one chunk they would only cost time.
    expressions = [expression for family in recipe.families for expression in family.expressions(recipe.columns)]
    with competition_file.explained_features([_inner(family) for family in recipe.families]):
        found = frame.hstack(_helpers(lengths)).select_seq(expressions).to_numpy(order="c")
    with np.errstate(over="ignore"):  # what becomes infinite is refused by name
        return feature_file.checked(found.astype(np.float32), made, frame)


def _helpers(lengths: np.ndarray) -> list[pl.Series]:
    """Build the columns that `compute` adds (features/family.py), (rows,) each. lengths: (N,) of the series."""
    starts = np.cumsum(lengths) - lengths
    step = np.arange(lengths.sum()) - np.repeat(starts, lengths)
    return [
        pl.Series(SERIES, np.repeat(np.arange(len(lengths), dtype=np.uint32), lengths)).set_sorted(),
        pl.Series(STEP, step.astype(np.int32)),
        pl.Series(LENGTH, np.repeat(lengths, lengths).astype(np.int32)),
    ]


def _inner(family: Family) -> Family:
    return family.family if isinstance(family, ReadyFamily) else family


def store_of(table: Table, recipe: Recipe, x: np.ndarray | None = None) -> Store:
    """Make the store of a table in memory. x: its features, (R, F) float32; None: they are computed.

    Raises:
        UserError: a feature is not finite.
    """
    made = Made(table, recipe.families, recipe.columns, recipe.names)
    arrays = store_contents.arrays_of(table, recipe.columns, recipe.times)
    meta = store_contents.meta_of(made, arrays, recipe.roots, "") | recipe.facts
    return of_arrays(NOWHERE, meta, {**arrays, "x": features_of(table, recipe) if x is None else x})
