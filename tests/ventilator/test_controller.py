"""The controller's law: against hand-computed numbers and, where there are any, against real breaths."""

import os
from pathlib import Path

import numpy as np
import pytest

from ventilator import controller
from ventilator.measure import Recorded
from ventilator.rig import sessions_of

REAL = Path(os.environ.get("FOLDLINE_REAL_DATA", Path(__file__).parents[2] / "../shared/data/ventilator"))


def test_target_ramps_up_in_a_33rd_of_a_second_and_down_in_half_a_second() -> None:
    tau = np.array([0.0, 1 / 66, 1 / 33, 0.5, 0.999, 1.25, 1.5, 2.9])
    expected = [5.0, 15.0, 25.0, 25.0, 25.0, 15.0, 5.0, 5.0]
    np.testing.assert_allclose(controller.target(tau, 25.0), expected, atol=1e-12)


def test_bumps_are_a_triangle_of_either_sign_or_a_falling_ramp() -> None:
    tau = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    np.testing.assert_allclose(controller.bump(tau, -100.0, 0.2, 0.4), [0, 0, -10, 0, 0], atol=1e-12)
    np.testing.assert_allclose(controller.bump(tau, 50.0, -np.inf, 0.4), [15, 10, 5, 0, 0], atol=1e-12)
    assert not controller.bump(tau, 0.0, -np.inf, 0.4).any()


def test_valve_command_is_clipped_before_the_bump_and_after_it() -> None:
    error, integral = np.array([-10.0, 20.0, 20.0]), np.array([0.0, 0.0, 0.0])
    added = np.array([7.0, -30.0, 30.0])
    np.testing.assert_array_equal(controller.valve_command(error, integral, 10.0, 0.0, added), [7.0, 70.0, 100.0])


def test_three_steps_of_the_loop_by_hand() -> None:
    """Kp 2, Ki 3, Kt 20, rows 0.5 s apart (so a = 1/2), pressures 5, 10 and 19 under a full target."""
    memory, commands = 0.0, []
    for dt, pressure in ((0.0, 5.0), (0.5, 10.0), (0.5, 19.0)):
        error = 20.0 - pressure
        memory = float(controller.integral(memory, error, dt))
        commands.append(float(controller.valve_command(error, memory, 2.0, 3.0, 0.0)))
    # I: 0 (a = 0 at dt = 0), then 0 + (10 - 0) / 2 = 5, then 5 + (1 - 5) / 2 = 3
    assert commands == [30.0, 35.0, 11.0]


def test_idle_rows_give_the_phase_back() -> None:
    time_step = np.array([1.6, 1.8, 2.0])
    command = controller.idle_command(time_step + 0.0125)
    assert (command > 0).all()
    np.testing.assert_allclose(controller.phase(time_step, command), 0.0125, atol=1e-12)
    assert controller.idle_command(1.49) == 0.0


def test_grid_and_lattice_round_trip() -> None:
    index = np.arange(controller.GRID_SIZE)
    np.testing.assert_array_equal(controller.grid_index(controller.grid_pressure(index)), index)
    assert controller.grid_index(np.array([-50.0, 500.0])).tolist() == [0, 949]
    printed = float(f"{123457 * controller.TICK_S:.9g}")
    assert controller.ticks(printed) == 123457


def test_every_setting_has_exploration_gains_from_the_lists() -> None:
    assert set(controller.EXPLORATION_GAINS) == {(r, c) for r in controller.R_VALUES for c in controller.C_VALUES}
    for kp, ki in controller.EXPLORATION_GAINS.values():
        assert kp in controller.KP_GAINS
        assert ki in controller.KI_GAINS


def test_law_holds_to_the_last_bit_on_real_exploration_breaths() -> None:
    """Of the six targets one explains a breath, and no transition that comes near the law misses it."""
    import polars as pl

    if not (REAL / "train.csv").is_file():
        pytest.skip(f"needs the competition's train.csv in {REAL}; set FOLDLINE_REAL_DATA")
    frame = pl.read_csv(REAL / "train.csv").filter(pl.col("breath_id") >= 125_000)  # printed in full
    breaths = Recorded.of(frame)
    names = sessions_of(breaths.r, breaths.c, breaths.time_step, breaths.u_in)
    explorations = np.flatnonzero([name.exploration for name in names])
    assert len(explorations) > 100
    exact = []
    for breath in explorations:
        residuals = [_law_residuals(breaths, breath, kt) for kt in controller.KT_TARGETS]
        best = min(residuals, key=lambda residual: np.sum(residual > 1e-6))
        near = best[best < 1e-6]
        exact.append(len(near))
        assert (near < 2e-13).all()
    assert np.mean(np.array(exact) >= 3) > 0.9


def _law_residuals(breaths: Recorded, breath: int, kt: float) -> np.ndarray:
    """|Ki I_j - (1-a) Ki I_{j-1} - a Ki e_j| over adjacent unclipped inspiratory rows, Ki I being u - Kp e."""
    kp, ki = controller.EXPLORATION_GAINS[breaths.r[breath], breaths.c[breath]]
    rows = int((breaths.u_out[breath] == 0).sum())
    u_in, time = breaths.u_in[breath, :rows], breaths.time_step[breath, :rows]
    error = kt - controller.grid_pressure(controller.grid_index(breaths.pressure[breath, :rows]))
    stored = u_in - kp * error
    a = controller.smoothing(np.diff(time))
    residual = np.abs(stored[1:] - (1 - a) * stored[:-1] - a * ki * error[1:])
    open_valve = (u_in > 0) & (u_in < 100)
    open_valve[0] = False
    return np.asarray(residual[open_valve[1:] & open_valve[:-1]])
