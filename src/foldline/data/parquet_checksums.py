"""Checksums inside a Parquet file, which polars does not compare: of pages, where it has them, and of packed data.

pyarrow compares them. A notebook may lack it, which only `infer` on a Kaggle bundle runs in: nothing is checked there.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path

ROWS = 1 << 16  # decoded at once: little memory, whatever the file's size


def check(found: Path | bytes, places: Sequence[int]) -> None:
    """Decode columns of a Parquet file, and raise pyarrow's own error where one is damaged.

    places: of the columns in the file.
    """
    if importlib.util.find_spec("pyarrow") is None:
        return
    from pyarrow import parquet

    source = io.BytesIO(found) if isinstance(found, bytes) else found
    with parquet.ParquetFile(source, page_checksum_verification=True) as opened:
        if opened.schema_arrow.names != list(dict.fromkeys(opened.schema_arrow.names)):
            return  # columns of one name were refused before
        names = [opened.schema_arrow.names[place] for place in places]
        for _ in opened.iter_batches(ROWS, columns=names):
            pass
