"""A lung as one vector of P numbers, most of them logarithms: names, first guess and prior spread of each.

A session's vector is drawn around that of all sessions: common to all, to those of its R and of its C, and its own
part. Each level's spreads stand in the table below; the valve's slopes are drawn together, as a gain and a
smooth curve in the logarithm of u_in. A breath differs from its session by five effects (`EFFECTS`).
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ventilator.controller import C_VALUES, R_VALUES, Array
from ventilator.lung import KNOTS

SLOPES: Final = len(KNOTS) - 1
LONGEST_DELAY_S: Final = 0.03  # below the shortest row (31.2 ms): lung.advance splits a row at the delay


class Parameter(NamedTuple):
    """One number of the vector, and the sd by which it varies at each level (log where the value is positive)."""

    name: str
    guess: tuple[float, ...]  # one value, or one for each R, or for each C
    everywhere: float
    r: float = 0.0
    c: float = 0.0
    session: float = 0.0


# Guesses are the numbers that `ventilator.calibrate` begins with; positive parameters are logarithms.
PARAMETERS: Final = (
    Parameter("resistance", (3.5, 9.0, 26.0), 0.3, r=0.3, session=0.10),
    Parameter("turbulence", (2.2, 9.6, 17.0), 0.5, r=0.5, session=0.15),
    Parameter("compliance", (0.0095, 0.022, 0.044), 0.3, c=0.3, session=0.07),
    Parameter("stiffening", (0.0,), 0.15, c=0.15, session=0.05),
    Parameter("leak", (0.0008,), 0.7, session=0.3),
    Parameter("valve_lag", (0.015,), 0.7, session=0.3),
    Parameter("tube", (0.0004,), 0.7, session=0.2),
    Parameter("delay", (0.0,), 1.0, session=0.5),
    Parameter("outlet", (0.1,), 0.3, session=0.15),
    Parameter("outlet_lag", (0.02,), 0.5, session=0.2),
    Parameter("sensor_lag", (0.012,), 0.7, session=0.2),
    Parameter("peep", (5.0,), 0.3, session=0.2),
    Parameter("start", (6.2,), 0.5, session=0.3),  # cmH2O at row 0
    Parameter("first_start", (4.3,), 0.5, session=0.4),  # cmH2O at row 0 of a run's first breath
)
SIGNED: Final = ("stiffening", "delay", "peep", "start", "first_start")
STARTS: Final = ("peep", "start", "first_start")  # what depends on how a session was run, not on the device
FIRST_CURVE: Final = (16, 17, 23, 23, 18, 19, 15, 13, 12, 9, 8, 7, 7)  # mL/s per %, between lung.KNOTS
NAMES: Final = (*(p.name for p in PARAMETERS), *(f"slope_{k}" for k in range(SLOPES)))
P: Final = len(NAMES)
PLACE: Final = {name: k for k, name in enumerate(NAMES)}
CURVE: Final = slice(len(PARAMETERS), P)
SHAPE_LENGTH: Final = 0.8  # in log(1 + u_in): slopes nearer than that bend together
EVERYWHERE_GAIN, EVERYWHERE_SHAPE = 0.5, 0.4  # sd of the log of the whole curve common to all, and of a slope about it
SESSION_SPREADS: Final = np.array([p.session for p in PARAMETERS] + [0.1] * SLOPES)  # (P,)
EFFECTS: Final = ("gain", "resistance", "compliance", "start", "volume")  # of a breath


@dataclass(frozen=True, kw_only=True)
class Prior:
    """How much sessions differ: the spreads that one can argue about."""

    session: float = 1.0  # factor on the spreads of PARAMETERS between sessions, those of STARTS left out
    gain: float = 0.12  # sd between sessions of the log of the valve's whole curve
    shape: float = 0.10  # the same of a slope about that


def means(r: NDArray[np.int64], c: NDArray[np.int64]) -> Array:
    """Return the prior means (S, P) of sessions of R and C (S,)."""
    out = np.empty((len(r), P))
    for k, parameter in enumerate(PARAMETERS):
        values = np.array(parameter.guess)
        values = values if parameter.name in SIGNED else np.log(values)
        group = np.searchsorted(R_VALUES, r) if parameter.r else np.searchsorted(C_VALUES, c)
        out[:, k] = values[group] if len(values) > 1 else values[0]
    out[:, CURVE] = np.log(np.array(FIRST_CURVE) / 1000.0)
    return out


def covariance(prior: Prior, r: NDArray[np.int64], c: NDArray[np.int64]) -> Array:
    """Return the prior covariance (S * P, S * P) of the vectors of sessions of R and C (S,)."""
    count = len(r)
    total = np.zeros((count, P, count, P))
    for level, alike in {
        "everywhere": np.ones((count, count)),
        "r": r[:, None] == r,
        "c": c[:, None] == c,
        "session": np.eye(count),
    }.items():
        total += np.asarray(alike, dtype=np.float64)[:, None, :, None] * _spread(prior, level)[None, :, None, :]
    return total.reshape(count * P, count * P)


def _spread(prior: Prior, level: str) -> Array:
    """Return the covariance (P, P) of what one level adds to a vector."""
    scale = prior.session if level == "session" else 1.0
    spread = np.zeros((P, P))
    for k, parameter in enumerate(PARAMETERS):
        spread[k, k] = ((1.0 if parameter.name in STARTS else scale) * getattr(parameter, level)) ** 2
    gain, shape = {"everywhere": (EVERYWHERE_GAIN, EVERYWHERE_SHAPE), "session": (prior.gain, prior.shape)}.get(
        level, (0.0, 0.0)
    )
    spread[CURVE, CURVE] = gain**2 + shape**2 * shape_correlation()
    return spread


def shape_correlation() -> Array:
    """Compute the correlation (13, 13) of the log slopes of the valve's curve."""
    middle = np.log1p((np.array(KNOTS[1:]) + np.array(KNOTS[:-1])) / 2.0)
    return np.asarray(np.exp(-np.abs(middle[:, None] - middle) / SHAPE_LENGTH))
