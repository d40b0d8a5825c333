"""Scaling: statistics by hand, and nothing but the given series behind them."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lab import padded, small_store, with_features

from foldline.core.errors import UserError
from foldline.data.store import Store
from foldline.fit import scaler
from foldline.fit.scaler import Scaler


@pytest.mark.parametrize("kind", scaler.KINDS)
def test_it_looks_at_the_given_series_only(kind: str) -> None:
    data, given = small_store(), np.array([0, 2, 5])
    before = scaler.fit(kind, data, given, seed=0)
    x, y = padded(data), np.array(data.y)
    others = np.setdiff1d(np.arange(10), given)
    x[others], y[data.rows(others)] = 1e6, -1e6
    after = scaler.fit(kind, with_features(data, x, y=y), given, seed=0)
    assert before.to_json() == after.to_json()


@pytest.mark.parametrize("kind", scaler.KINDS)
def test_padding_and_unscored_steps_count_nowhere(kind: str) -> None:
    data = small_store()
    x = np.where(data.mask()[..., None], padded(data), np.float32(1e6))
    y = np.where(data.scored[..., None], np.array(data.y), 1e6)
    before, after = (scaler.fit(kind, some, np.arange(10), seed=0) for some in (data, with_features(data, x, y=y)))
    assert before.to_json() == after.to_json()


@pytest.mark.parametrize("kind", scaler.KINDS)
def test_targets_of_weight_0_count_nowhere(kind: str) -> None:
    """A mark such as -999 that there is none would else be most of the targets' scale."""
    data = small_store()
    data = replace(data, weight=np.where(data.step_of_answer == 1, 0.0, 2.0))
    marked = replace(data, y=np.where((data.step_of_answer == 1)[:, None], -999.0, data.y))
    before, after = (scaler.fit(kind, some, np.arange(10), seed=0) for some in (data, marked))
    assert before.to_json() == after.to_json()
    none = replace(data, weight=np.where(data.series_of_answer < 3, 0.0, 1.0))  # of the first series none counts
    assert np.isfinite(scaler.fit(kind, none, np.arange(3), seed=0).y_center).all()


def column(values: list[float]) -> Store:
    """One series, one feature, one target of the same values."""
    x = np.array(values, dtype=np.float32)[:, None]
    return Store(
        path=Path("s"),
        names=("f",),
        x=x,
        static=np.zeros((1, 0), dtype=np.int64),
        lengths=np.array([len(values)]),
        scored=np.ones(len(values), dtype=bool),
        y=x.astype(float),
        known=np.ones((len(values), 1), dtype=bool),
        labelled=True,
        observed=0,
        fingerprint="p",
        levels=(),
        of_static=(False,),
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


def test_many_rows_are_sampled_the_same_way_for_the_same_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaler, "SAMPLE_VALUES", 12)
    one, same, other = (scaler.fit("standard", small_store(), np.arange(10), seed=seed).to_json() for seed in (0, 0, 1))
    assert one == same != other


