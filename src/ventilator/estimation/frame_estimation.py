"""Estimate a frame: exact rows where the decoder proves them, ranked gaps, the smoother's mean and sd elsewhere."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import polars as pl

from ventilator.decoder.records import KINDS
from ventilator.estimation.known import DecodedBreaths, decoded_with_gaps
from ventilator.estimation.lungs import SessionLungs, embedded
from ventilator.estimation.parameters import LONGEST_DELAY_S
from ventilator.estimation.ranked import SHARE_OF_SD, ranked
from ventilator.estimation.smoother import smooth

COLUMNS: Final = ["id", "pressure", "sd", "kind"]  # of the output, which is known by them
SCHEMA: Final = (pl.Float64, pl.Float64, pl.String)  # of all but id
ESTIMATED: Final = "estimated"  # kind of a row that is not exact
LONGEST_ROW_S: Final = 0.2  # five times that of the competition
RANKED: Final = "ranked"  # kind of a row that is the only grid solution inside an estimate; it is not exact either
CHUNK_BREATHS: Final = 2000  # breaths in memory at a time


def estimate(
    frame: pl.DataFrame, lungs: SessionLungs | None = None, *, progress: Callable[[int], None] | None = None
) -> pl.DataFrame:
    """Estimate a frame's rows of inspiration (u_out = 0), in its order; pressures in it are not looked at.

    Columns: id, pressure (cmH2O), sd (cmH2O; 0 where exact), kind (the decoder's, "ranked" or "estimated").

    Args:
        frame: the competition's columns id, breath_id, R, C, time_step, u_in, u_out; 80 rows a breath.
        lungs: of the sessions; the embedded ones by default.
        progress: called with the number of breaths done so far.

    Raises:
        ValueError: a column is missing, a number is, or a breath is not of the competition's shape.
    """
    lungs = embedded() if lungs is None else lungs
    parts, done = [], 0
    for chunk in chunked(checked(frame), CHUNK_BREATHS):
        parts.append(estimated(chunk, decoded_chunk(chunk), lungs))
        done += chunk["breath_id"].n_unique()
        if progress is not None:
            progress(done)
    return joined(parts, frame["id"].dtype)


def joined(parts: Sequence[pl.DataFrame], ids: pl.DataType) -> pl.DataFrame:
    """Put estimated chunks together, in the order of their file; ids: their type, where there is no chunk."""
    if not parts:
        return pl.DataFrame(schema=dict(zip(COLUMNS, [ids, *SCHEMA], strict=True)))
    return pl.concat(parts).sort("place").select(COLUMNS)


def checked(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame's columns that estimation needs, numbers as Float64, and `place`, the rows' numbers.

    Raises:
        ValueError: it is not of the competition's shape.
    """
    wanted = ("id", "breath_id", "R", "C", "time_step", "u_in", "u_out")
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise ValueError(
            f"Estimation needs the columns {', '.join(wanted)}; the file lacks {', '.join(missing)}. Rename them."
        )
    numbers = wanted[2:]
    frame = frame.select("id", "breath_id", *(pl.col(name).cast(pl.Float64, strict=False) for name in numbers))
    for name in numbers:
        bad = frame.filter(~pl.col(name).is_finite().fill_null(False))
        if len(bad):
            raise ValueError(f"Every row needs numbers, but {name} is none in the row of id {bad['id'][0]}.")
    frame = frame.with_row_index("place")
    ordered = frame.sort("breath_id", "time_step", maintain_order=True)
    same = (pl.col("breath_id") == pl.col("breath_id").shift()).fill_null(False)
    back = ordered.filter((same & (pl.col("u_out").diff() < 0)) | ~pl.col("u_out").is_in([0.0, 1.0]))
    if len(back):
        raise ValueError(f"In a breath u_out is 0 first and then 1, but not in breath {back['breath_id'][0]}.")
    apart = pl.col("time_step").diff()
    odd = ordered.filter(~apart.is_between(LONGEST_DELAY_S, LONGEST_ROW_S) & same)
    if len(odd):
        raise ValueError(
            f"Rows of a breath are {LONGEST_DELAY_S:g} to {LONGEST_ROW_S:g} s apart, but not in breath "
            f"{odd['breath_id'][0]}: time_step {odd['time_step'][0]:g}."
        )
    return frame


def chunked(frame: pl.DataFrame, size: int) -> list[pl.DataFrame]:
    """Cut a checked frame into chunks of so many whole breaths, by breath_id."""
    number = (pl.col("breath_id").rank("dense").cast(pl.Int64) - 1) // size
    by_chunk = frame.with_columns(chunk=number).sort("chunk", maintain_order=True)
    return by_chunk.partition_by("chunk", include_key=False, maintain_order=True)


def decoded_chunk(chunk: pl.DataFrame) -> DecodedBreaths:
    """Decode a chunk."""
    return decoded_with_gaps(chunk.drop("place"))


def estimated(chunk: pl.DataFrame, decoded: DecodedBreaths, lungs: SessionLungs) -> pl.DataFrame:
    """Estimate whole breaths that were decoded; the column `place` says where a row stands in the file."""
    breaths, known, places, gaps = decoded
    posterior = smooth(breaths, known, lungs)
    settled = ranked(gaps, posterior.mean, posterior.sd)
    is_ranked = ~np.isnan(settled)
    inspired = breaths.u_out == 0
    kinds = np.array([ESTIMATED, *KINDS[1:]])[np.where(np.isnan(known.pressure), 0, known.kind)]
    kinds = np.where(is_ranked, RANKED, kinds)
    sd = np.where(is_ranked, SHARE_OF_SD * posterior.sd, posterior.sd)
    rows: pl.DataFrame = chunk[places[inspired]].select("id", "place")
    return rows.with_columns(
        pressure=pl.Series(np.where(is_ranked, settled, posterior.mean)[inspired]),
        sd=pl.Series(sd[inspired]),
        kind=pl.Series(kinds[inspired], dtype=pl.String),
    )
