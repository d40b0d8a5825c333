"""Simulated breaths: exact in law, lattice and grid, reproducible to the byte, whatever the size of a request."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ventilator import controller, simulator
from ventilator.draws import EXPLORATION, OPEN_LOOP, SWEEP
from ventilator.loop import BLOCK, Breaths
from ventilator.rig import Rig, sessions_of

COLUMNS = ["id", "breath_id", "R", "C", "time_step", "u_in", "u_out", "pressure"]


@pytest.fixture(scope="module")
def breaths() -> Breaths:
    return simulator.simulate(BLOCK, seed=5)


def test_u_in_follows_the_law_from_the_printed_pressure(breaths: Breaths) -> None:
    """What a decoder relies on: u, p, dt and the hidden numbers fit together to the last bit, from row 1 on."""
    tau = breaths.time_step + breaths.tau_0[:, None]
    error = controller.target(tau, breaths.kt[:, None]) - breaths.pressure
    dt = np.diff(breaths.time_step, axis=1)
    integral = controller.integral(breaths.integral[:, :-1], error[:, 1:], dt)
    np.testing.assert_allclose(integral, breaths.integral[:, 1:], rtol=0, atol=1e-13)
    hidden = (breaths.bump_slope, breaths.bump_start, breaths.bump_end)
    added = controller.bump(tau, *(part[:, None] for part in hidden))
    command = controller.valve_command(error, breaths.integral, breaths.kp[:, None], breaths.ki[:, None], added)
    inspiration = breaths.u_out == 0
    np.testing.assert_allclose(command[inspiration], breaths.u_in[inspiration], rtol=0, atol=1e-12)


def test_expiration_idles_or_keeps_the_loop(breaths: Breaths) -> None:
    tau = breaths.time_step + breaths.tau_0[:, None]
    out = (breaths.u_out == 1) & ~breaths.late_pi[:, None]
    # numpy's exp may round differently in another memory layout: an ulp of 1, times PEEP, twice.
    ulps = 2 * np.finfo(np.float64).eps * controller.PEEP
    np.testing.assert_allclose(breaths.u_in[out], controller.idle_command(tau)[out], rtol=0, atol=ulps)
    assert 0.02 < breaths.late_pi.mean() < 0.15


def test_u_out_flips_once_at_one_second_of_the_cycle(breaths: Breaths) -> None:
    tau = breaths.time_step + breaths.tau_0[:, None]
    np.testing.assert_array_equal(breaths.u_out, (tau >= 1.0).astype(int))
    rows = (breaths.u_out == 0).sum(axis=1)
    assert rows.min() >= 25
    assert rows.max() <= 33


def test_times_are_on_the_lattice_and_phases_within_a_row(breaths: Breaths) -> None:
    for time in (breaths.time_step, breaths.tau_0):
        np.testing.assert_array_equal(controller.ticks(time) * controller.TICK_S, time)
    assert (breaths.time_step[:, 0] == 0).all()
    assert (np.diff(breaths.time_step, axis=1) > 0.031).all()
    assert (breaths.tau_0 >= 0).all()
    assert breaths.tau_0.max() < 0.05


def test_pressures_are_on_the_grid_and_commands_in_range(breaths: Breaths) -> None:
    on_grid = controller.grid_pressure(controller.grid_index(breaths.pressure))
    np.testing.assert_array_equal(on_grid, breaths.pressure)
    assert breaths.u_in.min() == 0
    assert breaths.u_in.max() == 100


def test_only_exploration_has_bumps_and_its_own_gains(breaths: Breaths) -> None:
    assert (breaths.bump_slope[breaths.mode == SWEEP] == 0).all()
    assert (breaths.kp[breaths.mode == OPEN_LOOP] == 0).all()
    assert {SWEEP, EXPLORATION, OPEN_LOOP} == set(breaths.mode.tolist())
    for k in np.flatnonzero(breaths.mode == EXPLORATION):
        assert (breaths.kp[k], breaths.ki[k]) == controller.EXPLORATION_GAINS[breaths.r[k], breaths.c[k]]


def test_a_third_of_the_sweeps_breaths_begin_with_an_empty_integral(breaths: Breaths) -> None:
    empty = breaths.integral[:, 0] == 0
    assert abs(empty[breaths.mode == SWEEP].mean() - 1 / 3) < 0.03
    assert not empty[breaths.mode == EXPLORATION].any()


def test_sessions_are_identified_by_their_inputs(breaths: Breaths) -> None:
    rig = Rig.load()
    found = sessions_of(breaths.r, breaths.c, breaths.time_step, breaths.u_in)
    right = [rig.sessions[k] == name for k, name in zip(breaths.session, found, strict=True)]
    assert np.mean(right) > 0.995


def test_a_request_is_a_slice_of_the_stream_whatever_its_size() -> None:
    across = simulator.simulate(40, seed=9, first=BLOCK - 10)
    whole = simulator.simulate(BLOCK + 30, seed=9)
    for name, part in vars(across).items():
        np.testing.assert_array_equal(part, getattr(whole, name)[BLOCK - 10 :])
    assert (simulator.simulate(40, seed=10).u_in != simulator.simulate(40, seed=9).u_in).any()


def test_requests_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one breath"):
        simulator.simulate(0, seed=0)
    with pytest.raises(ValueError, match="to train on and to test on"):
        simulator.write_competition(tmp_path, breaths=5, test_breaths=0, seed=0)


def written(out: Path, **options: bool) -> dict[str, bytes]:
    simulator.write_competition(out, breaths=120, test_breaths=80, seed=4, **options)
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_same_seed_same_files_for_any_number_of_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = written(tmp_path / "a", truth=True)
    monkeypatch.setattr(simulator, "THREADS", 5)
    assert written(tmp_path / "b", truth=True) == first
    assert set(first) == {"train.csv", "test.csv", "sample_submission.csv", "truth.csv", "hidden.csv"}


def test_files_have_kaggles_shape_and_every_digit(tmp_path: Path) -> None:
    written(tmp_path)
    train, test = pl.read_csv(tmp_path / "train.csv"), pl.read_csv(tmp_path / "test.csv")
    sample = pl.read_csv(tmp_path / "sample_submission.csv")
    assert train.columns == COLUMNS
    assert test.columns == COLUMNS[:-1]
    assert sample.columns == ["id", "pressure"]
    assert train["id"].to_list() == list(range(1, 120 * 80 + 1))
    assert sample["id"].to_list() == test["id"].to_list() == list(range(1, 80 * 80 + 1))
    both = set(train["breath_id"]) | set(test["breath_id"])
    assert both == set(range(200))
    stream = simulator.simulate(200, seed=4)
    for table in (train, test):
        place = table["breath_id"].unique(maintain_order=True).to_numpy()
        np.testing.assert_array_equal(table["u_in"].to_numpy(), stream.take(place).u_in.ravel())
        np.testing.assert_array_equal(table["time_step"].to_numpy(), stream.take(place).time_step.ravel())


def test_truth_is_the_pressure_of_the_test_rows(tmp_path: Path) -> None:
    written(tmp_path, truth=True)
    truth, hidden = pl.read_csv(tmp_path / "truth.csv"), pl.read_csv(tmp_path / "hidden.csv")
    place = pl.read_csv(tmp_path / "test.csv")["breath_id"].unique(maintain_order=True).to_numpy()
    stream = simulator.simulate(200, seed=4)
    np.testing.assert_array_equal(truth["pressure"].to_numpy(), stream.take(place).pressure.ravel())
    np.testing.assert_array_equal(hidden["tau_0"].to_numpy(), stream.tau_0)


def test_test_breaths_are_spread_over_the_stream_in_their_exact_share(tmp_path: Path) -> None:
    simulator.write_competition(tmp_path, breaths=BLOCK, test_breaths=BLOCK // 2, seed=1)
    ids = pl.read_csv(tmp_path / "test.csv", columns=["breath_id"])["breath_id"].unique().to_numpy()
    assert len(ids) == BLOCK // 2
    assert abs((ids < BLOCK).mean() - 2 / 3) < 0.01


def test_progress_counts_breaths_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    seen: list[int] = []
    simulator.write_competition(tmp_path / "good", breaths=BLOCK, test_breaths=7, seed=1, on_progress=seen.append)
    assert seen == [BLOCK, BLOCK + 7]

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulator.write_competition(tmp_path / "bad", breaths=9, test_breaths=9, seed=1, on_progress=stop)
    assert list((tmp_path / "bad").iterdir()) == []


def test_what_a_killed_process_has_left_is_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    running = tmp_path / f".test.csv.{os.getppid()}.part"  # another one's, which goes on
    for path in (running, tmp_path / f".train.csv.{ended.pid}.part"):
        path.touch()
    simulator.write_competition(tmp_path, breaths=2, test_breaths=1, seed=0)
    assert [path.name for path in tmp_path.glob(".*")] == [running.name]


def test_a_slow_consumer_holds_the_simulation_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded because never more than a few blocks are ahead of the one in use."""
    started: list[int] = []
    small = simulator.simulate(1, seed=0)

    def counted(seed: int, number: int, rig: Rig) -> Breaths:
        started.append(number)
        return small

    monkeypatch.setattr(simulator, "block", counted)
    stream: Iterator[Breaths] = simulator._stream(50 * BLOCK, 0, Rig.load())
    for used, _ in enumerate(stream, start=1):
        assert len(started) <= used + simulator.AHEAD + 1
    assert len(started) == 50
