#!/usr/bin/env bash
# With bottleneck installed, pandas' std and var of a float32 column grow with its rows: 5 becomes 8, 11, 154. Its mean stays right.
#
# One would expect: an accelerator that pandas uses by itself changes no digit that matters, or that pandas keeps away from it
# what it can't do, as it does for sums; sem(), which is std / sqrt(n), agrees with std().
# What happens (pandas 3.0.6, bottleneck 1.6.0): std and var of float32 go to bottleneck, which adds in float32, one by one. Of
# air pressures of 1,013 +- 5 hPa the standard deviation is 8.3 from a million rows, 11.3 from five, 155 from twenty. Column by
# column of a frame, too; sem(), skew() and groupby().std() are right, and so is all of it with the option
# compute.use_bottleneck off. Nothing is said.
# Why it matters to a pipeline of series: files of sensors are float32, the columns are long, and a scaler fitted by pandas then
# hangs on whether a package is installed that nothing of one's own imports (pandas[performance] installs it).
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check pandas==3.0.6 bottleneck==1.6.0 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
for rows in (100_000, 1_000_000, 5_000_000, 20_000_000):
    pressure = pd.Series((1013 + 5 * rng.standard_normal(rows)).astype(np.float32))
    found = {"std": pressure.std(), "of a frame": pressure.to_frame().std().iloc[0], "sem * sqrt(n)": pressure.sem() * rows**0.5}
    found["by group"] = pressure.groupby(np.zeros(rows, dtype=np.int8)).std().iloc[0]
    with pd.option_context("compute.use_bottleneck", False):
        found["without bottleneck"] = pressure.std()
    print(f"{rows:,} rows, mean {pressure.mean():.1f}:", ", ".join(f"{name} {float(each):.1f}" for name, each in found.items()))
PYTHON
found=$("$folder/venv/bin/python" "$folder/look.py")
echo "pandas 3.0.6, bottleneck 1.6.0, 1,013 hPa with a standard deviation of 5.0:"
echo "$found"
expected='100,000 rows, mean 1013.0: std 5.0, of a frame 5.0, sem * sqrt(n) 5.0, by group 5.0, without bottleneck 5.0
1,000,000 rows, mean 1013.0: std 8.3, of a frame 8.3, sem * sqrt(n) 5.0, by group 5.0, without bottleneck 5.0
5,000,000 rows, mean 1013.0: std 11.3, of a frame 11.3, sem * sqrt(n) 5.0, by group 5.0, without bottleneck 5.0
20,000,000 rows, mean 1013.0: std 154.5, of a frame 154.5, sem * sqrt(n) 5.0, by group 5.0, without bottleneck 5.0'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
