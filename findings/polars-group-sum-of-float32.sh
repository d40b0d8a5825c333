#!/usr/bin/env bash
# The sum of a float32 column inside group_by stops growing at 2^24 a thread; the same sum outside of it is right.
#
# One would expect: df.group_by("series").agg(pl.col("x").sum()) gives the sum that df["x"].sum() gives where there is one
# group, whatever the number of threads (polars' docs: sums of floats are of the column's type; outside of groups it adds
# in blocks and loses nothing here; mean inside of groups is right, too).
# What happens (polars 2.1.0): inside of groups float32 values are added one by one in float32, so that a thread's part
# never passes 16,777,216 where the values are 1. 3 * 2^24 ones give a third of their sum with one thread, two thirds
# with two, all of it with four; so do dot, filtered sums and maintain_order. Nothing is said.
# Why it matters to a pipeline of series: counts, energies and volumes by subject or day from float32 files (most Parquet
# files of sensors) are too small by an amount that hangs on the machine. Cast to float64 first.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check polars==2.1.0 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import numpy as np
import polars as pl

n = 3 * 2**24
frame = pl.DataFrame({"series": np.zeros(n, dtype=np.int8), "x": np.ones(n, dtype=np.float32)})
x = pl.col("x")
wanted = {"sum": x.sum(), "mean": x.mean(), "sum64": x.cast(pl.Float64).sum()}
grouped = frame.group_by("series").agg(**wanted)
sums = grouped.drop("series").row(0, named=True)
print(f"{pl.thread_pool_size()} threads: column {frame['x'].sum():.0f},", ", ".join(f"{k} {v:.0f}" for k, v in sums.items()))
PYTHON
found=$(for threads in 1 2 4; do POLARS_MAX_THREADS=$threads "$folder/venv/bin/python" "$folder/look.py"; done)
echo "polars 2.1.0, 50331648 ones in one group:"
echo "$found"
expected='1 threads: column 50331648, sum 16777216, mean 1, sum64 50331648
2 threads: column 50331648, sum 33554432, mean 1, sum64 50331648
4 threads: column 50331648, sum 50331648, mean 1, sum64 50331648'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
