#!/usr/bin/env bash
# narwhals: the same rolling mean on a pyarrow table drifts with the rows, and one NaN or fill value spoils all windows after it.
#
# One would expect: nw.col("x").rolling_mean(10) means the ten last rows whatever library holds the frame, as is the case for
# polars and pandas, and as narwhals promises (one expression, any library); its page on nulls and NaN says nothing of windows.
# What happens (narwhals 2.28.0): on pyarrow a window is the difference of two running sums over the whole column, in the
# column's own type. Of air pressures of 1,013 +- 5 hPa in float32 the mean of ten steps is off by more than 0.1 after 10,000
# rows, by more than 10 after a million. After one NaN, or an infinity, all later windows are NaN; after one 1e20, the usual
# fill value of climate data, all are 0. rolling_sum alike; rolling_std of a float64 column around 1e9 is 0.
# Nothing is said.
# Why it matters to a pipeline of series: sensors' files are float32 with fill values, and Parquet read by pyarrow is a pyarrow
# table; features written once with narwhals then depend on what reads the file, and on how far down a row stands.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check narwhals==2.28.0 polars==2.1.0 pyarrow==26.0.1 \
    numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import narwhals as nw
import numpy as np
import polars as pl
import pyarrow as pa

MAKERS = {"polars": pl.DataFrame, "pyarrow": pa.table}


def windows(maker, values, expression):
    frame = nw.from_native(maker({"x": values}), eager_only=True)
    return frame.select(expression)["x"].to_numpy().astype(float)


def worst(found, values):
    right = np.lib.stride_tricks.sliding_window_view(values.astype(float), 10).mean(axis=1)
    off = np.abs(found[9:] - right).max()
    return next((f"more than {bound}" for bound in (10, 0.1, 0.01) if off > bound), "less than 0.01")


pressure = (1013 + 5 * np.random.default_rng(0).normal(size=1_000_000)).astype(np.float32)
for name, maker in MAKERS.items():
    for rows in (10_000, 1_000_000):
        found = windows(maker, pressure[:rows], nw.col("x").rolling_mean(10))
        print(f"{name}: mean of ten of {rows:,} float32 is off by {worst(found, pressure[:rows])}")
    for odd in (np.nan, 1e20):
        values = np.ones(8)
        values[2] = odd
        print(f"{name}: means of two after one {odd:g}: {windows(maker, values, nw.col('x').rolling_mean(2))[4:]}")
    high = windows(maker, 1e9 + np.arange(6.0), nw.col("x").rolling_std(2))
    print(f"{name}: deviations of 1e9, 1e9 + 1, ...: {high[1:].round(3)}")
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py")
echo "narwhals 2.28.0, polars 2.1.0, pyarrow 26.0.1:"
echo "$found"
expected='polars: mean of ten of 10,000 float32 is off by less than 0.01
polars: mean of ten of 1,000,000 float32 is off by less than 0.01
polars: means of two after one nan: [1. 1. 1. 1.]
polars: means of two after one 1e+20: [1. 1. 1. 1.]
polars: deviations of 1e9, 1e9 + 1, ...: [0.707 0.707 0.707 0.707 0.707]
pyarrow: mean of ten of 10,000 float32 is off by more than 0.1
pyarrow: mean of ten of 1,000,000 float32 is off by more than 10
pyarrow: means of two after one nan: [nan nan nan nan]
pyarrow: means of two after one 1e+20: [0. 0. 0. 0.]
pyarrow: deviations of 1e9, 1e9 + 1, ...: [0. 0. 0. 0. 0.]'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
