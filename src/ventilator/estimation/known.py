"""What is known of N breaths before any estimate: the decoder's exact rows, and the controller it found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, NamedTuple, Self, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ventilator import decoder
from ventilator.controller import EXPLORATION_GAINS, STEPS, Array, grid_pressure
from ventilator.decoder import DecoderState, OpenGaps
from ventilator.measure import Recorded

PER_BREATH: Final = ("kp", "ki", "kt", "tau_0")


@dataclass(frozen=True, kw_only=True)
class Known:
    """Arrays of N breaths of 80 rows; nan where nothing is known."""

    pressure: Array  # (N, 80) cmH2O of exact rows
    integral: Array  # (N, 80) cmH2O, I of the controller
    bump: Array  # (N, 80) %, added to u_in
    clip: NDArray[np.int64]  # (N, 80) -1: PI <= 0, 1: PI >= 100 (see DecoderState), 0: neither
    kind: NDArray[np.int64]  # (N, 80) index into the decoder's records.KINDS; 0: not exact
    kp: Array  # (N,) %/cmH2O
    ki: Array  # (N,) %/cmH2O
    kt: Array  # (N,) cmH2O
    tau_0: Array  # (N,) s

    @classmethod
    def of(cls, state: DecoderState, order: NDArray[np.int64]) -> Self:
        """Shape a decoder's state into breaths; `order` (N * 80,) leads from breaths' rows to the frame's."""
        values = {field.name: getattr(state, field.name)[order].reshape(-1, STEPS) for field in fields(DecoderState)}
        exact = values["kind"] > 0
        values["integral"] = np.where(values["ki"] == 0.0, np.nan, values["integral"])  # which would have no effect
        rows = {name: values[name] for name in ("integral", "bump", "clip", "kind")}
        breaths = {name: values[name][:, 0] for name in PER_BREATH}
        return cls(pressure=np.where(exact, grid_pressure(values["grid"]), np.nan), **rows, **breaths)

    @classmethod
    def pressures(cls, pressure: Array) -> Self:
        """Take pressures (N, 80) alone, nan where unknown: nothing else of the breaths is known."""
        nothing, each = np.full(pressure.shape, np.nan), np.full(len(pressure), np.nan)
        none = np.zeros(pressure.shape, np.int64)
        rows = {"integral": nothing, "bump": nothing, "clip": none, "kind": none}
        return cls(pressure=pressure, **rows, kp=each, ki=each, kt=each, tau_0=each)

    def __len__(self) -> int:
        return len(self.pressure)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        """Return the breaths at the given places."""
        return type(self)(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def hide(self, rows: NDArray[np.bool_]) -> Self:
        """Forget exact rows (N, 80): their pressure and the integral there. The controller stays known."""
        return replace(
            self,
            pressure=np.where(rows, np.nan, self.pressure),
            integral=np.where(rows, np.nan, self.integral),
            kind=np.where(rows, 0, self.kind),
        )

    def forget(self, breaths: NDArray[np.bool_]) -> Self:
        """Forget all that is known of some breaths (N,), their controller, too."""
        nothing = {name: np.where(breaths, np.nan, getattr(self, name)) for name in PER_BREATH}
        bump = np.where(breaths[:, None], np.nan, self.bump)
        clip = np.where(breaths[:, None], 0, self.clip)
        whole = np.broadcast_to(breaths[:, None], self.pressure.shape)
        return replace(self.hide(whole), bump=bump, clip=clip, **nothing)

    def explores(self, breaths: Recorded) -> NDArray[np.bool_]:
        """Return (N,) whether the gains are those with bumps, of the breath's R and C."""
        pairs = zip(breaths.r.tolist(), breaths.c.tolist(), strict=True)
        own = np.array([EXPLORATION_GAINS.get(pair, (-1.0, -1.0)) for pair in pairs]).reshape(-1, 2)
        return np.asarray((self.kp == own[:, 0]) & (self.ki == own[:, 1]))


Part = TypeVar("Part", Recorded, Known)


class DecodedBreaths(NamedTuple):
    """What is decoded of a frame's N breaths, whose rows are 80 each."""

    breaths: Recorded
    known: Known
    places: NDArray[np.int64]  # (N, 80) place in the frame of each row
    gaps: OpenGaps  # equations that are left without a solution

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all as arrays by name, which can be stored; `of_arrays` reads them."""
        arrays = {"places": self.places}
        for name, part in (("breaths", self.breaths), ("known", self.known), ("gaps", self.gaps)):
            arrays |= {f"{name}.{field.name}": getattr(part, field.name) for field in fields(part)}
        return arrays

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `to_arrays` returned."""

        def part(kind: type[Any], name: str) -> Any:
            return kind(**{field.name: arrays[f"{name}.{field.name}"] for field in fields(kind)})

        return cls(part(Recorded, "breaths"), part(Known, "known"), arrays["places"], part(OpenGaps, "gaps"))


def joined_arrays(parts: Sequence[Part]) -> Part:
    """Put breaths, or what is known of them, behind each other."""
    kind = type(parts[0])
    names = [field.name for field in fields(kind)]
    return kind(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def decoded(frame: pl.DataFrame) -> tuple[Recorded, Known, NDArray[np.int64]]:
    """Decode a frame of the competition's columns, whose breaths have 80 rows.

    Returns:
        Its N breaths, what is known of them, and the place in the frame of each of their rows (N, 80).

    Raises:
        ValueError: if a column is missing, or a breath has not 80 rows.
    """
    return decoded_with_gaps(frame)[:3]


def decoded_with_gaps(frame: pl.DataFrame, progress: Callable[[int], None] | None = None) -> DecodedBreaths:
    """Decode a frame and return what `decoded` does, and the equations that are left without a solution.

    progress: called with the number of breaths done so far.
    """
    breaths = Recorded.of(frame)
    order = (
        frame.select("breath_id", "time_step")
        .with_row_index("place")
        .sort("breath_id", "time_step", maintain_order=True)["place"]
        .to_numpy()
        .astype(np.int64)
    )
    state, gaps = decoder.state_and_gaps(frame, progress=progress)
    return DecodedBreaths(breaths, Known.of(state, order), order.reshape(-1, STEPS), gaps)
