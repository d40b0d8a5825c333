#!/usr/bin/env bash
# aeon's Catch22: a run of three steps counts 3, 4 or 2 by where in the series it stands; and two short names are swapped.
#
# One would expect: "stretch_high" is the longest run of steps above the mean and "stretch_decreasing" the longest run of
# falls, wherever they stand; "low_freq_power" is a share of power, from 0 to 1, and "centroid_freq" a frequency.
# What happens (aeon 1.6.0): a run that begins with the series has its own length, one in the middle a step more, and the
# last step is never read; a series without a fall has a longest run of 1. "low_freq_power" returns the centroid (2.5
# for a sine of 2.5 rad a step) and "centroid_freq" the share of power. pycatch22 1.0.2 counts 3 wherever the run stands and names
# both as they are (before 0.6 it counted as aeon does). Nothing is said.
# Why it matters to a pipeline of series: lengths of runs are among the few features that people read, and in windows cut from a
# series the same event moves, so its feature moves between 2, 3 and 4. A report on "low_freq_power" tells the opposite.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check aeon==1.6.0 pycatch22==1.0.2 numpy==2.3.5
cat >"$folder/look.py" <<'PYTHON'
import numpy as np
import pycatch22
from aeon.transformations.collection.feature_based import Catch22


def of_aeon(name, series):
    return float(Catch22(features=[name]).fit_transform(np.array([[series]], dtype=float))[0, 0])


def of_pycatch22(name, series):
    return float(pycatch22.compute_feature([float(value) for value in series], name))


for place, begin in (("the begin", 0), ("the middle", 8), ("the end", 17)):
    run = np.zeros(20)
    run[begin : begin + 3] = 1
    counts = [f"{kind('stretch_high', run):g}" for kind in (of_aeon, of_pycatch22)]
    print(f"three steps above the mean at {place}: aeon {counts[0]}, pycatch22 {counts[1]}")
print(f"falls in a series that only rises: aeon {of_aeon('stretch_decreasing', np.arange(20)):g}")
for frequency in (0.2, 2.5):
    sine = np.sin(frequency * np.arange(200))
    power, centroid = (of_aeon(name, sine) for name in ("low_freq_power", "centroid_freq"))
    print(f"sine of {frequency} rad a step: low_freq_power of aeon {power:.1f}, centroid_freq {centroid:.1f};", end=" ")
    print(f"of pycatch22 {of_pycatch22('low_freq_power', sine):.1f}")
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py")
echo "aeon 1.6.0, pycatch22 1.0.2:"
echo "$found"
expected='three steps above the mean at the begin: aeon 3, pycatch22 3
three steps above the mean at the middle: aeon 4, pycatch22 3
three steps above the mean at the end: aeon 2, pycatch22 3
falls in a series that only rises: aeon 1
sine of 0.2 rad a step: low_freq_power of aeon 0.2, centroid_freq 0.5; of pycatch22 1.0
sine of 2.5 rad a step: low_freq_power of aeon 2.5, centroid_freq 0.0; of pycatch22 0.0'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
