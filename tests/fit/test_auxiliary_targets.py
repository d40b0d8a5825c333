"""Auxiliary targets in a cell: they shape weights, may be missing, are scaled by the fold, and leave nothing behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lab import INSIDE, TRAIN, fitted, small_store, weights

from foldline.data.store import Store, StoredAuxiliary
from foldline.fit import scaler
from foldline.fit.augment import augment
from foldline.fit.batch import Batch
from foldline.fit.device_block import place_block
from foldline.fit.labelled_series import labelled_series, unlabelled_series
from foldline.fit.network_cell import NetworkCell
from foldline.fit.scaler import Scaler
from foldline.fit.train_config import AugmentConfig, WatchConfig

HEAD = {
    "kind": "l1",
    "beside": [{"target": "mood", "kind": "softmax", "weight": 2.0}, {"target": "heat", "kind": "l1"}],
}
PARAMS: dict[str, Any] = {"width": 4, "blocks": [{"kind": "conv"}], "head": HEAD}
PLAIN = {**PARAMS, "head": {"kind": "l1"}}
KNOWN = (  # heat: a number; mood: one of three
    StoredAuxiliary(name="heat", kind="regression", count=1, classes=0),
    StoredAuxiliary(name="mood", kind="multiclass", count=3, classes=3),
)


def store(seed: int = 0, missing: tuple[int, ...] = (4,)) -> Store:
    """The small store with a heat of some hundred and a mood at each step; `missing`: series without either."""
    data, rng = small_store(), np.random.default_rng(seed)
    count = len(data.scored)
    values = np.column_stack([rng.normal(300.0, 50.0, size=count), np.eye(3)[rng.integers(3, size=count)]])
    values[np.isin(data.series_of_answer, missing)] = np.nan
    return replace(data, auxiliary=KNOWN, auxiliary_y=values)


def changed(data: Store, series: np.ndarray) -> Store:
    """Other auxiliary values of some series."""
    assert data.auxiliary_y is not None
    rows = np.isin(data.series_of_answer, series)[:, None]
    return replace(data, auxiliary_y=np.where(rows, data.auxiliary_y[:, [0, 2, 3, 1]] * 2, data.auxiliary_y))


def test_they_change_weights_by_the_training_series_alone() -> None:
    data, outside = store(), np.setdiff1d(np.arange(10), INSIDE)
    cell = fitted(data, params=PARAMS)
    assert weights(fitted(changed(data, outside), params=PARAMS)) == weights(cell)
    assert weights(fitted(changed(data, INSIDE[:2]), params=PARAMS)) != weights(cell)
    assert weights(fitted(store(missing=tuple(range(10))), params=PARAMS)) != weights(cell)


def test_the_scales_of_a_pretrained_cell_which_has_none_leave_them_out() -> None:
    data = store()
    first = scaler.fit("robust", replace(data, auxiliary=(), auxiliary_y=None), INSIDE, 0)
    cell, seen = NetworkCell("hybrid", PLAIN, TRAIN, first), labelled_series(data, INSIDE)
    assert place_block([seen], cell.scaler, 6, torch.device("cpu")).auxiliary is None


def test_an_empty_list_of_heads_beside_is_none() -> None:
    none: dict[str, Any] = {**PLAIN, "head": {"kind": "l1", "beside": []}}
    assert weights(fitted(store(), params=none)) == weights(fitted(store(), params=PLAIN))


def test_nothing_of_them_is_stored_or_needed_to_predict(tmp_path: Path) -> None:
    data, tests = store(), replace(small_store(seed=5), labelled=False)
    cell = fitted(data, params=PARAMS)
    assert weights(cell).keys() == weights(fitted(data, params=PLAIN)).keys()
    cell.save(tmp_path)
    again = NetworkCell("hybrid", PARAMS, TRAIN, Scaler.from_json(cell.scaler.to_json()))
    again.load(tmp_path, tests)  # a test table knows no auxiliary target
    assert np.array_equal(again.predict(tests, np.arange(10))[0], cell.predict(tests, np.arange(10))[0])


def test_a_network_without_heads_on_them_is_what_it_was() -> None:
    assert weights(fitted(store(), params=PLAIN)) == weights(fitted(small_store(), params=PLAIN))


def test_parts_of_a_batch_have_the_gradients_of_the_whole() -> None:
    """One step of one batch: the same weights, but for rounding, whether it is taken in one pass or in three."""
    one, parts = (fitted(store(), params=PARAMS, train=replace(TRAIN, epochs=1, batch=7, micro=m)) for m in (0, 3))
    assert one.network is not None and parts.network is not None
    for mine, other in zip(one.network.parameters(), parts.network.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


def test_watched_series_and_all_augmentations_go_with_them() -> None:
    mixed = AugmentConfig(mixup=0.5, mixup_alpha=0.4, shuffle=0.5)
    config = replace(TRAIN, augment=mixed, watch=WatchConfig(share=0.3, best=True))
    assert all(
        np.isfinite(np.frombuffer(w, dtype=np.float32)).all()
        for w in weights(fitted(store(), params=PARAMS, train=config)).values()
    )


def test_numbers_are_scaled_by_the_known_values_of_the_training_series() -> None:
    data = store()
    assert data.auxiliary_y is not None
    made = scaler.fit("robust", data, INSIDE, 0)
    heat, mood = made.auxiliary
    known = data.auxiliary_y[data.answers(np.setdiff1d(INSIDE, [4])), 0]
    assert heat.center == (np.median(known),)
    assert heat.scale == (pytest.approx(np.abs(known - np.median(known)).mean()),)
    assert (mood.center, mood.scale) == ((0.0,) * 3, (1.0,) * 3)
    assert (
        Scaler.from_json(made.to_json()).auxiliary == made.auxiliary
        and Scaler.from_json(made.to_json()).targets == made.targets
    )
    assert "auxiliary" not in scaler.fit("robust", small_store(), INSIDE, 0).to_json()
    assert scaler.fit("robust", store(missing=tuple(range(10))), INSIDE, 0).auxiliary[0].scale == (1.0,)


def batch(data: Store) -> Batch:
    fold = place_block([labelled_series(data, INSIDE)], scaler.fit("robust", data, INSIDE, 0), 6, torch.device("cpu"))
    return fold.batch(torch.arange(len(INSIDE)))


def test_what_is_missing_or_padding_is_not_known_on_the_device() -> None:
    data = store()
    found = batch(data).auxiliary
    assert found is not None and found.shape == (len(INSIDE), 6, 4)
    missing = ~torch.from_numpy(data.mask(INSIDE, 6)) | torch.from_numpy(INSIDE == 4)[:, None]
    assert torch.equal(found.isnan().all(dim=-1), missing) and torch.equal(found.isnan().any(dim=-1), missing)
    both = place_block(
        [labelled_series(data, INSIDE), unlabelled_series(small_store(seed=3), INSIDE)],
        scaler.fit("robust", data, INSIDE, 0),
        6,
        torch.device("cpu"),
    )
    assert both.auxiliary is not None and both.auxiliary[len(INSIDE) :].isnan().all()
    assert batch(small_store()).auxiliary is None


def test_mixing_keeps_a_missing_value_to_the_series_that_are_mixed() -> None:
    data = store()
    before = batch(data)
    torch.manual_seed(1)
    config = AugmentConfig(mixup=0.5, mixup_alpha=0.4)
    fold = place_block([labelled_series(data, INSIDE)], scaler.fit("robust", data, INSIDE, 0), 6, torch.device("cpu"))
    after = augment(before, config, fold)
    assert before.auxiliary is not None and after.auxiliary is not None
    alone = (before.x == after.x).all(dim=-1).all(dim=-1)  # (B,) not mixed
    assert alone.any() and not alone.all()
    torch.testing.assert_close(after.auxiliary[alone], before.auxiliary[alone], equal_nan=True)
    assert bool((after.auxiliary.isnan() | ~before.auxiliary.isnan()).all())  # none becomes known
