"""The closed loop, row by row: a block of drawn runs becomes breaths, with everything that was hidden behind them.

The controller reads the quantised, noisy pressure that its own commands caused. u_in follows its law to the last bit,
so a decoder of simulated breaths uses the same evidence as on real ones. `block` is a pure function
of the seed, the block's number and the rig. Run it through `ventilator.simulator`.

Shapes: S rows of L = RUNS lanes while the loop runs, then N = BLOCK breaths of T = 80 rows.
"""

from dataclasses import dataclass, fields, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from ventilator import controller
from ventilator.controller import CYCLE_S, INSPIRATION_S, STEPS, Array
from ventilator.draws import KEPT, RUNS, SWEEP, Runs
from ventilator.lung import Lung, advance, resistive, resting, supply
from ventilator.rig import Rig

BLOCK: Final = RUNS * KEPT  # breaths that are drawn and simulated together
FIRST_CYCLE: Final = 1  # cycle 0 is not recorded: an exploration run is joined in the middle of it


@dataclass(frozen=True)
class Breaths:
    """N breaths of T = 80 rows and the truth behind them; the last block of fields is what a decoder must find."""

    r: NDArray[np.int64]  # (N,) cmH2O/(L/s)
    c: NDArray[np.int64]  # (N,) mL/cmH2O
    time_step: Array  # (N, T) s, from 0
    u_in: Array  # (N, T) %
    u_out: NDArray[np.int64]  # (N, T) 0 or 1
    pressure: Array  # (N, T) cmH2O, on the grid
    integral: Array  # (N, T) cmH2O, I of the controller
    tau_0: Array  # (N,) s
    session: NDArray[np.int64]  # (N,) place in the rig
    mode: NDArray[np.int64]  # (N,) draws.SWEEP, EXPLORATION or OPEN_LOOP
    kp: Array  # (N,) %/cmH2O; 0 in open loop, as ki
    ki: Array  # (N,) %/cmH2O
    kt: Array  # (N,) cmH2O
    late_pi: NDArray[np.bool_]  # (N,) whether the PI loop ran on in expiration
    bump_slope: Array  # (N,) %/s; 0: no bump
    bump_start: Array  # (N,) s of tau, -inf for a start ramp
    bump_end: Array  # (N,) s of tau

    def __len__(self) -> int:
        return len(self.r)

    def take(self, index: NDArray[np.int64] | slice) -> Self:
        """Return the breaths at the given places."""
        return type(self)(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    @classmethod
    def join(cls, parts: list[Self]) -> Self:
        """Concatenate parts, one after another."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def block(seed: int, number: int, rig: Rig) -> Breaths:
    """Simulate block `number` of a seed's stream: draw its runs, run them, cut them into breaths, shuffle these."""
    # One generator a block, spawned by number: blocks can be made in any order, on any thread.
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
    runs = Runs.draw(rng, rig)
    order = rng.permutation(BLOCK)  # otherwise a breath's place would show its run and cycle
    return _recorded(runs, rig, *_closed_loop(runs, rig, rng)).take(order)


def _closed_loop(runs: Runs, rig: Rig, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Simulate pressure (cmH2O, on the grid), u_in (%) and I (cmH2O), each (S, L), of all rows of a block's runs."""
    dt = np.diff(runs.clock, axis=0, prepend=runs.clock[:1])
    tau = runs.clock - CYCLE_S * runs.cycle
    out = tau >= INSPIRATION_S
    added, target, idle = _added(runs, tau), controller.target(tau, runs.kt), controller.idle_command(tau)
    idling = out & ~np.array([name.late_pi for name in rig.sessions])[runs.session]
    lung, flutter, white = _lungs(runs, rig, rng), _flutter(runs, rig, rng), _white(runs, rig, out, rng)
    state = resting(lung, np.where(runs.mode == SWEEP, rig.start[runs.session], lung.peep))
    pressure, u_in, integral = np.zeros_like(tau), np.zeros_like(tau), np.zeros_like(tau)
    memory = np.zeros(RUNS)
    for row in range(len(tau)):
        # While the outlet is open, the inflow leaves through it and does not pass the lung's resistance.
        true = state.sensed + flutter[row] * resistive(lung, state.flow) * (1.0 - state.opened)
        pressure[row] = controller.grid_pressure(controller.grid_index(true + white[row]))
        error = target[row] - pressure[row]
        integral[row] = memory = controller.integral(memory, error, dt[row])
        command = controller.valve_command(error, memory, runs.kp, runs.ki, added[row])
        u_in[row] = np.where(idling[row], idle[row], command)
        if row + 1 < len(tau):
            state = advance(lung, state, supply(lung, u_in[row]), out[row], dt[row + 1])
    return pressure, u_in, integral


def _added(runs: Runs, tau: Array) -> Array:
    """Compute bumps (S, L), %, at tau (S, L), s: in inspiration only."""
    here = np.arange(RUNS), np.minimum(runs.cycle, KEPT)  # rows behind the last recorded cycle take its bump
    bump = controller.bump(tau, runs.bump_slope[here], runs.bump_start[here], runs.bump_end[here])
    return np.where(tau >= INSPIRATION_S, 0.0, bump)


def _lungs(runs: Runs, rig: Rig, rng: np.random.Generator) -> Lung:
    """Draw a lung per run (L,): its session's, times what varies between runs."""
    lung = rig.lung.take(runs.session)
    gain, resistance, compliance = (
        np.exp(rng.normal(0.0, spread, RUNS))
        for spread in (rig.gain_spread, rig.resistance_spread, rig.compliance_spread)
    )
    return replace(
        lung,
        curve=np.asfortranarray(lung.curve * gain[:, None]),  # column-major, because supply reads it column by column
        resistance=lung.resistance * resistance,
        turbulence=lung.turbulence * resistance,
        compliance=lung.compliance * compliance,
    )


def _flutter(runs: Runs, rig: Rig, rng: np.random.Generator) -> Array:
    """Draw the inflow's fluctuation (S, L) as a share of it: autoregressive of order 2, of sd `rig.flutter`."""
    first, second = rig.flutter_1[runs.session], rig.flutter_2[runs.session]
    # Variance of the shocks that gives the process variance 1 (Yule-Walker).
    innovation = (1.0 + second) / (1.0 - second) * ((1.0 - second) ** 2 - first**2)
    shocks = rng.normal(0.0, 1.0, runs.clock.shape) * rig.flutter[runs.session] * np.sqrt(innovation)
    out = np.zeros_like(shocks)
    for row in range(2, len(out)):
        out[row] = first * out[row - 1] + second * out[row - 2] + shocks[row]
    return out


def _white(runs: Runs, rig: Rig, out: NDArray[np.bool_], rng: np.random.Generator) -> Array:
    """Draw the sensor's noise (S, L), cmH2O."""
    size = np.where(out, rig.expiratory_noise[runs.session], rig.inspiratory_noise[runs.session])
    return np.asarray(size * rng.normal(0.0, 1.0, runs.clock.shape))


def _recorded(runs: Runs, rig: Rig, pressure: Array, u_in: Array, integral: Array) -> Breaths:
    """Cut (S, L) rows into BLOCK breaths: the first 80 rows of each recorded cycle."""
    recorded = np.arange(FIRST_CYCLE, FIRST_CYCLE + KEPT)
    start = np.concatenate([np.argmax(runs.cycle >= k, axis=0) for k in recorded])
    cycles, lane = np.repeat(recorded, RUNS), np.tile(np.arange(RUNS), KEPT)
    rows = start[:, None] + np.arange(STEPS)
    tau = runs.clock[rows, lane[:, None]] - CYCLE_S * cycles[:, None]
    name = np.array(rig.sessions)[runs.session[lane]]
    return Breaths(
        session=runs.session[lane],
        r=name[:, 0],
        c=name[:, 1],
        time_step=tau - tau[:, :1],
        u_in=u_in[rows, lane[:, None]],
        u_out=(tau >= INSPIRATION_S).astype(np.int64),
        pressure=pressure[rows, lane[:, None]],
        integral=integral[rows, lane[:, None]],
        tau_0=tau[:, 0],
        mode=runs.mode[lane],
        kp=runs.kp[lane],
        ki=runs.ki[lane],
        kt=runs.kt[lane],
        late_pi=name[:, 4].astype(bool),
        bump_slope=runs.bump_slope[lane, cycles],
        bump_start=runs.bump_start[lane, cycles],
        bump_end=runs.bump_end[lane, cycles],
    )
