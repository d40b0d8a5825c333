"""ROCKET as a cell: it reads the chosen channels of its own series alone, each up to its end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from lab import INSIDE, TRAIN, padded, silent, small_store, with_features

from foldline.core.errors import UserError
from foldline.data.store import Store, StoredTask
from foldline.fit import network_size, series_cell
from foldline.fit.series_cell import SeriesCell
from foldline.models.systems import rocket

PARAMS: dict[str, Any] = {"kernels": 84, "channels": ("f0", "f2")}


def store(series: int = 10, labels: int = 3, **changes: Any) -> Store:
    """Ten series of 1 to 6 steps, a class each."""
    steps = small_store(series=series)
    y = np.eye(labels)[np.arange(series) % labels]
    task = StoredTask(level="series", kind="multiclass", columns=tuple("abc"), classes=labels)
    answers = {"y": y, "known": np.ones_like(y, dtype=bool), "scored": np.ones(series, dtype=bool)}
    return replace(steps, **{**answers, "task": task, **changes})


def fitted(data: Store, series: np.ndarray = INSIDE) -> SeriesCell:
    cell = SeriesCell("rocket", PARAMS, TRAIN)
    cell.fit(data, series, 0, silent)
    return cell


def outside(data: Store, value: float) -> np.ndarray:
    """The features with another channel, other series and the padding replaced."""
    changed = padded(data)
    changed[:, :, 1] = value
    changed[~data.mask()] = value
    changed[np.setdiff1d(np.arange(len(changed)), INSIDE)] = value
    return changed


def test_it_depends_on_the_chosen_channels_of_its_series_and_nothing_else() -> None:
    data = store()
    other = with_features(data, outside(data, 1e3), y=np.where(np.isin(np.arange(10), INSIDE)[:, None], data.y, 0.5))
    expected = fitted(data).predict(data, INSIDE)[0]
    assert expected.shape == (len(INSIDE), 3)
    assert np.array_equal(fitted(other).predict(other, INSIDE)[0], expected)
    moved = with_features(data, padded(data) + np.float32(3) * (np.arange(6)[:, None] % 2))
    assert not np.array_equal(fitted(moved).predict(moved, INSIDE)[0], expected)


def test_series_without_a_scored_answer_are_not_fitted_on() -> None:
    scored = np.arange(10) != 4
    data = store(scored=scored)
    expected = fitted(data, np.setdiff1d(INSIDE, [4])).predict(data, INSIDE)[0]
    assert np.array_equal(fitted(data).predict(data, INSIDE)[0], expected)


def test_a_series_that_does_not_count_is_not_fitted_on_and_equal_weights_are_none() -> None:
    nothing, equal = np.where(np.arange(10) == 4, 0.0, 3.0), np.full(10, 3.0)
    data = store()
    expected = fitted(data, np.setdiff1d(INSIDE, [4])).predict(data, INSIDE)[0]
    assert np.array_equal(fitted(store(weight=nothing)).predict(data, INSIDE)[0], expected)
    assert np.array_equal(fitted(store(weight=equal)).predict(data, INSIDE)[0], fitted(data).predict(data, INSIDE)[0])
    unequal = fitted(store(weight=1.0 + np.arange(10))).predict(data, INSIDE)[0]
    assert not np.allclose(unequal, fitted(data).predict(data, INSIDE)[0])


def test_a_cell_that_holds_out_nothing_predicts_nothing() -> None:
    data = store()
    assert fitted(data).predict(data, np.arange(0))[0].shape == (0, 3)


def test_channels_that_are_no_features_are_refused() -> None:
    with pytest.raises(UserError, match=r"model 'r': channels must be features, but 'u' is none of f0, f1, f2"):
        series_cell.check("r", "rocket", {"channels": ("u",)}, store())


def test_what_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_size, "memory", lambda device: 1 << 20)
    with pytest.raises(UserError, match=r"model 'r': its features of 10 series need .* Take fewer kernels"):
        series_cell.check("r", "rocket", {"channels": ("f0",)}, store())
    with pytest.raises(UserError, match=r"model 'q': its features of 10 series need .* Take fewer channels"):
        monkeypatch.setattr(network_size, "memory", lambda device: 100)
        series_cell.check("q", "quant", {"channels": ("f0",)}, store())


def test_missing_steps_are_filled_and_a_channel_that_a_series_lacks_is_the_mean() -> None:
    data = store()
    x = padded(data)
    lengths = data.lengths[:, None]
    x[:, 1:, 0] = np.where(np.arange(1, 6) % 2, x[:, :1, 0], x[:, 1:, 0])  # steps that repeat the one before
    gaps = x.copy()
    gaps[:, 1::2, 0] = np.nan
    x[:, 1::2, 0] = x[:, 0::2, 0]
    complete, missing = with_features(data, x), with_features(data, gaps, missing=True)
    expected = fitted(complete).predict(complete, INSIDE)[0]
    assert np.array_equal(fitted(missing).predict(missing, INSIDE)[0], expected)
    absent = x.copy()
    absent[3, :, 2] = np.nan
    cell = fitted(with_features(data, absent, missing=True))
    center = float(cell.model.arrays["center"][1])
    mean = np.concatenate([absent[n, : lengths[n, 0], 2] for n in INSIDE if n != 3]).mean(dtype=np.float64)
    assert center == pytest.approx(mean, rel=1e-6)
    absent[3, :, 2] = center
    assert np.allclose(
        cell.predict(with_features(data, absent), np.array([3]))[0],
        cell.predict(with_features(data, np.where(np.isnan(absent), np.nan, absent), missing=True), np.array([3]))[0],
    )


@pytest.mark.parametrize("what", ["group_numbers", "units"])
@pytest.mark.parametrize("head", ["ridge", "logistic"])
def test_groups_reach_the_choice_of_the_penalty(head: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the series that are fitted on, in their order; clusters of similar series, too."""
    seen: list[np.ndarray | None] = []
    module = getattr(rocket, head)
    fit = module.fit
    monkeypatch.setattr(
        module, "fit", lambda *args, **more: seen.append(more.get("groups", args[-1])) or fit(*args, **more)
    )
    for data in (store(**{what: np.arange(10) // 2}), store()):
        cell = SeriesCell("rocket", PARAMS | {"head": head}, TRAIN)
        cell.fit(data, INSIDE, 0, silent)
    assert seen[0] is not None and np.array_equal(seen[0], INSIDE // 2) and seen[1] is None
