"""Scaling: statistics by hand, and nothing but the given series behind them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foldline import scaler
from foldline.errors import UserError
from foldline.scaler import Scaler
from foldline.store import Dense


def dense(series: int = 10, steps: int = 6, features: int = 3, seed: int = 0) -> Dense:
    """Series of 1 to `steps` steps, two targets, step 0 always scored."""
    rng = np.random.default_rng(seed)
    lengths = np.arange(series) % steps + 1
    real = np.arange(steps)[None, :] < lengths[:, None]
    x = (rng.normal(2.0, 3.0, size=(series, steps, features)) * real[..., None]).astype(np.float32)
    y = rng.normal(5.0, 2.0, size=(series, steps, 2)) * real[..., None]
    names = tuple(f"f{number}" for number in range(features))
    static = np.zeros((series, 0), dtype=np.int64)
    return Dense(
        path=Path("store"),
        names=names,
        x=x,
        static=static,
        lengths=lengths,
        scored=real & (np.arange(steps) < 4),
        y=y,
        fingerprint="print",
        levels=(),
    )


@pytest.mark.parametrize("kind", scaler.KINDS)
def test_it_looks_at_the_given_series_only(kind: str) -> None:
    data, given = dense(), np.array([0, 2, 5])
    before = scaler.fit(kind, data, given, seed=0)
    x, y = data.x.copy(), np.array(data.y)
    others = np.setdiff1d(np.arange(10), given)
    x[others], y[others] = 1e6, -1e6
    after = scaler.fit(kind, replace(data, x=x, y=y), given, seed=0)
    assert before.to_json() == after.to_json()


@pytest.mark.parametrize("kind", scaler.KINDS)
def test_padding_and_unscored_steps_count_nowhere(kind: str) -> None:
    data = dense()
    x = np.where(data.mask[..., None], data.x, np.float32(1e6))
    y = np.where(data.scored[..., None], np.array(data.y), 1e6)
    before, after = (scaler.fit(kind, some, np.arange(10), seed=0) for some in (data, replace(data, x=x, y=y)))
    assert before.to_json() == after.to_json()


def column(values: list[float]) -> Dense:
    """One series, one feature, one target of the same values."""
    x = np.array(values, dtype=np.float32)[None, :, None]
    real = np.ones((1, len(values)), dtype=bool)
    return Dense(
        path=Path("s"),
        names=("f",),
        x=x,
        static=np.zeros((1, 0), dtype=np.int64),
        lengths=np.array([len(values)]),
        scored=real,
        y=x.astype(float),
        fingerprint="p",
        levels=(),
    )


def test_statistics_by_hand() -> None:
    data = column([float(value) for value in range(11)])  # 0 .. 10: median 5, quantiles 1 and 9
    robust = scaler.fit("robust", data, np.array([0]), seed=0)
    assert (robust.center[0], robust.scale[0]) == (5.0, pytest.approx(8 / 2.56))
    standard = scaler.fit("standard", data, np.array([0]), seed=0)
    assert (standard.center[0], standard.scale[0]) == (5.0, pytest.approx(10**0.5))
    assert scaler.fit("none", data, np.array([0]), seed=0).scale.tolist() == [1.0]
    assert (robust.y_center[0], robust.y_scale[0]) == (5.0, pytest.approx(30 / 11))


@pytest.mark.parametrize("kind", scaler.KINDS)
def test_a_constant_column_is_never_divided_by_zero(kind: str) -> None:
    fitted = scaler.fit(kind, column([3.0] * 5), np.array([0]), seed=0)
    assert (fitted.scale[0], fitted.y_scale[0]) == (1.0, 1.0)


def test_a_rare_flag_is_scaled_by_its_deviation() -> None:
    fitted = scaler.fit("robust", column([0.0] * 19 + [1.0]), np.array([0]), seed=0)  # both quantiles are 0
    assert fitted.center[0] == pytest.approx(0.05) and fitted.scale[0] == pytest.approx((0.05 * 0.95) ** 0.5)


def test_many_series_are_sampled_the_same_way_for_the_same_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaler, "SAMPLE", 4)
    one, same, other = (scaler.fit("standard", dense(), np.arange(10), seed=seed).to_json() for seed in (0, 0, 1))
    assert one == same != other


def test_it_survives_json_to_the_last_bit() -> None:
    fitted = scaler.fit("robust", dense(), np.arange(10), seed=0)
    again = Scaler.from_json(fitted.to_json())
    assert all(np.array_equal(getattr(fitted, name), getattr(again, name)) for name in fitted.to_json())


def test_an_unknown_kind_is_answered_with_the_list() -> None:
    with pytest.raises(UserError, match=r"unknown scaler 'robus'. Did you mean 'robust'"):
        scaler.fit("robus", dense(), np.arange(10), seed=0)
