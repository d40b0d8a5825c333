"""The rig behind the competition: its sessions, each with a lung, a valve and a clock, and the file of their numbers.

The breaths were collected in sessions of one (R, C) each. A session ran on one of two computers (32 or 34 ms a row),
either swept the gains or explored with bumps (then every 3rd or 4th row comes 1 ms late), and either idled in late
expiration or kept its PI loop on. So the inputs alone identify a session. What differs between sessions of the same
(R, C), the valve's curve above all, is as large as what differs between lungs, and a network can learn it too.

`python -m ventilator.calibrate` makes rig.toml, which is read here.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ventilator import controller
from ventilator.controller import Array
from ventilator.lung import Lung

NUMBERS: Final = Path(__file__).with_name("rig.toml")
SLOW_CLOCK_S: Final = 0.0328  # a longer mean row is of the slow computer (31.6-32.2 against 33.4-34.5 ms)
STUTTER_S: Final = 0.0006  # a row this much longer than the breath's median is a stutter
STUTTER_SHARE: Final = 0.1  # of rows: more of them mark exploration
IDLE_SPREAD_S: Final = 1e-6  # by which late rows of an idling session may differ in their phase
LATE_FROM_S, LATE_UNTIL_S = 1.6, 2.2  # time_step of rows in the idle decay, before the logarithm loses digits


class Session(NamedTuple):
    """What identifies a session; all of it can be read from the inputs."""

    r: int  # cmH2O/(L/s)
    c: int  # mL/cmH2O
    exploration: bool
    slow: bool
    late_pi: bool


@dataclass(frozen=True, kw_only=True)
class Rig:
    """Numbers of S sessions: arrays (S,)."""

    sessions: Sequence[Session]
    lung: Lung  # of S lungs
    share: Array  # of breaths, sums to 1
    period: Array  # s, mean of a row
    period_spread: Array  # s, sd of that mean between runs
    jitter: Array  # s, sd of a row within a breath
    stutter: Array  # s by which every 3rd (slow) or 4th row is late in exploration
    start: Array  # cmH2O at rest, at the start of a run
    flutter: Array  # sd of the inflow's fluctuation as a share of the inflow
    flutter_1: Array  # its autoregression on the row before
    flutter_2: Array  # and on the one before that
    inspiratory_noise: Array  # cmH2O, sd of the sensor with the expiratory valve closed
    expiratory_noise: Array  # cmH2O, sd with the valve open
    gain_spread: float = 0.05  # sd between runs of the log of the valve's gain
    resistance_spread: float = 0.12  # the same of resistance
    compliance_spread: float = 0.06  # the same of compliance

    def __len__(self) -> int:
        return len(self.sessions)

    def save(self, path: Path = NUMBERS, note: str = "") -> None:
        """Write all numbers, four digits of each, as TOML: a table per session. note: a line on what it has seen."""
        head = f"{_HEADER}\n# {note}" if note else _HEADER
        spreads = [f"{name} = {getattr(self, name)}" for name in _scalars()]
        tables = [_table(self, k) for k in range(len(self))]
        path.write_text("\n\n".join(["\n".join([head, *spreads]), *tables]) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path = NUMBERS) -> Self:
        """Read the rig from a file that `save` wrote; the committed one by default."""
        numbers = tomllib.loads(path.read_text(encoding="utf-8"))
        tables: list[dict[str, Any]] = numbers["session"]
        sessions = [Session(*(table[name] for name in Session._fields)) for table in tables]
        lungs = [{"leak": 0.0} | table["lung"] for table in tables]  # older files know of no leak
        lung = Lung(**{field.name: np.array([one[field.name] for one in lungs]) for field in fields(Lung)})
        arrays: dict[str, Any] = {name: np.array([table[name] for table in tables]) for name in _arrays()}
        return cls(sessions=sessions, lung=lung, **arrays, **{name: numbers[name] for name in _scalars()})


_HEADER = """# The sessions behind the breaths, written by `python -m ventilator.calibrate` for ventilator.rig.
# Units s, cmH2O, L; the fields are those of Rig and Lung."""


def sessions_of(r: NDArray[np.int64], c: NDArray[np.int64], time_step: Array, u_in: Array) -> list[Session]:
    """Find the session of each of N breaths: r, c (N,), time_step (s) and u_in (%) (N, 80)."""
    dt = np.diff(time_step, axis=1)
    late = dt > np.median(dt, axis=1, keepdims=True) + STUTTER_S
    exploration = late.mean(axis=1) > STUTTER_SHARE
    slow = dt.mean(axis=1) > SLOW_CLOCK_S
    late_pi = np.isnan(phases(time_step, u_in))
    columns = (part.tolist() for part in (r, c, exploration, slow, late_pi))
    return [Session(*row) for row in zip(*columns, strict=True)]


def phases(time_step: Array, u_in: Array) -> Array:
    """Compute tau_0 (N,), s, from the late rows of N breaths, nan where these do not idle; both arguments (N, 80)."""
    late = (time_step > LATE_FROM_S) & (time_step < LATE_UNTIL_S)
    # A loop that runs on may reach PEEP, where the logarithm of `phase` is infinite.
    idle = np.clip(u_in, 0.0, controller.PEEP * (1.0 - 1e-9))
    tau_0 = np.where(late, controller.phase(time_step, idle), np.nan)
    spread = np.nanmax(tau_0, axis=1) - np.nanmin(tau_0, axis=1)
    return np.where(spread < IDLE_SPREAD_S, np.nanmedian(tau_0, axis=1), np.nan)


def _scalars() -> list[str]:
    return [field.name for field in fields(Rig) if field.type is float]


def _arrays() -> list[str]:
    return [field.name for field in fields(Rig) if field.type is Array]


def _table(rig: Rig, k: int) -> str:
    """Write session k as TOML."""
    lines = ["[[session]]"]
    lines += [f"{name} = {str(value).lower()}" for name, value in rig.sessions[k]._asdict().items()]
    lines += [f"{name} = {_digits(getattr(rig, name)[k])}" for name in _arrays()]
    lines += ["[session.lung]"]
    lines += [f"{field.name} = {_digits(getattr(rig.lung, field.name)[k])}" for field in fields(Lung)]
    return "\n".join(lines)


def _digits(value: float | Array) -> str:
    """Print a number, or a list of numbers, with four significant digits."""
    if np.ndim(value):
        return "[" + ", ".join(_digits(float(part)) for part in np.asarray(value)) + "]"
    return repr(float(f"{float(value):.4g}"))
