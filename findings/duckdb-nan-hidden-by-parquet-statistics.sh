#!/usr/bin/env bash
# DuckDB's x > 5 finds a NaN in a table and not in the Parquet file that holds the same rows.
#
# One would expect: a filter gives the same rows of a table and of its Parquet file, since statistics of row groups may only
# skip what can't fulfil it. In DuckDB, as in PostgreSQL and polars, NaN is greater than every number (its docs say so).
# What happens (duckdb 2.0.1): polars and pyarrow leave NaN out of a row group's minimum and maximum, as the format asks;
# DuckDB then skips the row group whose maximum is below 5, and the NaN with it. Where a larger number stands in the same
# row group, or where DuckDB wrote the file, the NaN is found. polars 2.1.0 finds it in the table and in all files;
# pyarrow, where NaN > 5 is false, in none.
# Why it matters to a pipeline of series: broken sensors write NaN. A check for values out of range that was tried on a
# table passes on the files, and a row's fate hangs on which other rows share its row group.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1
cat >"$folder/look.py" <<'PYTHON'
import sys

import duckdb
import polars as pl
import pyarrow.parquet as pq

folder = sys.argv[1]
quiet = pl.DataFrame({"x": [1.0, 2.0, float("nan"), 3.0]})
for name, frame in {"NaN beside 3": quiet, "NaN beside 9": quiet.with_columns(pl.col("x").replace(3.0, 9.0))}.items():
    of = lambda source: duckdb.sql(f"select count(*) from {source} where x > 5").fetchall()[0][0]
    by_duckdb, by_polars, by_arrow = (f"{folder}/{writer}.parquet" for writer in ("duckdb", "polars", "pyarrow"))
    duckdb.sql(f"copy (from frame) to '{by_duckdb}' (format parquet)")
    frame.write_parquet(by_polars)
    pq.write_table(frame.to_arrow(), by_arrow)
    files = [of(f"'{path}'") for path in (by_duckdb, by_polars, by_arrow)]
    lazy = pl.scan_parquet(by_arrow).filter(pl.col("x") > 5).collect().height
    arrow = pq.read_table(by_arrow, filters=[("x", ">", 5)]).num_rows
    print(f"{name}: DuckDB on the table {of('frame')}, on files of three writers {files}; polars {lazy}, pyarrow {arrow}")
PYTHON
found=$("$folder/venv/bin/python" "$folder/look.py" "$folder")
echo "duckdb 2.0.1, rows with x > 5:"
echo "$found"
expected='NaN beside 3: DuckDB on the table 1, on files of three writers [1, 0, 0]; polars 1, pyarrow 0
NaN beside 9: DuckDB on the table 2, on files of three writers [2, 2, 2]; polars 2, pyarrow 1'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
