"""A second reading of a Parquet file, by pyarrow: it compares checksums of pages and packed data, as polars does not.

What has none may be damaged all the same, and readers then differ in what is missing: those numbers are compared, too.
A notebook may lack pyarrow, which only `infer` on a Kaggle bundle runs in: nothing is checked there.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path

ROWS = 1 << 16  # decoded at once: little memory, whatever the file's size


class ReadersDiffer(ValueError):
    """Two readers find different numbers of missing values: the file is damaged."""


def check(found: Path | bytes, places: Sequence[int], missing: Sequence[int]) -> None:
    """Decode columns of a Parquet file, and raise pyarrow's own error where one is damaged.

    Args:
        places: of the columns in the file.
        missing: how many missing values polars has found in each.

    Raises:
        ReadersDiffer
    """
    if importlib.util.find_spec("pyarrow") is None:
        return
    from pyarrow import parquet

    source = io.BytesIO(found) if isinstance(found, bytes) else found
    with parquet.ParquetFile(source, page_checksum_verification=True) as opened:
        if opened.schema_arrow.names != list(dict.fromkeys(opened.schema_arrow.names)):
            return  # columns of one name were refused before
        names = [opened.schema_arrow.names[place] for place in places]
        counts = dict.fromkeys(names, 0)
        for batch in opened.iter_batches(ROWS, columns=names):
            for name in names:
                counts[name] += batch.column(name).null_count
    for name, ours in zip(names, missing, strict=True):
        if counts[name] != ours:
            raise ReadersDiffer(f"column {name!r} has {ours} missing values for polars, {counts[name]} for pyarrow")
