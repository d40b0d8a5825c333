"""The inspirations of N breaths as rectangular arrays, what of their pressures is known, and their free runs.

Rows are those with u_out = 0, T of them in the longest breath; shorter ones are padded with closed valves.
"""

from dataclasses import dataclass, fields, replace
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ventilator.controller import GRID_SIZE, Array, grid_pressure
from ventilator.estimation.parameters import CURVE, EFFECTS, LONGEST_DELAY_S, NAMES, PLACE, SIGNED, P
from ventilator.lung import Lung, State, advance, resistive, resting, supply
from ventilator.measure import FIRST_PHASE_S, Recorded
from ventilator.rig import phases

SATURATED: Final = float(grid_pressure(GRID_SIZE - 1)) - 1e-6  # cmH2O from which a reading may stand for any above it
PADDED_DT_S: Final = 0.033
STEP: Final = 1e-4  # of a finite difference, in the units of the vector
START_PLACES: Final = (PLACE["start"], PLACE["first_start"])  # of which a breath has one
LANES: Final = 1 << 14  # lungs run at a time, so that their arrays stay in the processor's cache


@dataclass(frozen=True, kw_only=True)
class Inspirations:
    """N breaths of at most T rows of inspiration."""

    dt: Array  # (N, T) s since the row before; row 0 and padding PADDED_DT_S
    u_in: Array  # (N, T) %
    there: NDArray[np.bool_]  # (N, T) whether a row is no padding
    known: Array  # (N, T) cmH2O, nan where unknown, saturated or padded
    first: NDArray[np.bool_]  # (N,) whether a breath is a run's first: it starts at another pressure

    @classmethod
    def of(cls, breaths: Recorded, known: Array) -> Self:
        """Cut N breaths of 80 rows; `known` (N, 80), cmH2O, is nan where unknown."""
        size = (breaths.u_out == 0).sum(axis=1)
        rows = max(int(size.max(initial=1)), 1)
        there = np.arange(rows) < size[:, None]
        dt = np.diff(breaths.time_step[:, :rows], axis=1, prepend=breaths.time_step[:, :1] - PADDED_DT_S)
        pressure = np.where(there & (known[:, :rows] < SATURATED), known[:, :rows], np.nan)
        tau_0 = phases(breaths.time_step, breaths.u_in)
        low, high = FIRST_PHASE_S
        return cls(
            dt=np.where(there, dt, PADDED_DT_S),
            u_in=np.where(there, breaths.u_in[:, :rows], 0.0),
            there=there,
            known=pressure,
            first=(tau_0 > low) & (tau_0 < high),
        )

    def __len__(self) -> int:
        return len(self.dt)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        """Return the breaths at the given places."""
        return type(self)(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


class Run(NamedTuple):
    """What N lungs do without looking at a pressure: arrays (N, T)."""

    pressure: Array  # cmH2O
    flow: Array  # L/s through the valve into the lung
    drop: Array  # cmH2O that this flow costs in the airway
    volume: Array  # L above that at rest


def free_run(vectors: Array, effects: Array, breaths: Inspirations) -> Run:
    """Run N lungs through N inspirations; vectors (N, P) of their sessions, effects (N, 5) of the breaths."""
    parts = [
        _run(vectors[s], effects[s], breaths.take(np.arange(len(breaths))[s]))
        for s in (slice(k, k + LANES) for k in range(0, max(len(breaths), 1), LANES))
    ]
    return Run(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def lungs_of(vectors: Array, effects: Array) -> Lung:
    """Build N lungs from vectors (N, P) and effects (N, 5)."""
    gain, resistance, compliance = effects[:, 0], effects[:, 1], effects[:, 2]
    raw = {name: vectors[:, PLACE[name]] for name in NAMES[: CURVE.start]}
    raw["resistance"] = raw["resistance"] + resistance
    raw["turbulence"] = raw["turbulence"] + resistance
    raw["compliance"] = raw["compliance"] + compliance
    values = {name: value if name in SIGNED else np.exp(value) for name, value in raw.items()}
    values["delay"] = LONGEST_DELAY_S / (1.0 + np.exp(-raw["delay"]))
    curve = np.exp(vectors[:, CURVE] + gain[:, None])
    return Lung(**{field.name: curve if field.name == "curve" else values[field.name] for field in fields(Lung)})


def _run(vectors: Array, effects: Array, breaths: Inspirations) -> Run:
    lung = lungs_of(vectors, effects)
    lung = replace(lung, curve=np.asfortranarray(lung.curve))  # supply reads it column by column
    start = np.where(breaths.first, vectors[:, PLACE["first_start"]], vectors[:, PLACE["start"]]) + effects[:, 3]
    state = resting(lung, start)
    state = state._replace(volume=state.volume + effects[:, 4] * lung.compliance)
    flow, dt, closed = supply(lung, breaths.u_in.T), breaths.dt.T, np.zeros(len(start))
    seen = [_seen(lung, state)]
    for row in range(1, len(dt)):
        state = advance(lung, state, flow[row - 1], closed, dt[row], np)
        seen.append(_seen(lung, state))
    return Run(*(np.stack(arrays, axis=1) for arrays in zip(*seen, strict=True)))


def _seen(lung: Lung, state: State) -> tuple[Array, Array, Array, Array]:
    # While the outlet is open, the inflow leaves through it and does not pass the lung's resistance.
    flow = state.flow * (1.0 - state.opened)
    return state.sensed, flow, resistive(lung, flow), state.volume


def derivatives(vectors: Array, effects: Array, breaths: Inspirations, *, by_vector: bool) -> tuple[Run, Array, Array]:
    """Run N lungs and differentiate their pressures by finite differences.

    Returns:
        The run, the derivative of its pressures by the effects (N, T, 5), and by the vectors (N, T, P) if `by_vector`,
        else (N, T, 0).
    """
    n, own = len(breaths), len(EFFECTS)
    moved = [k for k in range(P) if k not in START_PLACES] if by_vector else []
    lanes = 1 + own + len(moved)
    all_vectors, all_effects = np.tile(vectors, (lanes, 1, 1)), np.tile(effects, (lanes, 1, 1))
    for k in range(own):
        all_effects[1 + k, :, k] += STEP
    for lane, k in enumerate(moved, 1 + own):
        all_vectors[lane, :, k] += STEP
    repeated = breaths.take(np.tile(np.arange(n), lanes))
    run = free_run(all_vectors.reshape(-1, P), all_effects.reshape(-1, own), repeated)
    shaped = Run(*(array.reshape(lanes, n, breaths.dt.shape[1]) for array in run))
    base = Run(*(array[0] for array in shaped))
    slopes = np.moveaxis((shaped.pressure[1:] - base.pressure) / STEP, 0, -1)
    by_effect = slopes[:, :, :own]
    if not by_vector:
        return base, by_effect, slopes[:, :, own:]
    whole = np.zeros((*base.pressure.shape, P))
    whole[:, :, moved] = slopes[:, :, own:]
    for place, kind in zip(START_PLACES, (~breaths.first, breaths.first), strict=True):
        whole[:, :, place] = by_effect[:, :, EFFECTS.index("start")] * kind[:, None]
    return base, by_effect, whole
