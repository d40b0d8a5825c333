"""An estimator of the rows that the decoder leaves open, as the engine calls it: flat arrays of a frame's R rows.

    rows = prepared(frame)                           # decoded once: arrays that can be stored
    lungs = fitted([(rows, pressures), ...])         # (R,) cmH2O, what is known: exact(rows), or labels
    found = estimated(rows, lungs)                   # mean, sd and channels of every row
    ranked(rows, found.mean, found.sd)               # pressures of gaps with one grid solution inside that estimate

    write_matched(folder, breaths=20_000, seed=0)    # simulated series: `embedded_lungs()` leave of them what lungs
                                                     # fitted to real ones leave of those

Rows of expiration count in no score: they hold the last estimate of their breath, their channels are 0.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ventilator import controller, estimation, lung, measure, rig, simulator
from ventilator.controller import STEPS, Array
from ventilator.decoder.records import KINDS
from ventilator.estimation import (
    CHANNELS,
    SessionLungs,
    decoded_with_gaps,
    embedded,
    fit_lungs,
    fit_spread,
    matched,
    smooth,
)
from ventilator.estimation.frame_estimation import checked
from ventilator.estimation.known import DecodedBreaths, Known, joined_arrays
from ventilator.estimation.lungs import places as places_of
from ventilator.measure import Recorded
from ventilator.rig import Rig

Rows = Mapping[str, NDArray[Any]]
PLACES: Final = "places"  # (N, 80) row of the frame of each breath's rows
# Of ventilator/estimation: what makes files and lungs, and settles gaps; no estimate here changes with it.
ELSEWHERE: Final = (
    "__init__.py",
    "embed.py",
    "embed_spread.py",
    "file_estimation.py",
    "frame_estimation.py",
    "matched.py",
    "ranked.py",
)
# Of ventilator/estimation: what makes matched breaths.
MATCHED: Final = ("inspirations.py", "lungs.json", "lungs.py", "matched.py", "parameters.py", "rig.toml")
GAP: Final = 5  # from one exact row to the next, so many steps and fewer are a short gap


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What is estimated of R rows."""

    mean: Array  # (R,) cmH2O; exact where the row is
    sd: Array  # (R,) cmH2O; 0 where the row is exact
    exact: NDArray[np.bool_]  # (R,)
    channels: NDArray[np.float32]  # (R, C)


def sources() -> list[Path]:
    """List the files whose text estimates depend on, the decoder's aside."""
    folder = Path(str(estimation.__file__)).parent
    own = (Path(__file__), *(Path(str(module.__file__)) for module in (controller, lung, measure, rig)))
    texts = sorted(path for path in folder.iterdir() if path.suffix in (".py", ".json"))
    return [*own, *(path for path in texts if path.name not in ELSEWHERE)]


def names() -> tuple[str, ...]:
    """Return the names of the channels, (C,)."""
    return CHANNELS


def prepared(frame: pl.DataFrame, progress: Callable[[int], None] | None = None) -> dict[str, NDArray[Any]]:
    """Decode a frame of the competition's columns; a column `pressure` is not looked at.

    progress: called with the number of breaths done so far.

    Raises:
        ValueError: it is not of the competition's shape, or of another rig.
    """
    checked(frame)
    frame = frame.drop("pressure", strict=False)
    breaths = Recorded.of(frame)
    places_of((), breaths)  # refuses settings of R and C that no lung is known for
    return decoded_with_gaps(frame, progress).to_arrays()


def exact(rows: Rows) -> Array:
    """Return the exact pressures (R,), cmH2O; nan elsewhere."""
    return _flat(rows["known.pressure"], rows)


def decoded(rows: Rows) -> pl.DataFrame:
    """Return the exact rows as `decoder.decode` does; their ids are the numbers of the frame's rows."""
    kind, places = rows["known.kind"].ravel(), rows[PLACES].ravel()
    order = np.argsort(places)
    chosen = order[kind[order] > 0]  # in the frame's order
    controller_of = {name: np.repeat(rows[f"known.{name}"], STEPS)[chosen] for name in ("kp", "ki", "kt")}
    return pl.DataFrame(
        {
            "id": places[chosen],
            "pressure": rows["known.pressure"].ravel()[chosen],
            "kind": pl.Series(np.array(KINDS)[kind[chosen]], dtype=pl.String),
            **controller_of,
        }
    )


def fitted(parts: Sequence[tuple[Rows, Array]]) -> SessionLungs:
    """Fit lungs. parts: prepared rows, each with what is known (R,), cmH2O, nan elsewhere; labels calibrate the sd."""
    pairs = [breaths_of(rows) for rows, _ in parts]
    pressure = np.concatenate([_by_breath(known, rows) for rows, known in parts])
    breaths = joined_arrays([breaths for breaths, _ in pairs])
    lungs = fit_lungs(breaths, pressure, provenance="what a cell was given: exact rows, and labels of its own series")
    return fit_spread(lungs, breaths, joined_arrays([known for _, known in pairs]), pressure)


def read(text: str) -> SessionLungs:
    """Read lungs that were written by their `to_json`."""
    return SessionLungs.from_json(text)


