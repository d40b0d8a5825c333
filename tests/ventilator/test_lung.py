"""The lung: known equilibria, conservation of volume, and the same numbers from numpy and torch."""

from dataclasses import replace

import numpy as np
import torch

from ventilator.lung import KNOTS, Lung, State, advance, recoil, resistive, resting, supply

LUNG = Lung(
    curve=np.full((1, len(KNOTS) - 1), 0.01),
    delay=np.array([0.01]),
    valve_lag=np.array([0.005]),
    tube=np.array([0.0003]),
    resistance=np.array([10.0]),
    turbulence=np.array([5.0]),
    compliance=np.array([0.02]),
    stiffening=np.array([0.1]),
    outlet=np.array([0.15]),
    outlet_lag=np.array([0.02]),
    peep=np.array([5.0]),
    sensor_lag=np.array([0.01]),
    leak=np.array([0.0]),
)


def driven(lung: Lung, state: State, u_in: float, out: int, rows: int, dt: float = 0.034) -> list[State]:
    """States of `rows` rows under constant commands."""
    states = []
    for _ in range(rows):
        state = advance(lung, state, supply(lung, np.array([u_in])), np.array([out]), np.array([dt]))
        states.append(state)
    return states


def test_supply_is_the_integral_of_the_curve() -> None:
    lung = replace(LUNG, curve=np.arange(1.0, 14.0)[None, :])
    at_knots = [float(supply(lung, np.array([knot]))[0]) for knot in KNOTS]
    np.testing.assert_allclose(at_knots, np.concatenate([[0], np.cumsum(np.arange(1.0, 14.0) * np.diff(KNOTS))]))
    assert supply(lung, np.array([0.5]))[0] == 0.5


def test_a_resting_lung_stays_at_rest() -> None:
    flow = 0.05  # L/s, what u_in = 5 % lets in
    pressure = 5.0 + flow / 0.15
    linear = replace(LUNG, stiffening=np.zeros(1))
    last = driven(linear, resting(linear, np.array([pressure])), 5.0, 1, rows=60)[-1]
    np.testing.assert_allclose(last.sensed, pressure, atol=1e-9)
    np.testing.assert_allclose(last.volume, (pressure - 5.0) * 0.02, atol=1e-9)


def test_what_flows_in_is_in_the_lung_and_the_tube() -> None:
    closed = replace(LUNG, outlet=np.zeros(1))
    start = resting(closed, np.array([5.0]))
    last = driven(closed, start, 20.0, 0, rows=100)[-1]
    # the delay brings the flow late by `delay`, the valve's lag by `valve_lag` in all
    supplied = 0.2 * (100 * 0.034 - 0.01)
    stored = last.volume + closed.tube * (last.airway - start.airway)
    assert abs(float(stored[0]) - supplied) < 0.2 * 2 * 0.005
    assert float(stored[0]) < supplied


def test_steady_inflow_costs_the_resistive_pressure() -> None:
    closed = replace(LUNG, outlet=np.zeros(1), tube=np.full(1, 1e-9), stiffening=np.zeros(1))
    last = driven(closed, resting(closed, np.array([5.0])), 20.0, 0, rows=40)[-1]
    cost = last.airway - recoil(closed, last.volume - 0.2 * (0.034 - 0.01))  # recoil before the implicit step's inflow
    np.testing.assert_allclose(cost, resistive(closed, np.array([0.2])), rtol=1e-6)
    np.testing.assert_allclose(cost, 10.0 * 0.2 + 5.0 * 0.04, rtol=1e-6)


def test_flow_turns_round_when_the_expiratory_valve_opens() -> None:
    full = driven(LUNG, resting(LUNG, np.array([5.0])), 40.0, 0, rows=25)[-1]
    emptied = driven(LUNG, full, 0.0, 1, rows=100)
    volumes = [float(state.volume[0]) for state in emptied]
    assert volumes[1:] == sorted(volumes[1:], reverse=True)
    np.testing.assert_allclose(emptied[-1].sensed, 5.0, atol=0.05)


def test_the_delay_hides_a_command_from_the_row_it_is_longer_than() -> None:
    late = replace(LUNG, delay=np.array([0.0299]), sensor_lag=np.array([1e-3]))
    start = resting(late, np.array([5.0]))
    first = advance(late, start, np.array([1.0]), np.array([1.0]), np.array([0.03]))
    second = advance(late, first, np.array([1.0]), np.array([1.0]), np.array([0.03]))
    assert float(first.flow[0]) < 0.03 < 0.9 < float(second.flow[0])


def test_numpy_and_torch_agree_to_rounding() -> None:
    as_torch = Lung(**{name: torch.as_tensor(value) for name, value in vars(LUNG).items()})
    state, twin = resting(LUNG, np.array([6.0])), resting(as_torch, torch.tensor([6.0], dtype=torch.float64), torch)
    for row in range(40):
        u_in, out, dt = np.array([30.0 * (row % 3)]), np.array([float(row > 25)]), np.array([0.032])
        state = advance(LUNG, state, supply(LUNG, u_in), out, dt)
        flow = supply(as_torch, torch.as_tensor(u_in), torch)
        twin = advance(as_torch, twin, flow, torch.as_tensor(out), torch.as_tensor(dt), torch)
    np.testing.assert_allclose(np.array(state).ravel(), np.array(twin).ravel(), rtol=1e-12)
