"""Read a frame of the competition's shape into flat arrays, breath after breath; mark what can't be decoded.

A breath is usable when its numbers are finite and in range, its times increase on their lattice, u_out is 0 first and
then 1, its R and C don't change, and u_in has enough digits. It may have any number of rows, and any R and C.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from ventilator.controller import (
    EXPLORATION_GAINS,
    GRID_STEP,
    INSPIRATION_S,
    KI_GAINS,
    KP_GAINS,
    TICK_S,
    U_MAX,
)
from ventilator.decoder.digits import lattice_ticks, printing_error
from ventilator.decoder.records import Floats, Ints

NEEDED: Final = ("id", "breath_id", "R", "C", "time_step", "u_in")
FEWEST: Final = 2  # rows of an inspiration: a test needs a neighbour
MOST: Final = 64  # rows of an inspiration; the competition has 25 to 35, and the search's time grows with them
COARSEST: Final = 1e-3  # grid steps, of the median printing error: u_in with 5 digits or less proves nothing
LATEST_PHASE_S: Final = 0.0345  # every tau_0 is smaller: a breath starts within one row of its cycle


class Table(NamedTuple):
    """N breaths of M rows in all, sorted by breath and time."""

    row: Ints  # (M,) place in the frame
    start: Ints  # (N + 1,) where each breath begins
    size: Ints  # (N,) rows of its inspiration, 0 where the breath is not usable
    pair: Ints  # (N,) number of the exploration gains of its R and C, -1: none
    t: Floats  # (M,) s, on the lattice
    u: Floats  # (M,) %
    w: Floats  # (M,) bound of the printing error of u, grid steps; nan outside inspirations
    flip: Floats  # (N,) time_step of the first row with u_out = 1, nan where that column is missing


def pair_number(r: float, c: float) -> int:
    """Return the place of the exploration gains of (R, C) among all pairs, Kp slowest; -1 for other lungs."""
    if r != r or c != c or (int(r), int(c)) not in EXPLORATION_GAINS or int(r) != r or int(c) != c:
        return -1
    kp, ki = EXPLORATION_GAINS[int(r), int(c)]
    return KP_GAINS.index(kp) * len(KI_GAINS) + KI_GAINS.index(ki)


def check_columns(names: Sequence[str], where: str) -> None:
    """Raise ValueError where a column that decoding needs is missing."""
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise ValueError(
            f"Decoding needs the columns {', '.join(NEEDED)} (u_out helps, pressure is not used); "
            f"{where} lacks {', '.join(missing)} and has {', '.join(names)}. Rename its columns."
        )


def _columns(frame: pl.DataFrame) -> pl.DataFrame:
    check_columns(frame.columns, "the frame")
    numbers = [name for name in ("R", "C", "time_step", "u_in", "u_out") if name in frame.columns]
    cast = [pl.col(name).cast(pl.Float64, strict=False).fill_null(np.nan) for name in numbers]
    return frame.select("breath_id", *cast).with_row_index("row").sort("breath_id", "time_step", maintain_order=True)


def _inspiration(t: Floats, u_out: Floats | None) -> tuple[int, float]:
    """Return the rows of a breath's inspiration (0: none) and the time (s) of the row after it."""
    if u_out is None:  # tau < 1 for sure: phases are shorter than a step
        return int(np.searchsorted(t, INSPIRATION_S - LATEST_PHASE_S)), np.nan
    size = int(np.argmax(u_out != 0.0)) if np.any(u_out != 0.0) else len(u_out)
    if np.any(u_out[size:] != 1.0):
        return 0, np.nan
    return size, float(t[size]) if size < len(t) else np.nan


def _usable(t: Floats, u: Floats, r: Floats, c: Floats) -> bool:
    if not (np.all(np.isfinite(t)) and np.all((u >= 0.0) & (u <= U_MAX)) and np.all(np.diff(t) > 0.0)):
        return False
    return bool(np.all(r == r[0]) and np.all(c == c[0]))


def table(frame: pl.DataFrame) -> Table:
    """Build the table of a frame with the competition's columns (see NEEDED; numbers may be text).

    Raises:
        ValueError: a column is missing.
    """
    rows = _columns(frame)
    new = rows["breath_id"].ne_missing(rows["breath_id"].shift()).to_numpy()
    if len(new):
        new[0] = True
    start = np.append(np.flatnonzero(new), len(rows)).astype(np.int64)
    r, c, t, u = (rows[name].to_numpy().copy() for name in ("R", "C", "time_step", "u_in"))
    u_out = rows["u_out"].to_numpy() if "u_out" in rows.columns else None
    count = len(start) - 1
    size, pair, flip = np.zeros(count, np.int64), np.full(count, -1), np.full(count, np.nan)
    w = np.full(len(rows), np.nan)
    for i in range(count):
        s = slice(start[i], start[i + 1])
        if not _usable(t[s], u[s], r[s], c[s]):
            continue
        ticks = lattice_ticks(t[s])
        n, flip[i] = _inspiration(t[s], None if u_out is None else u_out[s])
        if ticks is None or not FEWEST <= n <= MOST:
            continue
        error = printing_error(u[s.start : s.start + n]) / GRID_STEP
        if np.median(error) > COARSEST:
            continue
        size[i], pair[i], t[s] = n, pair_number(r[start[i]], c[start[i]]), ticks * TICK_S
        w[s.start : s.start + n] = error
    return Table(rows["row"].to_numpy().astype(np.int64), start, size, pair, t, u, w, flip)
