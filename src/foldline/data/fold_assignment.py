"""Which series goes into which fold: series of one group stay together, strata are spread evenly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from foldline.core.errors import UserError
from foldline.data import fold_balance, fold_strata
from foldline.data.similar_series import SimilarConfig
from foldline.data.table import Table


@dataclass(frozen=True, kw_only=True)
class FoldsConfig:
    """[folds]: how series are assigned to folds."""

    kind: Literal["group", "stratified-group", "time"] = "group"
    k: int = 5  # folds; kind "time": origins
    seed: int = 0
    file: str = ""  # path of the fold file; empty: under folds/, named after the config and the keys above
    # Static columns, or the target (its label, or the tenth that a series' mean lies in); empty: the label of a series
    # where that is the target, else all static columns (stratified-group).
    strata: tuple[str, ...] = ()
    similar: SimilarConfig | None = None  # other kinds than "time": series that are nearly alike are in one fold
    by: str = ""  # kind "time": column of numbers or dates that says when a series is; empty: data.order
    gap: float = 0.0  # kind "time": left out of training before an origin, in the unit of `by`; days of dates
    window: Literal["expanding", "sliding"] = "expanding"  # kind "time": trained on all before, or on the latest part
    train_length: float | None = None  # window "sliding": how far back that part reaches, as `gap`

    def __post_init__(self) -> None:
        self._check_time()
        if self.k < 2:
            raise ValueError(
                f"k must be at least 2, because a fold is scored by models fitted on the others, but is {self.k}"
            )
        if not 0 <= self.seed < 2**32:  # as scikit-learn takes them
            raise ValueError(f"seed must be at least 0 and below 2^32, but is {self.seed}")

    def _check_time(self) -> None:
        """Refuse keys that don't go together."""
        if self.kind == "time" and self.similar is not None:
            raise ValueError('similar is for folds of other kinds, but kind is "time": leave it out')
        if self.kind == "time" and self.strata:
            raise ValueError('strata are for folds of other kinds, but kind is "time": leave them out')
        used = {"by": self.by, "gap": self.gap, "window": self.window != "expanding", "train_length": self.train_length}
        odd = [name for name, value in used.items() if value not in ("", 0, False, None)]
        if self.kind != "time" and odd:
            raise ValueError(f'{odd[0]} is for kind = "time", but kind is {self.kind!r}: leave it out')
        if self.gap < 0:
            raise ValueError(f"gap must be at least 0, but is {self.gap:g}")
        if (self.window == "sliding") != (self.train_length is not None):
            raise ValueError('window = "sliding" needs train_length, and only that takes it')
        if self.train_length is not None and not self.train_length > 0:
            raise ValueError(f"train_length must be above 0, but is {self.train_length:g}")


def assign(config: FoldsConfig, table: Table, units: np.ndarray) -> np.ndarray:
    """Draw the fold of each series of a table, (N,) int64.

    units: (N,) numbers, none of which is split: of groups, or of similar series.

    Raises:
        UserError: there are fewer series with scored rows, or groups, than folds, or no stratum is large enough.
    """
    keys, has_scored = table.keys, has_scored_rows(table)
    strata = np.asarray(fold_strata.strata_of(config.strata, table))
    scored = np.count_nonzero(has_scored)
    if config.k > scored:
        only = "" if scored == len(keys) else f", {scored} of them with scored rows"
        raise UserError(
            f"folds.k = {config.k} must not exceed the number of series with scored rows, but {table.path} has "
            f"{len(keys)} series{only}."
        )
    assignment = np.empty(len(keys), dtype=np.int64)
    rows = table.lengths[has_scored]
    assignment[has_scored] = _assign(config, strata[has_scored], units[has_scored], rows, table)
    assignment[~has_scored] = _in_turn(config, strata[~has_scored])
    if table.data.group_column or config.similar is not None:
        _keep_groups_together(assignment, has_scored, units)
    return assignment


def has_scored_rows(table: Table) -> np.ndarray:
    """Return which series the metric counts, (N,) bool."""
    first = np.cumsum(table.answers_of_series) - table.answers_of_series
    return np.asarray(np.add.reduceat(table.scored, first, dtype=np.int64) > 0)


