"""Compute the features of a frame of whole series: `compute(frame, columns, families)`.

It may be called on the whole data or on parts of it that hold whole series; a series' features are the same either way.
Inside, it works in chunks. In a fresh process the arithmetic costs less than touching new memory for the first time;
chunks of one size reuse memory that the allocator already has. `benchmarks/features.py` measures it.
"""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from foldline.features.family import LENGTH, SERIES, STEP, Columns, Family

CHUNK_ROWS = 163_840  # 2,048 series of 80 steps; a chunk ends with the series that reaches it


def compute(frame: pl.DataFrame, columns: Columns, families: Sequence[Family]) -> pl.DataFrame:
    """Compute the features of `families` for each row of `frame`; columns in the families' order, rows as they came.

    Args:
        frame: any number of series, each with its rows together and in order, without nulls (checked by the reader).
        columns: the roles of its columns.
        families: built families, each with feature names of its own.

    Returns:
        (rows, features): Float64 columns, UInt8 for 0/1 flags.

    Raises:
        ValueError: where a column of a role is missing, where the rows of a series are not together, and where two
            features have one name.
    """
    expressions = [expression for family in families for expression in family.expressions(columns)]
    _check_columns(frame, columns)
    _check_names([expression.meta.output_name() for expression in expressions])
    lengths = _lengths(frame.get_column(columns.key))
    parts = [lengths[first:last] for first, last in series_chunks(lengths, CHUNK_ROWS)]
    starts = np.cumsum([0, *(int(part.sum()) for part in parts)])

    def features_of(part: npt.NDArray[np.int32], start: int) -> pl.DataFrame:
        rows = frame.slice(start, int(part.sum())).with_columns(_helpers(part))
        return rows.select(expressions)  # eager: a lazy select uses the streaming engine, 1.5 times as slow here

    # Threads over chunks, because polars alone leaves cores idle within a chunk. map keeps the chunks' order.
    with ThreadPoolExecutor(min(len(parts), os.cpu_count() or 1)) as pool:
        return pl.concat(pool.map(features_of, parts, starts.tolist()), rechunk=False)


def _lengths(key: pl.Series) -> npt.NDArray[np.int32]:
    """Count the steps of each series (series,), in order; every run of equal keys is a series."""
    runs = key.rle().struct.unnest()
    keys = runs.get_column("value")
    if keys.n_unique() != len(keys):
        apart = keys.filter(keys.is_duplicated())[0]
        raise ValueError(
            f"The rows of a series must lie together, but those of {key.name} = {apart!r} are apart: "
            f"sort the frame by {key.name} and by the order column first."
        )
    return runs.get_column("len").to_numpy().astype(np.int32)


def series_chunks(lengths: npt.NDArray[np.integer], rows: int) -> list[tuple[int, int]]:
    """Cut series into chunks [first, last) of some `rows` rows each; one empty chunk where there are no series.

    lengths: (series,) rows of each. A chunk ends with the series that reaches the next multiple of `rows`.
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    goals = np.arange(rows, ends[-1] if len(ends) else 0, rows)
    cuts = sorted({0, len(lengths), *(np.searchsorted(ends, goals) + 1).tolist()})
    return list(pairwise(cuts)) or [(0, 0)]


def _helpers(lengths: npt.NDArray[np.int32]) -> list[pl.Series]:
    """Build SERIES, STEP and LENGTH (rows,) for series of these lengths; 32 bits hold any chunk at half the memory."""
    starts = np.cumsum(lengths, dtype=np.int32) - lengths
    step = np.arange(lengths.sum(), dtype=np.int32) - np.repeat(starts, lengths)
    return [
        pl.Series(SERIES, np.repeat(np.arange(len(lengths), dtype=np.uint32), lengths)).set_sorted(),
        pl.Series(STEP, step),
        pl.Series(LENGTH, np.repeat(lengths, lengths)),
    ]


def _check_columns(frame: pl.DataFrame, columns: Columns) -> None:
    needed = (columns.key, columns.order, *columns.inputs, *columns.static)
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise ValueError(
            f"The frame must hold every column that has a role, but lacks {', '.join(map(repr, missing))}; "
            f"it holds {', '.join(sorted(frame.columns))}."
        )


def _check_names(names: list[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(
            f"Every feature needs a name of its own, but two families both make {', '.join(map(repr, twice))}: "
            "drop one of them, or give them different columns or steps."
        )
