#!/usr/bin/env bash
# polars: the maximum of a window with a NaN hangs on which of three spellings of the same window is used.
#
# One would expect: max skips NaN (its docs say so; nan_max is the one that does not), so that rolling_max(3),
# rolling_max_by("t", "3i") and max() in rolling("t", period="3i") agree, as they do without NaN.
# What happens (polars 2.1.0): rolling(...).agg(max) and a group's max skip the NaN; rolling_max and rolling_max_by return
# NaN for every window that holds one; rolling_median in any spelling neither skips nor returns it, but sorts it as
# the largest number, so that the median of a window of three moves up by a rank. Minima alike.
# Why it matters to a pipeline of series: missing samples of a sensor come as NaN from NumPy and Parquet. Rewriting a
# feature from a count of rows to a duration changes which rows are missing, and medians are biased upwards in
# silence. fill_nan(None) first: nulls are skipped by all of them.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check polars==2.1.0
cat >"$folder/look.py" <<'PYTHON'
import polars as pl

frame = pl.DataFrame({"t": [0, 1, 2, 3, 4], "x": [1.0, 2.0, float("nan"), 4.0, 5.0]})
for name in ("max", "min", "median"):
    x = pl.col("x")
    by_rows = frame.select(getattr(x, f"rolling_{name}")(3, min_samples=1))["x"]
    by_time = frame.select(getattr(x, f"rolling_{name}_by")("t", "3i"))["x"]
    windows = frame.rolling("t", period="3i").agg(getattr(x, name)())["x"]
    nulls = frame.select(getattr(x.fill_nan(None), f"rolling_{name}")(3, min_samples=1))["x"]
    for spelling, values in {"by rows": by_rows, "by time": by_time, "windows": windows, "as null": nulls}.items():
        print(f"{name}, {spelling}:", *(f"{value:g}" for value in values))
PYTHON
found=$("$folder/venv/bin/python" "$folder/look.py")
echo "polars 2.1.0, windows of three of 1 2 NaN 4 5:"
echo "$found"
expected='max, by rows: 1 2 nan nan nan
max, by time: 1 2 nan nan nan
max, windows: 1 2 2 4 5
max, as null: 1 2 2 4 5
min, by rows: 1 1 nan nan nan
min, by time: 1 1 nan nan nan
min, windows: 1 1 1 2 4
min, as null: 1 1 1 2 4
median, by rows: 1 1.5 2 4 5
median, by time: 1 1.5 2 4 5
median, windows: 1 1.5 2 4 5
median, as null: 1 1.5 1.5 3 4.5'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
