"""folds.similar: clusters of series that are nearly alike, which folds hold together as they do groups."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from foldline.core.errors import UserError
from foldline.data import column_names, near_copies
from foldline.data.near_copies import NEAR, Compared
from foldline.data.table import Table

OF_VALUES = 16  # characters of the hash of a table's values that a fold file has


@dataclass(frozen=True, kw_only=True)
class SimilarConfig:
    """[folds.similar]: series that are nearer than this are in one fold, and so are those near to them."""

    # Root mean square of the differences of two series over all their steps, each input in units of its deviation
    distance: float = NEAR
    inputs: tuple[str, ...] = ()  # that are compared; empty: all that are numbers, and the steps of time

    def __post_init__(self) -> None:
        if not self.distance > 0:
            raise ValueError(f"distance must be above 0, but is {self.distance:g}")

    @property
    def text(self) -> str:
        """Write it for the first line of a fold file."""
        return ":".join([f"{self.distance!r}", *(quote(name, safe="") for name in self.inputs)])


@dataclass(frozen=True)
class Clusters:
    """How many clusters of similar series are held together."""

    count: int  # of at least two series
    series: int  # in these

    @property
    def sentence(self) -> str:
        """Say how many there are."""
        if not self.count:
            return "folds.similar: no two series are that near"
        return f"folds.similar: {self.count:,} clusters, of {self.series:,} series in all, are each in one fold"

    def facts(self, table: Table) -> dict[str, str]:
        """Return what a fold file's first line says of them: they hold for the values of this table."""
        return {"clusters": str(self.count), "in_them": str(self.series), "values": table.fingerprint[:OF_VALUES]}

    @staticmethod
    def of_facts(facts: dict[str, str], path: Path, table: Table, way_out: str) -> Clusters:
        """Read what `facts` returned.

        Raises:
            UserError: the table has other values than that which they were found in.
        """
        if facts.get("values") != table.fingerprint[:OF_VALUES]:
            raise UserError(
                f"{path} was made for other values than those of {table.path}, so that other series may be alike "
                f"(folds.similar). {way_out}"
            )
        return Clusters(int(facts["clusters"]), int(facts["in_them"]))


@dataclass(frozen=True)
class Units:
    """What folds hold together."""

    numbers: np.ndarray  # (N,) int64: series of one number are in one fold
    clusters: Clusters | None = None

    @property
    def beyond_groups(self) -> np.ndarray | None:
        """The numbers, (N,), where there are clusters; None where groups say what is held together."""
        return self.numbers if self.clusters is not None and self.clusters.count else None


def units_of(config: SimilarConfig | None, table: Table) -> Units:
    """Find what folds hold together: groups, and clusters of similar series with their groups.

    Raises:
        UserError: an input is none, or all series are alike.
    """
    if config is None:
        return Units(table.groups)
    alike = _clusters(config, table)
    sizes, count = np.bincount(alike), len(alike)
    # a node for each series, then one for each cluster, then one for each group
    of_cluster, of_group = count + alike, count + len(sizes) + np.unique(table.groups, return_inverse=True)[1]
    numbers = _connected(np.stack([np.tile(np.arange(count), 2), np.concatenate([of_cluster, of_group])], axis=1))
    return Units(numbers[:count], Clusters(int((sizes > 1).sum()), int(sizes[sizes > 1].sum())))


def check(config: SimilarConfig | None, assignment: np.ndarray, path: Path, table: Table) -> Units:
    """Refuse folds of somebody else that split a cluster; return what they hold together.

    assignment: (N,) fold of each series.

    Raises:
        UserError
    """
    units = units_of(config, table)
    if config is None:
        return units
    first = np.unique(units.numbers, return_index=True)[1][np.unique(units.numbers, return_inverse=True)[1]]
    split = np.flatnonzero(assignment != assignment[first])
    if len(split):
        one, other = first[split[0]], split[0]
        names = f"{table.data.key} {table.keys[int(one)]} and {table.keys[int(other)]}"
        raise UserError(
            f"{path}: {names} are alike (folds.similar), but in folds {assignment[one]} and {assignment[other]}; "
            f"{len(split)} such series. Leave folds.similar out, or name another file with folds.file=PATH, which is "
            "made if it is not there."
        )
    return units


def _clusters(config: SimilarConfig, table: Table) -> np.ndarray:
    """Number the clusters of series that are near, or near to one that is: (N,) int64."""
    try:
        column_names.check_among("inputs", config.inputs, table.data.numeric_inputs, "inputs that are numbers")
    except ValueError as error:
        raise UserError(f"folds.similar: {error}.") from error
    from scipy.spatial import cKDTree  # here: most commands have no need of SciPy, which takes 0.2 s

    compared = Compared(tables=(table,), steps=Compared.steps_of(table.lengths), inputs=config.inputs)
    sketch = near_copies.sketch_of(compared)
    if sketch is None:
        raise UserError(
            f"folds.similar: all series of {table.path} are alike in what is compared. Name other inputs as "
            "folds.similar.inputs, or leave folds.similar out."
        )
    found = np.arange(len(sketch))
    while True:  # of many copies only some are neighbours: those that stand for their clusters are compared again
        first = np.unique(found, return_index=True)[1]
        some = near_copies.near_pairs(compared, cKDTree(sketch[first]), sketch[first], config.distance, first)[0]
        some = some[near_copies.to_the_end(compared, some) < config.distance]
        if not len(some):
            return found
        found = _connected(np.concatenate([some, np.stack([np.arange(len(found)), first[found]], axis=1)]))


def _connected(pairs: np.ndarray) -> np.ndarray:
    """Number the components of a graph, (nodes,) int64, in the order of their first nodes. pairs: (P, 2) of nodes."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes = int(pairs.max()) + 1
    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(nodes, nodes))
    return np.asarray(connected_components(graph, directed=False)[1].astype(np.int64))
