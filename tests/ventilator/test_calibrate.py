"""Calibration: measures on made-up series, and a rig found again in breaths that it simulated."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ventilator import measure
from ventilator.calibrate import _read, calibrate, fit_lung, free_run, grouped
from ventilator.lung import REST_PRESSURE, Lung
from ventilator.measure import Recorded
from ventilator.rig import Rig
from ventilator.simulator import frame, simulate


def simulated(breaths: int, rig: Rig | None = None) -> pl.DataFrame:
    return frame(simulate(breaths, seed=2, rig=rig), np.arange(breaths))


def inspiration_error(lung: Lung, breaths: Recorded) -> float:
    """Mean absolute error (cmH2O) of a free run in inspiration."""
    error = np.abs(free_run(lung, breaths) - breaths.pressure)
    return float(error[breaths.u_out == 0].mean())


def test_clock_finds_period_jitter_and_stutter() -> None:
    rng = np.random.default_rng(0)
    dt = 0.032 + rng.normal(0, 5e-5, (50, 79)) + 0.001 * (np.arange(79) % 4 == 0)
    time = np.concatenate([np.zeros((50, 1)), np.cumsum(dt, axis=1)], axis=1)
    zeros = np.zeros((50, 80))
    ids = np.arange(50)
    breaths = Recorded(breath_id=ids, r=ids, c=ids, time_step=time, u_in=zeros, u_out=zeros, pressure=zeros)
    found = measure.clock(breaths)
    np.testing.assert_allclose(found["period"], 0.032, atol=1e-5)
    np.testing.assert_allclose(found["jitter"], 5e-5, rtol=0.05)
    np.testing.assert_allclose(found["stutter"], 0.001, rtol=0.02)


def test_flutter_finds_an_autoregression_again() -> None:
    rng = np.random.default_rng(0)
    series = np.zeros((400, 32))
    for row in range(2, 32):
        series[:, row] = -0.4 * series[:, row - 1] - 0.3 * series[:, row - 2] + rng.normal(0, 0.05, 400)
    drop = np.full_like(series, 8.0)
    found = measure.flutter(8.0 * series + 3.0, drop)
    np.testing.assert_allclose(found["flutter"], series[:, 6:].std(), rtol=0.1)
    np.testing.assert_allclose([found["flutter_1"], found["flutter_2"]], [-0.4, -0.3], atol=0.12)


def test_a_session_starts_at_rest_where_no_first_pressure_is_known() -> None:
    """Exact rows of test breaths may lack every first row; a NaN start would reach every pressure of the session."""
    breaths = Recorded.of(simulated(20))
    breaths.pressure[:, 0] = np.nan
    assert measure.start(breaths) == REST_PRESSURE
    assert not np.isnan(measure.first_pressures(breaths)).any()


def test_breaths_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="80 rows, but breath 2 has 79"):
        Recorded.of(simulated(3).head(239))


def test_the_first_of_several_breaths_of_another_length_is_named() -> None:
    with pytest.raises(ValueError, match="but breath 0 has 79; 8 such breaths"):
        Recorded.of(simulated(8).filter(pl.col("id") % 80 != 1).reverse())


def test_decoded_rows_leave_the_test_rows_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through polars' streaming engine, whose left join shows that none is promised without maintain_order."""

    def streamed(left: pl.DataFrame, right: pl.DataFrame, **options: Any) -> pl.DataFrame:
        return left.lazy().join(right.lazy(), **options).collect(engine="streaming")

    table = simulated(12)
    test, exact = table.filter(pl.col("breath_id") >= 2), table.filter(pl.col("id") % 3 == 0)
    table.filter(pl.col("breath_id") < 2).write_csv(tmp_path / "train.csv")
    test.drop("pressure").write_csv(tmp_path / "test.csv")
    exact.select("id", "pressure").reverse().write_csv(tmp_path / "decoded.csv")
    monkeypatch.setattr(pl.DataFrame, "join", streamed)
    read = _read(tmp_path, None, tmp_path / "decoded.csv")
    assert read["id"].to_list() == table["id"].to_list()
    expected = table["pressure"].to_numpy().copy()
    expected[(np.arange(len(table)) >= 160) & (table["id"].to_numpy() % 3 != 0)] = np.nan
    np.testing.assert_array_equal(read["pressure"].to_numpy(), expected)


def test_calibration_needs_labels() -> None:
    with pytest.raises(ValueError, match="4 labelled breaths"):
        calibrate(simulated(30).drop("pressure"))


@pytest.mark.slow
@pytest.mark.learned
def test_a_fit_beats_the_first_guess_and_finds_the_compliance() -> None:
    """On breaths of a rig without noise; rows without pressure do no harm."""
    noisy = Rig.load()
    none = np.zeros(len(noisy))
    quiet = replace(noisy, flutter=none, gain_spread=0.0, resistance_spread=0.0, compliance_spread=0.0)
    table = simulated(120, quiet)
    holes = table.with_columns(pressure=pl.when(pl.col("id") % 7 != 3).then(pl.col("pressure")))
    breaths = Recorded.of(holes)
    sessions, index = grouped(breaths)
    breaths, index = breaths.take(index >= 0), index[index >= 0]
    known = Recorded.of(table).take(np.flatnonzero(np.isin(np.arange(120), breaths.breath_id)))
    guess = fit_lung(breaths, sessions, index, iterations=1)
    fitted = fit_lung(breaths, sessions, index, iterations=40)
    assert inspiration_error(fitted.take(index), known) < 0.4 * inspiration_error(guess.take(index), known)
    truth = noisy.lung.take(np.array([noisy.sessions.index(name) for name in sessions]))
    assert np.median(np.abs(fitted.compliance / truth.compliance - 1)) < 0.15


def test_a_parameter_can_be_held() -> None:
    breaths = Recorded.of(simulated(60))
    sessions, index = grouped(breaths)
    lung = fit_lung(breaths.take(index >= 0), sessions, index[index >= 0], fixed={"tube": 1e-6}, iterations=1)
    assert (lung.tube == 1e-6).all()


@pytest.mark.slow
@pytest.mark.learned
def test_a_calibrated_rig_simulates_breaths_as_rough_as_those_it_was_fitted_to() -> None:
    table = simulated(400)
    rig = calibrate(table, iterations=80)
    made, seen = simulate(2000, seed=3, rig=rig), simulate(2000, seed=3)
    rough = [np.abs(np.diff(part.pressure, n=2, axis=1))[part.u_out[:, 2:] == 0].mean() for part in (made, seen)]
    assert abs(rough[0] / rough[1] - 1) < 0.25
    assert set(rig.sessions) <= set(Rig.load().sessions)