def masked(rows: Rows, random: np.random.Generator, among: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Hide exact rows: those of a breath stay exact where a drawn breath's of the same frame are.

    A breath of which nothing is left has no controller either, as one in which nothing was decoded.

    among: (R,) rows of the breaths that are drawn from.
    """
    breaths, known = breaths_of(rows)
    others = np.flatnonzero(among[rows[PLACES][:, 0]])
    inspired = breaths.u_out == 0
    told = ~np.isnan(known.pressure)
    drawn = others[random.integers(0, len(others), len(known))]
    left = known.hide(inspired & inspired[drawn] & ~told[drawn])
    left = left.forget(~(inspired & ~np.isnan(left.pressure)).any(axis=1))
    return {**rows, **{f"known.{field.name}": getattr(left, field.name) for field in fields(Known)}}


def embedded_lungs() -> SessionLungs:
    """Return the lungs that come with the package: no label was used to fit them."""
    return embedded()


def write_matched(folder: Path, *, breaths: int, seed: int, rig: Rig | None = None) -> None:
    """Write train.csv of simulated breaths, which are to the embedded lungs about what real ones are.

    Args:
        folder: it is there.
        breaths: how many, at least one.
        seed: of all that is drawn.
        rig: whose clocks, shares and noise they have; None: one that was fitted to decoded rows alone.
    """
    made = matched.simulate_matched(breaths, seed, rig=rig)
    simulator.frame(made, np.arange(breaths)).write_csv(folder / "train.csv")


def simulated_by() -> list[Path]:
    """List the files whose text `write_matched` depends on, those in the package's own folder aside."""
    folder = Path(str(estimation.__file__)).parent
    return [folder / name for name in MATCHED]


def estimated(rows: Rows, lungs: SessionLungs) -> Estimate:
    """Estimate every row."""
    breaths, known = breaths_of(rows)
    found = smooth(breaths, known, lungs)
    return Estimate(
        mean=_flat(_held(found.mean), rows),
        sd=_flat(np.nan_to_num(found.sd), rows),
        exact=~np.isnan(exact(rows)),
        channels=_flat(found.channels, rows),
    )


def ranked(rows: Rows, mean: Array, sd: Array) -> Array:
    """Settle open gaps inside the windows of an estimate: their pressures (R,), cmH2O; nan elsewhere. None is exact.

    Args:
        rows: as they were prepared.
        mean: (R,) cmH2O, estimates.
        sd: (R,) cmH2O, their standard deviations.
    """
    gaps = DecodedBreaths.of_arrays(rows).gaps
    return _flat(estimation.ranked(gaps, _by_breath(mean, rows), _by_breath(sd, rows)), rows)


def breaths_of(rows: Rows) -> tuple[Recorded, Known]:
    """Return the breaths and what is known of them."""
    breaths, known, *_ = DecodedBreaths.of_arrays(rows)
    return breaths, known


def _by_breath(values: NDArray[Any], rows: Rows) -> NDArray[Any]:
    """Bring values of rows (R, ...) to breaths, (N, 80, ...)."""
    return np.asarray(values[rows[PLACES]])


def _flat(values: NDArray[Any], rows: Rows) -> NDArray[Any]:
    """Bring values of breaths (N, 80, ...) to rows, (R, ...)."""
    flat = np.empty((values.shape[0] * values.shape[1], *values.shape[2:]), dtype=values.dtype)
    flat[rows[PLACES].ravel()] = values.reshape(flat.shape)
    return flat


def _held(values: Array) -> Array:
    """Fill rows (N, 80) that are nan with the last value before them in their breath, else the first one behind."""
    there = ~np.isnan(values)
    last = np.maximum.accumulate(np.where(there, np.arange(values.shape[1]), -1), axis=1)
    place = np.where(last >= 0, last, np.argmax(there, axis=1)[:, None])
    return np.asarray(np.take_along_axis(values, place, axis=1))


def classes(rows: Rows) -> NDArray[Any]:
    """Name how each row lies to the exact rows of its breath, (R,) text: what makes it easy or hard to estimate."""
    known, u_in = ~np.isnan(rows["known.pressure"]), rows["breaths.u_in"]
    step = np.arange(STEPS)
    last = np.maximum.accumulate(np.where(known, step, -1), axis=1)
    next_ = np.minimum.accumulate(np.where(known, step, STEPS)[:, ::-1], axis=1)[:, ::-1]
    clipped = (u_in <= 0.0) | (u_in >= controller.U_MAX)
    found = np.select(
        [
            np.broadcast_to(~known.any(axis=1, keepdims=True), known.shape),
            known,
            np.broadcast_to(step == 0, known.shape),
            (last < 0) & clipped,
            last < 0,
            (next_ == STEPS) & (u_in <= 0.0),
            next_ == STEPS,
            next_ - last > GAP,
        ],
        [
            "no exact row in the breath",
            "exact",
            "row 0",
            "clipped before the first exact row",
            "unclipped before the first exact row",
            "u = 0 after the last exact row",
            "u > 0 after the last exact row",
            "gap of 5 and more",
        ],
        "gap of 1 to 4",
    )
    return _flat(found, rows)