def _in_turn(config: FoldsConfig, strata: np.ndarray) -> np.ndarray:
    """Assign series to the folds in turn, stratum after stratum, in a drawn order: (n,) int64. strata: (n,) texts."""
    drawn = np.random.default_rng(config.seed).permutation(len(strata))
    order = drawn[np.argsort(strata[drawn], kind="stable")]
    assignment = np.empty(len(strata), dtype=np.int64)
    assignment[order] = np.arange(len(strata)) % config.k
    return assignment


def _keep_groups_together(assignment: np.ndarray, has_scored: np.ndarray, groups: np.ndarray) -> None:
    """Put series without scored rows into the fold of their group, in place."""
    fold_of_group = dict(zip(groups[has_scored].tolist(), assignment[has_scored].tolist(), strict=True))
    for place in np.flatnonzero(~has_scored):
        assignment[place] = fold_of_group.setdefault(int(groups[place]), int(assignment[place]))


def _assign(config: FoldsConfig, strata: np.ndarray, groups: np.ndarray, rows: np.ndarray, table: Table) -> np.ndarray:
    """Draw the fold of each series, (n,) int64.

    Folds have as many series each; where that leaves one with far more rows, as many rows.

    Args:
        strata: (n,) texts. groups: (n,) numbers, none of which is split. rows: (n,) of each series.
    """
    count = len(np.unique(groups))
    if count < config.k:
        name = table.data.group + "s" if table.data.group else "series"
        name = name if config.similar is None else "clusters of similar series (folds.similar)"
        way_out = f"Take fewer folds{'' if config.similar is None else ', or a smaller folds.similar.distance'}."
        if count == 1 and table.data.groups_windows:
            way_out = (
                "Hold out what is later by folds.kind = 'time', or name as key what cuts the series into parts that "
                "have nothing in common."
            )
        raise UserError(
            f"folds.k = {config.k} must not exceed the number of groups with scored rows, but {table.path} has {count} "
            f"{name}. {way_out}"
        )
    stratified = config.kind == "stratified-group"
    codes = np.unique(strata, return_inverse=True)[1] if stratified else np.zeros_like(groups)
    if stratified and np.bincount(codes).max() < config.k:
        raise UserError(
            f"folds.kind = 'stratified-group' needs a stratum of at least k = {config.k} series, but the largest "
            f"has {np.bincount(codes).max()}. Use kind = 'group', fewer folds, or fewer folds.strata."
        )
    assignment = _stratified(groups, codes, config) if stratified else _drawn(groups, config)
    _fill_empty(assignment, groups, config.k)
    if not fold_balance.is_uneven(assignment, rows, config.k):
        return assignment
    other = fold_balance.balanced(groups, codes, rows, config.k, config.seed)
    shares = [fold_balance.largest_share(each, rows, config.k) for each in (assignment, other)]
    return other if shares[1] < shares[0] else assignment


def _fill_empty(assignment: np.ndarray, groups: np.ndarray, k: int) -> None:
    """Give each empty fold the smallest group of the fold that has most of them, in place.

    What is stratified looks at the spread of strata alone: of few groups it may leave a fold without.
    """
    for fold in sorted(set(range(k)) - set(assignment.tolist())):
        pairs = np.unique(np.stack([assignment, groups]), axis=1)
        among = pairs[1, pairs[0] == np.bincount(pairs[0]).argmax()]
        sizes = np.bincount(groups)[among]
        assignment[groups == among[sizes.argmin()]] = fold


def _drawn(groups: np.ndarray, config: FoldsConfig) -> np.ndarray:
    """Deal groups out to folds in a drawn order, as many each, (n,) int64, as scikit-learn's shuffled GroupKFold."""
    names, group = np.unique(groups, return_inverse=True)
    fold = np.empty(len(names), dtype=np.int64)
    for number, part in enumerate(np.array_split(np.random.RandomState(config.seed).permutation(len(names)), config.k)):
        fold[part] = number
    return fold[group]


def _stratified(groups: np.ndarray, codes: np.ndarray, config: FoldsConfig) -> np.ndarray:
    from foldline.data import stratified_groups  # it compiles, and only making folds needs it

    return stratified_groups.assign(groups, codes, config.k, config.seed)
