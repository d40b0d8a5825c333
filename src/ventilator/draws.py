"""What is drawn before a breath is simulated: who is ventilated, under which gains and target, when, with which bump.

The collector worked in runs: one lung, one pair of gains, one target, one computer's clock, several 3 s cycles without
a stop. `RUNS` of them are drawn at a time, each with `KEPT` recorded breaths. All shares and ranges are those measured
on the competition's breaths; `benchmarks/simulate.py` prints them beside the simulated ones.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ventilator import controller
from ventilator.controller import Array
from ventilator.lung import SETTINGS

RUNS: Final = 1024  # lanes of a block
KEPT: Final = 3  # breaths recorded per run: real sweep runs had three, by their share of breaths that begin at I = 0
SWEEP, EXPLORATION, OPEN_LOOP = 0, 1, 2
MODE_SHARES: Final = (0.575, 0.41, 0.015)
SETTING_SHARES: Final = (0.110, 0.109, 0.111, 0.082, 0.085, 0.106, 0.182, 0.109, 0.107)  # in the order of lung.SETTINGS
LATE_PI_SHARE: Final = 0.07  # of runs: the PI loop goes on in expiration
FAST_CLOCK_SHARE: Final = 0.41  # of two computers, with 31.9 and 34.0 ms a row

EARLIEST_S: Final = 1.8  # clock at which an exploration run is joined
SHORTEST_S: Final = 0.0312  # between two rows


@dataclass(frozen=True)
class Runs:
    """`RUNS` drawn runs: arrays (L,) unless told otherwise; gains in %/cmH2O, times in s, pressures in cmH2O."""

    setting: NDArray[np.int64]  # row of lung.SETTINGS
    mode: NDArray[np.int64]  # SWEEP, EXPLORATION or OPEN_LOOP
    kp: Array
    ki: Array
    kt: Array
    late_pi: NDArray[np.bool_]
    clock: Array  # (S, L) time of every row since the first cycle began
    cycle: NDArray[np.int64]  # (S, L) number of the cycle it belongs to, 0 only before the first recorded one
    bump_slope: Array  # (L, KEPT + 1) %/s; column k belongs to cycle k
    bump_start: Array  # (L, KEPT + 1) s, -inf for a start ramp
    bump_end: Array  # (L, KEPT + 1) s

    @classmethod
    def draw(cls, rng: Generator) -> Self:
        """One block of runs."""
        setting = rng.choice(len(SETTINGS), size=RUNS, p=np.array(SETTING_SHARES) / sum(SETTING_SHARES))
        mode = rng.choice(3, size=RUNS, p=MODE_SHARES)
        kp, ki = _gains(rng, setting, mode)
        kt = rng.choice(controller.KT_TARGETS, size=RUNS)
        late_pi = rng.random(RUNS) < LATE_PI_SHARE
        clock = _clock(rng, mode)
        cycle = (clock // controller.CYCLE_S).astype(np.int64)
        return cls(setting, mode, kp, ki, kt, late_pi, clock, cycle, *_bumps(rng, mode))


def _gains(rng: Generator, setting: NDArray[np.int64], mode: NDArray[np.int64]) -> tuple[Array, Array]:
    """Any pair of the grid in a sweep, the setting's own pair in exploration, none in open loop: (L,) kp and ki."""
    kp, ki = rng.choice(controller.KP_GAINS, size=RUNS), rng.choice(controller.KI_GAINS, size=RUNS)
    own = np.array([controller.EXPLORATION_GAINS[pair] for pair in SETTINGS])[setting]
    kp, ki = (np.where(mode == EXPLORATION, own[:, k], gain) for k, gain in enumerate((kp, ki)))
    return np.where(mode == OPEN_LOOP, 0.0, kp), np.where(mode == OPEN_LOOP, 0.0, ki)


def _clock(rng: Generator, mode: NDArray[np.int64]) -> Array:
    """(S, L) times of all rows on the 2^-22 s lattice.

    A sweep starts its first cycle 1.5 to 3 ms late; an exploration run, far longer in reality, is joined in expiration.
    """
    fast = rng.random(RUNS) < FAST_CLOCK_SHARE
    period = np.where(fast, rng.normal(0.0319, 0.00017, RUNS), rng.normal(0.0340, 0.00033, RUNS))
    warm = KEPT * controller.CYCLE_S - EARLIEST_S  # from the first row of a run to the last recorded cycle
    steps = int(warm / SHORTEST_S) + 2 + controller.STEPS
    jitter = rng.normal(0.0, 1.0, (steps, RUNS)) * np.where(fast, 0.00005, 0.00015)
    dt = np.clip(period + jitter, SHORTEST_S, 0.041)
    start = np.where(
        mode == SWEEP, controller.CYCLE_S + 0.0015 + rng.exponential(0.0005, RUNS), rng.uniform(EARLIEST_S, 2.8, RUNS)
    )
    dt[0] = start
    return np.asarray(controller.ticks(np.cumsum(dt, axis=0)) * controller.TICK_S)


def _bumps(rng: Generator, mode: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    """Slope, start and end, each (L, KEPT + 1), of the bump of every cycle; slope 0 where there is none."""
    shape = (RUNS, KEPT + 1)
    width, height = rng.uniform(0.1, 0.5, shape), rng.uniform(-30.0, 60.0, shape)
    start = rng.uniform(0.0, 1.0, shape) * (1.0 - width)
    ramp = rng.random(shape) < 0.15
    ramp_end, ramp_height = rng.uniform(0.05, 1.3, shape), rng.uniform(20.0, 100.0, shape)
    slope = np.where(ramp, ramp_height / ramp_end, 2.0 * height / width)
    slope = np.where((mode == SWEEP)[:, None], 0.0, slope)
    return slope, np.where(ramp, -np.inf, start), np.where(ramp, ramp_end, start + width)
