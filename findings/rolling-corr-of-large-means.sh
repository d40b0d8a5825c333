#!/usr/bin/env bash
# Rolling correlations of polars and pandas leave [-1, 1] where the columns' means are large beside their deviations.
#
# One would expect: a rolling correlation of float64 columns that loses digits at worst as their variance does; polars'
# corr and rolling_var, pandas' rolling var and DuckDB's windowed corr all keep their digits on the columns below.
# What happens (polars 2.1.0, pandas 3.0.6): rolling_corr and rolling_cov (polars), rolling().corr and .cov (pandas) subtract
# the product of the means from the mean of the products. With deviations of 1 and a true correlation near 0.64, a mean
# of 1e6 costs the fourth digit, 1e8 gives 0, and 1e9 a correlation of -131. No warning, no NaN.
# Why it matters to a pipeline of series: pressures in Pa, epoch times, prices in cents and counters look like this. A
# feature of 0 or -131 passes every check for NaN. Subtract a constant first: correlations don't change.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check polars==2.1.0 pandas==3.0.6 \
    duckdb==2.0.1 numpy==2.4.6 pyarrow==26.0.1
cat >"$folder/look.py" <<'PYTHON'
import duckdb
import numpy as np
import polars as pl

steps = np.arange(1000)
a, b = np.sin(steps) * 1.4, np.sin(steps + 0.87) * 1.4  # deviations of 1, correlation 0.64
for mean in (0.0, 1e6, 1e8, 1e9):
    frame = pl.DataFrame({"a": a + mean, "b": b + mean})
    both = frame.to_pandas()
    sql = """select corr(a, b) over (order by step rows 99 preceding) from
             (select *, row_number() over () as step from frame) order by step desc limit 1"""
    values = {
        "truth": np.corrcoef(frame["a"].to_numpy()[-100:] - mean, frame["b"].to_numpy()[-100:] - mean)[0, 1],
        "DuckDB": duckdb.sql(sql).fetchall()[0][0],
        "polars": frame.select(pl.rolling_corr("a", "b", window_size=100))["a"][-1],
        "pandas": both["a"].rolling(100).corr(both["b"]).iloc[-1],
    }
    places = {name: "within" if abs(value) <= 1 else "OUTSIDE" for name, value in values.items()}
    print(f"mean {mean:g}:", ", ".join(f"{name} {places[name]} {value:.4f}" for name, value in values.items()))
PYTHON
found=$("$folder/venv/bin/python" "$folder/look.py")
echo "polars 2.1.0, pandas 3.0.6, the last of 1,000 steps, window of 100:"
echo "$found"
for library in polars pandas; do # the digits that rounding leaves may differ between processors; that it leaves [-1, 1] not
    grep -q "mean 1e+09:.*DuckDB within 0\.64.*$library OUTSIDE" <<<"$found" || { echo "$library has changed." && exit 1; }
done
grep -q 'mean 0: truth within 0\.64.*polars within 0\.64.*pandas within 0\.64' <<<"$found" || { echo "changed." && exit 1; }
