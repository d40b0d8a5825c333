"""Decode one breath through all stages, and a frame of breaths on all cores.

    frame -> digits -> [ identify -> ramp, alone -> chain -> bump -> row0 -> gap ] per breath -> exact rows

The loops in the bracket are compiled and run in threads over chunks of breaths. Every stage only adds rows it can
prove; none reads a pressure, so a column of that name is ignored.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from ventilator.controller import GRID_STEP, KT_TARGETS, U_MAX, grid_pressure, smoothing
from ventilator.decoder.alone import alone
from ventilator.decoder.breaths import Table, table
from ventilator.decoder.bump import (
    NET,
    Cleaned,
    accept_bumps,
    enter_agreed,
    keep_agreed,
    overwrite,
    search_bumps,
    unexplained,
)
from ventilator.decoder.chain import all_runs, chains
from ventilator.decoder.compilation import compile_all, cores
from ventilator.decoder.decoder_state import DecoderState, Output
from ventilator.decoder.gap import gaps, unsolved
from ventilator.decoder.identify import ACCEPT, KI, KP, N_KI, N_KT, gains_of, identified, leaders, scores, total
from ventilator.decoder.law import blank
from ventilator.decoder.open_gaps import OpenGaps
from ventilator.decoder.ramp import ramp
from ventilator.decoder.records import BUMP, CHAIN, HIDDEN, KINDS, UNKNOWN, Breath, Floats, Gains, Track
from ventilator.decoder.row0 import first_pair, first_target, pair_scores, phase, row0
from ventilator.decoder.settle import OpenGap

CHAIN_FLOOR: Final = 4.5  # net digits of a chain where a bump may hide: by chance 3 in 100,000 chains
WEAK: Final = 4.0  # net digits of a controller's chains from which on its gaps and its bump may make up for the rest
ALONE: Final = 7.0  # net digits that are left of a breath without a controller when a guessed bump is subtracted
KT: Final = np.array(KT_TARGETS)
TOO_SHORT: Final = 2e-4  # grid steps; the printing error from which on a row's u tests nothing
CHUNK: Final = 64  # breaths a thread takes at a time: few enough that all threads end at about the same time


class Suspect(NamedTuple):
    """A controller that may have driven a breath."""

    code: int  # see `identify.gains_of`
    digits: float  # of its chains, or ACCEPT where its own rule has accepted it
    cleaned: Cleaned  # the breath, without its bump where that is known already


class Finding(NamedTuple):
    """What the later stages make of a suspect."""

    code: int
    digits: float  # of all its tests
    track: Track
    cleaned: Cleaned


def remove_bump(b: Breath, g: Gains, track: Track) -> tuple[Cleaned, float]:
    """Run stages a and c on an exploration breath: its chains, and its bump if rows stay unexplained.

    Returns the breath without the bump, and the digits of the bump's own tests.
    """
    no_bump = Cleaned(b, np.zeros(len(b.y)), False)
    chains(b, g, CHAIN_FLOOR, track)
    first, last = unexplained(b, track)
    if first < 0:
        return no_bump, 0.0
    plain = blank(len(b.y))
    if all_runs(b, g, plain):
        overwrite(plain, track)
        return no_bump, 0.0
    found = search_bumps(b, g, track, first, last)
    accepted = (
        accept_bumps(b, g, found, track, True)
        or [trial for _, trial in alone(b, [g], total(b, g) + NET)]
        or accept_bumps(b, g, found, track, False)
    )
    return (enter_agreed(accepted, track), max(trial.net for trial in accepted)) if accepted else (no_bump, 0.0)


def _may_hide(cleaned: Cleaned) -> bool:
    """Whether an exploration breath may have a bump, or a part of one, that is not known."""
    return not cleaned.found or bool(np.any(np.isnan(cleaned.bump)))


def mark_bump_rows(track: Track, bump: Floats) -> None:
    """Mark chain rows under a bump as of the kind bump."""
    track.kind[(track.kind == CHAIN) & (bump != 0.0)] = BUMP


def later_stages(b: Breath, suspect: Suspect, pair: int, tau: float, flip: float) -> Finding | None:
    """Run the stages that need the controller; None where they refute it."""
    g, track, cleaned = Gains(*gains_of(suspect.code)), blank(len(b.y)), suspect.cleaned
    explores, evidence = not cleaned.found and suspect.code // N_KT == pair, suspect.digits
    if explores:
        cleaned, more = remove_bump(b, g, track)
        # A line of the bump proves a bump, whoever drives it, and chains beside it count once.
        evidence = min(evidence + more, max(evidence, total(cleaned.clean, g)))
    elif not all_runs(cleaned.clean, g, track):
        return None
    mark_bump_rows(track, cleaned.bump)
    hidden = explores and _may_hide(cleaned)
    c0 = first_target(g, tau)
    row0(cleaned.clean, g, tau, flip, track)
    first_pair(cleaned.clean, g, tau, CHAIN_FLOOR if hidden else 0.0, track)
    solved = gaps(cleaned.clean, g, c0, track, hidden, explores or cleaned.found)
    if solved is None:
        return None
    row0(cleaned.clean, g, tau, flip, track)  # again: a solved gap may have made row 1 known
    return Finding(suspect.code, evidence + solved, track, cleaned)


def suspects(b: Breath, pair: int, tau: float) -> list[Suspect]:
    """List the controllers that may have driven a breath, by the first rule that names any.

    Chains that suffice; a bump's line, or rows of bump alone, behind which the exploration gains appear; chains that
    don't suffice by themselves, whose further equations must.
    """
    plain, evidence = Cleaned(b, np.zeros(len(b.y)), False), scores(b, pair)
    strong = [Suspect(code, float(evidence[code]), plain) for code in identified(evidence)]
    if strong:
        return strong
    if pair >= 0:
        target, cleaned = ramp(b, float(KP[pair // N_KI]), float(KI[pair % N_KI]), tau)
        if target >= 0:
            return [Suspect(pair * N_KT + target, ACCEPT, cleaned)]
        gains = [Gains(*gains_of(pair * N_KT + kt)) for kt in range(N_KT)]
        proven = alone(b, gains, ALONE)
        if proven:
            return [Suspect(pair * N_KT + kt, ACCEPT, trial.cleaned) for kt, trial in proven]
    if not leaders(evidence, WEAK):
        evidence = pair_scores(b, tau)
    return [Suspect(code, float(evidence[code]), plain) for code in leaders(evidence, WEAK)]


class Decoded(NamedTuple):
    """What is known of a breath in the end."""

    code: int  # of its controller, or of the best one that remains possible; -1: nothing proven
    track: Track  # what all that remain possible agree on
    cleaned: Cleaned  # the breath without the bump, as the best one has it
    sure: bool  # whether one controller with one bump remains


def decode_breath(b: Breath, pair: int, tau: float, flip: float) -> Decoded:
    """Run all stages on one breath.

    Args:
        b: its inspiration.
        pair: number (Kp, Ki) of the exploration gains of its R and C, -1 if there are none.
        tau: tau_0 (s) or nan.
        flip: time_step (s) of the first row with u_out = 1.

    Where several controllers remain possible, the rows are those on which all agree, integrals only those that all
    imply, and the number is the best one's (see `identify.gains_of`).
    """
    found = [later_stages(b, suspect, pair, tau, flip) for suspect in suspects(b, pair, tau)]
    left = [finding for finding in found if finding is not None]
    if max((finding.digits for finding in left), default=0.0) < ACCEPT:
        return Decoded(-1, blank(len(b.y)), Cleaned(b, np.zeros(len(b.y)), False), False)
    best = max(left, key=lambda finding: finding.digits)
    for other in left:
        keep_agreed(best.track, other.track, gains_of(other.code)[2] - gains_of(best.code)[2])
    return Decoded(best.code, best.track, best.cleaned, len(left) == 1)


def breath_of(table: Table, i: int) -> Breath:
    """Build the record of breath i of a table."""
    rows = slice(table.start[i], table.start[i] + table.size[i])
    t, u = table.t[rows], table.u[rows]
    clip = (u >= U_MAX).astype(np.int64) - (u <= 0.0)
    clip[(clip == 0) & (table.w[rows] > TOO_SHORT)] = HIDDEN
    return Breath(u / GRID_STEP, table.w[rows], smoothing(np.diff(t, prepend=t[0])), t, clip)


def decode_breaths(table: Table, first: int, last: int, out: Output) -> list[tuple[int, OpenGap]]:
    """Decode breaths first..last - 1 of a table; rows of `out` are the table's.

    Returns the gaps that are left, each with the number of its breath.
    """
    left = []
    for i in range(first, last):
        start, n = table.start[i], table.size[i]
        if n == 0:
            continue
        b, whole, pair = breath_of(table, i), slice(start, table.start[i + 1]), int(table.pair[i])
        tau = phase(table.t[whole], table.u[whole])
        code, track, cleaned, sure = decode_breath(b, pair, tau, float(table.flip[i]))
        out.tau_0[whole] = tau
        if code < 0:
            continue
        g, rows = gains_of(code), slice(start, start + n)
        out.kp[whole], out.ki[whole], out.kt[whole] = g.kp, g.ki, KT[code % N_KT]
        out.grid[rows], out.kind[rows], out.integral[rows] = track.k, track.kind, track.J
        out.error[rows] = np.where(track.k == UNKNOWN, np.nan, g.c - track.k)
        out.error[start] = np.nan
        out.bump[rows], out.options[rows] = cleaned.bump, track.options
        if not sure:  # clipping and equations that are left would be those of one controller alone
            continue
        out.clip[rows] = np.where(np.abs(cleaned.clean.clip) == 1, cleaned.clean.clip, 0)
        hidden = code // N_KT == pair and _may_hide(cleaned)
        equations = unsolved(cleaned.clean, Gains(*g), first_target(g, tau), track, hidden)
        left += [(i, OpenGap(row, Gains(*g), equation)) for row, equation in equations]
    return left


def state(
    frame: pl.DataFrame, *, progress: Callable[[int], None] | None = None, threads: int | None = None
) -> DecoderState:
    """Decode a frame and return everything that was found, per row.

    Args:
        frame: the competition's columns id, breath_id, R, C, time_step, u_in and, if there is one, u_out.
        progress: called with the number of breaths done so far.
        threads: that decode side by side; None: as many as there are cores. Results do not depend on it.

    Raises:
        ValueError: a column is missing.
    """
    return state_and_gaps(frame, progress=progress, threads=threads)[0]


def state_and_gaps(
    frame: pl.DataFrame, *, progress: Callable[[int], None] | None = None, threads: int | None = None
) -> tuple[DecoderState, OpenGaps]:
    """Decode a frame and return what `state` does, and the equations that are left without a solution."""
    breaths = table(frame)
    count = len(breaths.size)
    compile_all(cores())
    out, left = Output.empty(len(breaths.row)), list[tuple[int, OpenGap]]()
    with ThreadPoolExecutor(threads or cores()) as pool:
        chunks = [(first, min(first + CHUNK, count)) for first in range(0, count, CHUNK)]
        running = [pool.submit(decode_breaths, breaths, first, last, out) for first, last in chunks]
        for (_, last), done in zip(chunks, running, strict=True):
            left += done.result()
            if progress is not None:
                progress(last)
    return DecoderState.of(out, breaths.row), OpenGaps.of(left)


def decode(
    frame: pl.DataFrame, *, progress: Callable[[int], None] | None = None, threads: int | None = None
) -> pl.DataFrame:
    """Decode a frame and return its exact rows, in its order.

    Columns: id, pressure (cmH2O, on the grid), kind, kp and ki (%/cmH2O), kt (cmH2O).
    kind is "chain", "row0", "bump" or "gap", the stage that proved the row. Arguments and errors are those of `state`.
    """
    known = state(frame, progress=progress, threads=threads)
    exact = np.flatnonzero(known.kind)
    return pl.DataFrame(
        {
            "id": frame["id"].gather(exact),
            "pressure": grid_pressure(known.grid[exact]),
            "kind": pl.Series(np.array(KINDS)[known.kind[exact]], dtype=pl.String),
            "kp": known.kp[exact],
            "ki": known.ki[exact],
            "kt": known.kt[exact],
        }
    )