def all_rows(data: Store, series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features and targets, unscored ones left out, of all rows of some series."""
    rows = data.rows(series)
    return data.features(rows), data.y[rows[data.scored[rows]]]


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_rows_are_sampled_only_where_they_do_not_fit(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data, series = small_store(series=30), np.arange(1, 30, 2)
    x, y = all_rows(data, series)
    monkeypatch.setattr(scaler, "ROWS_PER_CHUNK", chunk)
    monkeypatch.setattr(scaler, "SAMPLE_ROWS", len(x))
    monkeypatch.setattr(scaler, "SAMPLE_TARGETS", y.size)
    whole = scaler.fit("standard", data, series, seed=0)
    assert np.array_equal(whole.center, x.astype(np.float64).mean(axis=0))
    assert np.array_equal(whole.y_center, np.median(y, axis=0))


@pytest.mark.parametrize("chunk", [1, 50, 100_000])
def test_a_sample_has_rows_from_everywhere_and_none_twice(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Series of 1 to 200 rows: each row is as likely as any other one, of whatever series."""
    monkeypatch.setattr(scaler, "ROWS_PER_CHUNK", chunk)
    data, series = small_store(series=400, steps=200), np.arange(0, 400, 2)
    every = data.rows(series)
    for chosen, rows in ((None, every), (data.scored, every[data.scored[every]])):
        times = np.zeros(len(data.scored))
        for seed in range(200):
            drawn = scaler._sampled_rows(data, series, chosen, len(rows) // 3, np.random.default_rng(seed))
            assert (np.diff(drawn) > 0).all() and len(drawn) > len(rows) // 4
            times[drawn] += 1
        inside = np.isin(np.arange(len(times)), rows)
        assert not times[~inside].any()
        assert times[inside].min() > 30 and times[inside].max() < 105  # of 200, 66 expected


@pytest.mark.parametrize("kind", scaler.KINDS)
def test_it_takes_200_mib_at_most_whatever_the_number_of_rows(kind: str, tmp_path: Path) -> None:
    """3 million rows in 2,000 series from 1 to 3,000 rows, 16 features; without a sample they take 0.7 GiB or more."""
    lengths = np.arange(1, 3001, 1.5).astype(np.int64)
    rows, features = int(lengths.sum()), 16
    y = np.random.default_rng(0).normal(size=(rows, 1))
    data = replace(
        small_store(),
        names=tuple(f"f{number}" for number in range(features)),
        # holes in a file: they take no disk, and read as 0
        x=np.memmap(tmp_path / "x.npy", np.float32, "w+", shape=(rows, features)),
        static=np.zeros((len(lengths), 0), dtype=np.int64),
        lengths=lengths,
        scored=np.ones(rows, dtype=bool),
        y=y,
        known=np.ones((rows, 1), dtype=bool),
    )
    tracemalloc.start()
    try:
        fitted = scaler.fit(kind, data, np.arange(len(lengths)), seed=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows > 2_990_000 and peak < 200 * 2**20, f"{peak / 2**20:.0f} MiB"
    assert fitted.y_center[0] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("size", [1, 6000])
@pytest.mark.parametrize("kind", scaler.KINDS)
def test_columns_taken_a_few_at_a_time_have_the_same_statistics(
    kind: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = small_store(series=600, features=5)
    whole = scaler.fit(kind, data, np.arange(600), seed=0)
    monkeypatch.setattr(scaler, "VALUES_PER_CHUNK", size)
    assert scaler.fit(kind, data, np.arange(600), seed=0).to_json() == whole.to_json()


def test_it_survives_json_to_the_last_bit() -> None:
    fitted = scaler.fit("robust", small_store(), np.arange(10), seed=0)
    again = Scaler.from_json(fitted.to_json())
    assert all(np.array_equal(getattr(fitted, name), getattr(again, name)) for name in scaler.ARRAYS)
    assert again.grids == fitted.grids == (None, None)


def test_grids_are_found_scaled_and_survive_json() -> None:
    data = small_store(series=60)
    halves = replace(data, y=np.round(2 * np.array(data.y)) / 2)
    fitted = scaler.fit("robust", halves, np.arange(60), seed=0)
    again = Scaler.from_json(json.loads(json.dumps(fitted.to_json())))
    assert again.grids == fitted.grids and again.targets == fitted.targets
    for target, (own, scaled) in enumerate(zip(fitted.grids, fitted.targets.grids, strict=True)):
        assert own is not None and scaled is not None and own.step == pytest.approx(0.5)
        last = own.offset + own.step * (own.count - 1)
        offset, step, count = scaled
        assert offset * fitted.y_scale[target] + fitted.y_center[target] == pytest.approx(own.offset)
        top = (offset + step * (count - 1)) * fitted.y_scale[target] + fitted.y_center[target]
        assert top == pytest.approx(last) and count == own.count


def test_an_unknown_kind_is_answered_with_the_list() -> None:
    with pytest.raises(UserError, match=r"unknown scaler 'robus'. Did you mean 'robust'"):
        scaler.fit("robus", small_store(), np.arange(10), seed=0)


@pytest.mark.parametrize("kind", scaler.KINDS)
def test_missing_values_are_left_out(kind: str) -> None:
    data, gaps = small_store(), small_store()
    x = padded(gaps)
    x[3, 1:, 0] = np.nan
    x[:, :, 2] = np.nan  # a channel that is nowhere
    fitted, complete = (scaler.fit(kind, some, np.arange(10), 0) for some in (with_features(gaps, x), data))
    known = x[..., 0][data.mask() & ~np.isnan(x[..., 0])].astype(float).tolist()
    alone = scaler.fit(kind, column(known), np.array([0]), 0)
    assert (fitted.center[0], fitted.scale[0]) == (alone.center[0], alone.scale[0])
    assert fitted.center[1] == pytest.approx(complete.center[1]) and fitted.scale[1] == pytest.approx(complete.scale[1])
    assert (fitted.center[2], fitted.scale[2]) == (0.0, 1.0)
