"""The patient and the machine around it: valve, tube, lung, expiratory valve and sensor, moved by one row at a time.

    command --delay--> valve --lag--> flow into the tube --> lung: resistance (linear and quadratic), elastic recoil
                                       |        |
                      expiratory valve to PEEP  tube's own compliance          airway pressure --lag--> sensor
                      leak to the room

A grey box, after the single-compartment lung of https://github.com/google/deluca-lung, with what real breaths needed
beyond it; docs/simulator.md lists the forms tried, with their errors. One implementation serves the simulator (numpy)
and the calibration (torch, with gradients): `xp` is the array namespace. It runs nothing by itself.

Units: pressure cmH2O, flow L/s, volume L, time s, valve commands %.
"""

from dataclasses import dataclass, fields
from itertools import pairwise
from types import ModuleType
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ventilator.controller import C_VALUES, R_VALUES

SETTINGS: Final = tuple((r, c) for r in R_VALUES for c in C_VALUES)  # (R, C) in the order of all tables here
REST_PRESSURE: Final = 5.0  # cmH2O of recoil at which volume counts as 0
BEND: Final = 20.0  # cmH2O above REST_PRESSURE at which a lung of stiffening 1 is twice as stiff
KNOTS: Final = (0.0, 1.0, 2.0, 3.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0, 100.0)  # % of the valve's curve


@dataclass(frozen=True, kw_only=True)
class Lung:
    """Parameters of N lungs: arrays (N,), the curve (N, 13); numpy arrays or torch tensors."""

    curve: Any  # L/s per %, slopes of the valve's flow between KNOTS
    delay: Any  # s from a command to the valves' first move; shorter than any row
    valve_lag: Any  # s
    tube: Any  # L/cmH2O, compliance of the tube
    resistance: Any  # cmH2O/(L/s)
    turbulence: Any  # cmH2O/(L/s)^2
    compliance: Any  # L/cmH2O
    stiffening: Any  # share by which recoil exceeds the linear one, BEND above rest
    outlet: Any  # L/s/cmH2O, conductance of the open expiratory valve
    outlet_lag: Any  # s
    peep: Any  # cmH2O behind the expiratory valve
    sensor_lag: Any  # s
    leak: Any  # L/s/cmH2O, conductance from the airway to the room, at all times

    def take(self, index: NDArray[np.int64]) -> Self:
        """Return the lungs at the given places."""
        return type(self)(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


class State(NamedTuple):
    """N lungs at one row, arrays (N,); the last two are the commands that still act during the delay."""

    flow: Any  # L/s out of the inspiratory valve
    opened: Any  # share 0..1 to which the expiratory valve is open
    volume: Any  # L above that at REST_PRESSURE
    airway: Any  # cmH2O
    sensed: Any  # cmH2O
    supply: Any  # L/s, steady flow of the last command
    out: Any  # 0 or 1, the expiratory valve's last command


def resting(lung: Lung, pressure: Any, xp: ModuleType = np) -> State:
    """Return N lungs at rest at `pressure` (N,), cmH2O: what flows in leaves by the open expiratory valve."""
    flow = xp.clip(lung.outlet * (pressure - lung.peep), 0.0, None)
    open_share = xp.ones_like(flow)
    excess = pressure - REST_PRESSURE  # the bend is negligible near rest
    return State(flow, open_share, excess * lung.compliance, pressure, pressure, flow, open_share)


def supply(lung: Lung, u_in: Any, xp: ModuleType = np) -> Any:
    """Compute the steady flow (L/s) at a valve opening `u_in` (N,) or (T, N) in %: a line from knot to knot."""
    total = 0.0
    for k, (low, high) in enumerate(pairwise(KNOTS)):
        total = total + lung.curve[:, k] * xp.clip(u_in - low, 0.0, high - low)
    return total


def advance(lung: Lung, state: State, flow: Any, out: Any, dt: Any, xp: ModuleType = np) -> State:
    """Advance N lungs from one row to the next, `dt` (N,) s later, under the row's commands.

    `flow` (N,) is the `supply` (L/s) of the row's u_in, `out` (N,) its u_out (0 or 1).
    """
    # Until the delay has passed, the last row's commands still act.
    held = _move(lung, state, state.supply, state.out, lung.delay, xp)
    return _move(lung, held, flow, out, dt - lung.delay, xp)._replace(supply=flow, out=out)


def recoil(lung: Lung, volume: Any) -> Any:
    """Compute the elastic pressure (cmH2O) of the lung at a volume (L above that at REST_PRESSURE)."""
    linear = volume / lung.compliance
    return REST_PRESSURE + linear * (1.0 + lung.stiffening * linear / BEND)


def resistive(lung: Lung, flow: Any) -> Any:
    """Compute the pressure (cmH2O) that a flow (L/s) into the lung costs in its airway."""
    return flow * (lung.resistance + lung.turbulence * abs(flow))


def _move(lung: Lung, state: State, supplied: Any, out: Any, h: Any, xp: ModuleType) -> State:
    """Advance by one step of h seconds under constant commands; implicit, hence stable for stiff lungs and long rows.

    The lags are exact: exponential approaches to constant commands. expm1 keeps their digits for short steps.
    """
    flow = state.flow + (supplied - state.flow) * -xp.expm1(-h / lung.valve_lag)
    opened = state.opened + (out - state.opened) * -xp.expm1(-h / lung.outlet_lag)
    out_flow, store = lung.outlet * opened, lung.tube / h
    elastic = recoil(lung, state.volume)
    # flow + out_flow peep + store airway' = drain airway + q  and  airway = elastic + R q + K q |q|, solved for q
    drain = out_flow + store + lung.leak
    surplus = flow + out_flow * lung.peep + store * state.airway - drain * elastic
    linear = 1.0 + drain * lung.resistance
    q = 2.0 * surplus / (linear + xp.sqrt(linear * linear + 4.0 * drain * lung.turbulence * xp.abs(surplus)))
    airway = elastic + resistive(lung, q)
    sensed = state.sensed + (airway - state.sensed) * -xp.expm1(-h / lung.sensor_lag)
    return state._replace(flow=flow, opened=opened, volume=state.volume + q * h, airway=airway, sensed=sensed)
