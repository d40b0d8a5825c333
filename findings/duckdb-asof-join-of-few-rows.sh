#!/usr/bin/env bash
# DuckDB's ASOF JOIN: of several readings of the same time, 63 rows get the first and 64 rows the last.
#
# One would expect: a row's partner does not hang on how many other rows are joined; where several readings share the latest
# time, that the last one is taken, as pandas' merge_asof and polars' join_asof do, or at least always the same one.
# What happens (duckdb 2.0.1): where the left side has fewer than 64 rows a loop joins them, which keeps the first of the
# readings of one time; from 64 rows on they are sorted, and the last one is kept. Both whatever the number of threads, with
# equalities or without. The limit is a setting, asof_loop_join_threshold, whose description names the way of
# joining and no result.
# Why it matters to a pipeline of series: clocks of whole seconds and corrected readings give several rows a time. Features
# of a training table hold the corrected value, those of a few rows at inference, or of a test case, the value before: every
# row below differs. Keep one reading a time (max_by or QUALIFY) before the join.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check duckdb==2.0.1 pandas==3.0.6 \
    polars==2.1.0 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import duckdb
import numpy as np
import pandas as pd
import polars as pl

times = np.repeat(np.arange(1000), 3)
readings = pd.DataFrame({"t": times, "version": np.tile([1, 2, 3], 1000)})  # three readings a second, in order


def versions(joined):
    found = np.unique(np.asarray(joined, dtype=int))
    return "the first" if list(found) == [1] else "the last" if list(found) == [3] else f"{found}"


def asked(rows):
    return pd.DataFrame({"t": np.arange(rows) % 1000})


def with_duckdb(rows, threads=1, threshold=None):
    connection = duckdb.connect(config={"threads": threads})
    if threshold is not None:
        connection.execute(f"SET asof_loop_join_threshold = {threshold}")
    connection.register("asked", asked(rows))
    connection.register("readings", readings)
    query = "SELECT version FROM asked ASOF JOIN readings ON asked.t >= readings.t"
    return versions(connection.execute(query).fetchnumpy()["version"])


for rows in (1, 63, 64, 100_000):
    with_pandas = pd.merge_asof(asked(rows).sort_values("t"), readings, on="t")["version"]
    left, right = pl.DataFrame({"t": asked(rows)["t"].to_numpy()}), pl.DataFrame({k: readings[k].to_numpy() for k in readings})
    with_polars = left.sort("t").join_asof(right, on="t")["version"]
    print(f"{rows} rows: pandas {versions(with_pandas)}, polars {versions(with_polars)}, DuckDB {with_duckdb(rows)}")
print("63 rows, two threads:", with_duckdb(63, threads=2))
print("64 rows, two threads:", with_duckdb(64, threads=2))
print("63 rows, asof_loop_join_threshold = 0:", with_duckdb(63, threshold=0))
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py")
echo "duckdb 2.0.1, pandas 3.0.6, polars 2.1.0:"
echo "$found"
expected='1 rows: pandas the last, polars the last, DuckDB the first
63 rows: pandas the last, polars the last, DuckDB the first
64 rows: pandas the last, polars the last, DuckDB the last
100000 rows: pandas the last, polars the last, DuckDB the last
63 rows, two threads: the first
64 rows, two threads: the last
63 rows, asof_loop_join_threshold = 0: the last'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
