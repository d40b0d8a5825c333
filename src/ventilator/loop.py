"""The closed loop, row by row: a block of drawn runs becomes breaths, with everything that was hidden behind them.

The controller sees the quantised, noisy pressure that it made itself; u_in follows its law to the last bit, so a
decoder that is right on simulated breaths is right for the reason it is right on real ones. `block` is a pure function
of the seed, the block's number and the lung. Run it through `ventilator.simulator`.

Shapes: S rows of L = RUNS lanes while the loop runs, then N = BLOCK breaths of T = 80 rows.
"""

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from ventilator import controller
from ventilator.controller import CYCLE_S, INSPIRATION_S, STEPS, Array
from ventilator.draws import KEPT, RUNS, Runs
from ventilator.lung import SETTINGS, Lung, LungState

BLOCK: Final = RUNS * KEPT  # breaths that are drawn and simulated together
FIRST_CYCLE: Final = 1  # cycle 0 only brings an exploration run into motion


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
        """The breaths at the given places."""
        return type(self)(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    @classmethod
    def join(cls, parts: list[Self]) -> Self:
        """One after another."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def block(seed: int, number: int, lung: Lung) -> Breaths:
    """Block `number` of the stream: its runs, simulated, cut into breaths and shuffled."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
    runs = Runs.draw(rng)
    order = rng.permutation(BLOCK)
    return _recorded(runs, *_closed_loop(runs, lung, rng)).take(order)


def _closed_loop(runs: Runs, lung: Lung, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Pressure (cmH2O, on the grid), u_in (%) and I (cmH2O), each (S, L), of all rows of a block's runs."""
    dt = np.diff(runs.clock, axis=0, prepend=runs.clock[:1])
    tau = runs.clock - CYCLE_S * runs.cycle
    out = tau >= INSPIRATION_S
    here = np.arange(RUNS), np.minimum(runs.cycle, KEPT)
    bump = controller.bump(tau, runs.bump_slope[here], runs.bump_start[here], runs.bump_end[here])
    added = np.where(out, 0.0, bump)
    wanted, idle = controller.target(tau, runs.kt), controller.idle_command(tau)
    idling = out & ~runs.late_pi
    patient = LungState(lung.take(runs.setting))
    noise = rng.normal(0.0, 0.1, tau.shape)
    pressure, u_in, integral = (np.zeros_like(tau) for _ in range(3))
    sensed: Array = patient.sensed
    memory: Array = np.zeros(RUNS)
    for s in range(len(tau)):
        pressure[s] = controller.grid_pressure(controller.grid_index(sensed + noise[s]))
        error = wanted[s] - pressure[s]
        integral[s] = memory = controller.integral(memory, error, dt[s])
        command = controller.valve_command(error, memory, runs.kp, runs.ki, added[s])
        u_in[s] = np.where(idling[s], idle[s], command)
        if s + 1 < len(tau):
            sensed = patient.advance(u_in[s], out[s], dt[s + 1])
    return pressure, u_in, integral


def _recorded(runs: Runs, pressure: Array, u_in: Array, integral: Array) -> Breaths:
    """Cut (S, L) runs into `L * KEPT` breaths: the first 80 rows of each recorded cycle."""
    cycles = np.repeat(np.arange(FIRST_CYCLE, FIRST_CYCLE + KEPT)[:, None], RUNS, axis=1)
    start = np.stack([np.argmax(runs.cycle >= k, axis=0) for k in cycles[:, 0]]).ravel()
    cycles, lane = cycles.ravel(), np.tile(np.arange(RUNS), KEPT)
    rows = start[:, None] + np.arange(STEPS)
    tau = runs.clock[rows, lane[:, None]] - CYCLE_S * cycles[:, None]
    r, c = np.array(SETTINGS)[runs.setting[lane]].T
    return Breaths(
        r=r,
        c=c,
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
        late_pi=runs.late_pi[lane],
        bump_slope=runs.bump_slope[lane, cycles],
        bump_start=runs.bump_start[lane, cycles],
        bump_end=runs.bump_end[lane, cycles],
    )
