#!/usr/bin/env bash
# numba: np.median of a series with a NaN is a number or NaN, by the order of the values; numpy's is NaN, as are numba's other measures.
#
# One would expect: inside of njit np.median gives what numpy gives: NaN where one value is NaN. Numba's mean, max and percentile
# (also of 50) do, and its nanmedian leaves NaN out.
# What happens (numba 0.68.1): the values are partitioned by comparisons that are all false for NaN, so that the middle one hangs on
# where the NaN stood. 2 3 4 5 NaN, of which the median without NaN is 3.5, has 3, 4, 5 or NaN in their 120 orders, 4 in more
# than half of them. Of a thousand windows of 21 steps with one NaN at the start 51 are NaN and 949 a number; backwards
# all are. Nothing is said. A change that would mend it (github.com/numba/numba/pull/10385) was closed.
# Why it matters to a pipeline of series: medians of windows are written with numba for speed and tried against numpy on whole
# series. Where a sensor has gaps, features are then neither missing nor right, a check for NaN in the output finds few of
# them, and sorting or reversing a window moves them.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check numba==0.68.1 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
from collections import Counter
from itertools import permutations

import numpy as np
from numba import njit


@njit
def median(x):
    return np.median(x)


@njit
def others(x):
    return np.percentile(x, 50.0), np.mean(x), np.max(x), np.nanmedian(x)


def counted(values, measure):
    found = Counter(f"{measure(np.array(order)):g}" for order in permutations(values))
    return ", ".join(f"{value} ({count} orders)" for value, count in sorted(found.items()))


nan = float("nan")
for values in ([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 3.0, 4.0, 5.0, nan], [3.0, 4.0, 5.0, nan, nan]):
    print(f"median of {' '.join(f'{value:g}' for value in values)}")
    print("  numpy:", counted(values, np.median))
    print("  numba:", counted(values, median))
print("numba, percentile of 50, mean, max, nanmedian of 2 3 4 5 NaN:", *others(np.array([2.0, 3.0, 4.0, 5.0, nan])))
windows = np.random.default_rng(0).normal(size=(1000, 21))
windows[:, 0] = nan
medians = np.array([median(window) for window in windows])
print("windows of 21 steps, the first NaN: of 1000 medians", np.isnan(medians).sum(), "NaN,", end=" ")
reverse = np.array([median(window[::-1]) for window in windows])
print("backwards", np.isnan(reverse).sum(), "NaN; by numpy", np.isnan(np.median(windows, axis=1)).sum())
PYTHON
found=$("$folder/venv/bin/python" "$folder/look.py")
echo "numba 0.68.1:"
echo "$found"
expected='median of 1 2 3 4 5
  numpy: 3 (120 orders)
  numba: 3 (120 orders)
median of 2 3 4 5 nan
  numpy: nan (120 orders)
  numba: 3 (16 orders), 4 (66 orders), 5 (2 orders), nan (36 orders)
median of 3 4 5 nan nan
  numpy: nan (120 orders)
  numba: 4 (44 orders), 5 (16 orders), nan (60 orders)
numba, percentile of 50, mean, max, nanmedian of 2 3 4 5 NaN: nan nan nan 3.5
windows of 21 steps, the first NaN: of 1000 medians 51 NaN, backwards 0 NaN; by numpy 1000'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
