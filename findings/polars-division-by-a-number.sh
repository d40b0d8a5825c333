#!/usr/bin/env bash
# A float64 column divided by a number is multiplied by the number's reciprocal: 3.0 / 10.0 is 0.30000000000000004.
#
# One would expect: pl.Series([3.0]) / 10.0 is [0.3], as Python, numpy and pandas have it (IEEE 754: the nearest float64 to
# the quotient). polars' docs say nothing else of `/`.
# What happens (polars 2.1.0): a third of the whole numbers up to 100,000 divided by 10 are one unit in the last place off, in
# Series, eager and lazy frames. Divided by a column of tens they are right, and so is each row in a frame of its own.
# Why it matters to a pipeline of series: nanoseconds / 1e9 are no whole seconds, so that keys of joins and conditions
# such as t == 0.3 miss rows that other programs find, and features differ from those that numpy makes at inference.
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

n = np.arange(1.0, 100_001.0)
frame = pl.DataFrame({"n": n, "ten": np.full(len(n), 10.0)})
quotients = {
    "series": frame["n"] / 10.0,
    "eager": frame.select(pl.col("n") / 10.0).to_series(),
    "lazy": frame.lazy().select(pl.col("n") / 10.0).collect().to_series(),
    "column": frame.select(pl.col("n") / pl.col("ten")).to_series(),
}
alone = [frame[row].select(pl.col("n") / 10.0).item() for row in range(1000)]
print("3 / 10:", (pl.Series([3.0]) / 10.0)[0])
print("differ from numpy:", {name: int((values.to_numpy() != n / 10.0).sum()) for name, values in quotients.items()})
print("of 1000 rows, each in a frame of its own:", sum(alone != n[:1000] / 10.0))
PYTHON
found=$("$folder/venv/bin/python" "$folder/look.py")
echo "polars 2.1.0, 1 to 100000 divided by 10:"
echo "$found"
expected="3 / 10: 0.30000000000000004
differ from numpy: {'series': 33453, 'eager': 33453, 'lazy': 33453, 'column': 0}
of 1000 rows, each in a frame of its own: 0"
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
