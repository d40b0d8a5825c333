"""Draw what breaths are simulated from: session, gains, target, clock and bump.

The collector worked in runs: one session of the rig, one pair of gains, one target, several 3 s cycles without a stop.
`RUNS` of them are drawn at a time, each with `KEPT` recorded breaths. Shares and ranges are those measured on the
competition's breaths; `benchmarks/simulate.py` prints them beside the simulated ones.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ventilator import controller
from ventilator.controller import CYCLE_S, Array
from ventilator.rig import Rig

RUNS: Final = 2048  # lanes of a block; part of the stream: another number gives other breaths for the same seed
KEPT: Final = 3  # breaths recorded per run; a third of the real sweeps' breaths begin with I = 0, as a run's first does
SWEEP, EXPLORATION, OPEN_LOOP = 0, 1, 2
OPEN_LOOP_SHARE: Final = 0.03  # of exploration runs: the bump alone drives the valve
EARLIEST_S, LATEST_S = 1.8, 2.8  # clock between which an exploration run, in reality far longer, is joined
STIFFEST_R, STIFFEST_SCALE = 50, 0.75  # at this R (cmH2O/(L/s)) bumps were lower, by this factor
SHORTEST_S: Final = 0.0312  # between two rows
HICCUP_SHARE, HICCUP_S = 0.001, 0.002  # share of rows that come late; s, mean delay of these
FIRST_LATE_S: Final = 0.0015  # the first row of a run comes that much after the clock's zero,
FIRST_LATE_MORE_S, FIRST_LATE_MOST_S = 0.0005, 0.002  # and this much more: mean of an exponential, and its bound
STUTTER_CYCLE: Final = 12  # rows; a common multiple of both computers' stutter periods, 3 and 4


@dataclass(frozen=True, kw_only=True)
class Runs:
    """`RUNS` drawn runs: arrays (L,) unless noted; S rows of all cycles, columns of bumps by cycle."""

    session: NDArray[np.int64]  # place in the rig
    mode: NDArray[np.int64]  # SWEEP, EXPLORATION or OPEN_LOOP
    kp: Array  # %/cmH2O
    ki: Array  # %/cmH2O
    kt: Array  # cmH2O
    clock: Array  # (S, L) s, time of every row since the first cycle began
    cycle: NDArray[np.int64]  # (S, L) number of the cycle it belongs to; 0 only before the first recorded one
    bump_slope: Array  # (L, KEPT + 1) %/s; 0: no bump
    bump_start: Array  # (L, KEPT + 1) s of tau, -inf for a start ramp
    bump_end: Array  # (L, KEPT + 1) s of tau

    @classmethod
    def draw(cls, rng: Generator, rig: Rig) -> Self:
        """Draw one block of runs."""
        session = rng.choice(len(rig), size=RUNS, p=rig.share / rig.share.sum())
        exploring = np.array([name.exploration for name in rig.sessions])[session]
        open_loop = exploring & (rng.random(RUNS) < OPEN_LOOP_SHARE)
        mode = np.where(open_loop, OPEN_LOOP, np.where(exploring, EXPLORATION, SWEEP))
        kp, ki = _gains(rng, rig, session, mode)
        clock = _clock(rng, rig, session, mode)
        slope, start, end = _bumps(rng, mode, np.array([name.r for name in rig.sessions])[session])
        return cls(
            session=session,
            mode=mode,
            kp=kp,
            ki=ki,
            kt=rng.choice(controller.KT_TARGETS, size=RUNS),
            clock=clock,
            cycle=(clock // CYCLE_S).astype(np.int64),
            bump_slope=slope,
            bump_start=start,
            bump_end=end,
        )


def _gains(rng: Generator, rig: Rig, session: NDArray[np.int64], mode: NDArray[np.int64]) -> tuple[Array, Array]:
    """Draw kp and ki (L,): any of the grid in a sweep, the setting's own in exploration, none in open loop."""
    swept = rng.choice(controller.KP_GAINS, size=RUNS), rng.choice(controller.KI_GAINS, size=RUNS)
    own = np.array([controller.EXPLORATION_GAINS[name.r, name.c] for name in rig.sessions])[session].T
    kp, ki = (np.where(mode == EXPLORATION, fixed, free) for fixed, free in zip(own, swept, strict=True))
    return np.where(mode == OPEN_LOOP, 0.0, kp), np.where(mode == OPEN_LOOP, 0.0, ki)


def _clock(rng: Generator, rig: Rig, session: NDArray[np.int64], mode: NDArray[np.int64]) -> Array:
    """Draw times (S, L), s, of all rows, on the 2^-22 s lattice. A sweep skips cycle 0."""
    warm = KEPT * CYCLE_S - EARLIEST_S  # from the earliest first row to the last recorded cycle
    steps = int(warm / SHORTEST_S) + 2 + controller.STEPS  # enough even if every row were the shortest
    period = rng.normal(rig.period[session], rig.period_spread[session])
    every = np.where([name.slow for name in rig.sessions], 3, 4)[session]
    stutters = (np.arange(steps)[:, None] + rng.integers(0, STUTTER_CYCLE, RUNS)) % every == 0
    dt = rng.normal(period, rig.jitter[session], (steps, RUNS)) + stutters * rig.stutter[session]
    dt += (rng.random(dt.shape) < HICCUP_SHARE) * rng.exponential(HICCUP_S, dt.shape)
    late = np.minimum(rng.exponential(FIRST_LATE_MORE_S, RUNS), FIRST_LATE_MOST_S)
    dt[0] = np.where(mode == SWEEP, CYCLE_S + FIRST_LATE_S + late, rng.uniform(EARLIEST_S, LATEST_S, RUNS))
    time = np.cumsum(np.maximum(dt, SHORTEST_S), axis=0)
    return np.asarray(controller.ticks(time) * controller.TICK_S)


def _bumps(rng: Generator, mode: NDArray[np.int64], r: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    """Draw slope (%/s), start and end (s), each (L, KEPT + 1), of the bump of every cycle; slope 0 in a sweep."""
    shape = (RUNS, KEPT + 1)
    scale = np.where(r == STIFFEST_R, STIFFEST_SCALE, 1.0)[:, None]
    width, height = rng.uniform(0.1, 0.5, shape), scale * rng.normal(3.0, 20.0, shape)  # s, %; as on real breaths
    start = rng.uniform(0.0, 1.0, shape) * (1.0 - width)
    ramp, long = rng.random(shape) < 0.15, rng.random(shape) < 0.6  # shares and ranges (s, %) as on real breaths
    ramp_end = np.where(long, rng.uniform(0.3, 1.35, shape), rng.uniform(0.05, 0.3, shape))
    ramp_slope = scale * rng.uniform(20.0, 100.0, shape) / ramp_end
    slope = np.where(ramp, ramp_slope, 2.0 * height / width)
    slope = np.where((mode == SWEEP)[:, None], 0.0, slope)
    return slope, np.where(ramp, -np.inf, start), np.where(ramp, ramp_end, start + width)
