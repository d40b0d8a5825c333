"""Folds of groups: those of scikit-learn to the last group, whatever their number, strata and ties."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from foldline.data import fold_assignment, stratified_groups
from foldline.data.fold_assignment import FoldsConfig


def of_splits(splits: object, count: int) -> np.ndarray:
    """Fold of each series from scikit-learn's splits."""
    fold = np.full(count, -1)
    for number, (_, held_out) in enumerate(splits):  # type: ignore[call-overload]
        fold[held_out] = number
    return fold


@pytest.mark.parametrize(
    "width", [1, 2, 7, 8, 9, 40, 130, 300]
)  # numpy sums 1, up to 7, up to 128 and more differently
@pytest.mark.parametrize("k", [2, 5, 11])
def test_strata_are_spread_as_scikit_learn_does(width: int, k: int) -> None:
    rng = np.random.default_rng([width, k])
    for seed in range(3):
        names = rng.permutation(200)[:40] if seed else np.arange(40)
        groups = np.repeat(names, rng.integers(1, 5, 40) if seed else 1)
        strata = np.minimum(
            rng.geometric(0.3, len(groups)) - 1 if seed == 1 else rng.integers(0, width, len(groups)), width - 1
        )
        strata[: 2 * k] = 0  # scikit-learn wants one stratum of at least k
        splitter = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The least populated class")
            expected = of_splits(splitter.split(groups, strata, groups), len(groups))
        assert stratified_groups.assign(groups, strata, k, seed).tolist() == expected.tolist()


def test_chunks_of_groups_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    groups, strata = rng.integers(0, 60, 200), rng.integers(0, 5, 200)
    whole = stratified_groups.assign(groups, strata, 4, 1)
    monkeypatch.setattr(stratified_groups, "CHUNK", 35)  # 7 groups
    assert stratified_groups.assign(groups, strata, 4, 1).tolist() == whole.tolist()


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_dealt_out_as_scikit_learn_does(seed: int) -> None:
    groups = np.random.default_rng(seed).integers(0, 50, 120)
    splitter = GroupKFold(4, shuffle=True, random_state=seed)
    expected = of_splits(splitter.split(groups, groups=groups), len(groups))
    assert fold_assignment._drawn(groups, FoldsConfig(k=4, seed=seed)).tolist() == expected.tolist()
