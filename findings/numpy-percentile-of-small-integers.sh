#!/usr/bin/env bash
# numpy: the 50th percentile of an int16 signal between -20,000 and 20,000 is 32,768; its median is 0.
#
# One would expect: a percentile lies between the smallest and the largest value, and percentile(x, 50) is median(x). The docs
# promise float64 for whole numbers, and method="linear" interpolates between two of the sorted values.
# What happens (numpy 2.4.6): the difference of the two values is taken in the array's own type, where it wraps around, and is made
# a float only then. Where a signed type's neighbours lie further apart than the type reaches (128 for int8, 32,768 for
# int16) percentile, quantile and their nan- forms leave the range of the data. Most methods do so; median and the
# same values as float64 are right. With several percentiles, or along an axis, nothing is said; a single one may warn
# of an overflow. Known as github.com/numpy/numpy/issues/29315; the mending (pull request 30376) is open.
# Why it matters to a pipeline of series: sound, ECG and accelerometers come as int16, and a clipped, square or on-off signal has
# nothing between its two levels. Robust scaling by quartiles and clipping at percentiles then move single series in
# silence, by more than their whole range. Cast to float first.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import warnings

import numpy as np

square = np.where(np.arange(1000) % 2, 20_000, -20_000).astype(np.int16)
series = np.stack([square, square // 2])
with warnings.catch_warnings():
    warnings.simplefilter("error")
    print("int16, 5, 50, 95:", *np.percentile(square, [5, 50, 95]).tolist())
    print("float64, 5, 50, 95:", *np.percentile(square.astype(float), [5, 50, 95]).tolist())
    print("median:", float(np.median(square)))
    print("nanquantile:", np.nanquantile(square, [0.5]).tolist())
    print("two series, the second half as loud:", np.percentile(series, 50, axis=1).tolist())
    few = np.array([-100, -90, 90, 100], np.int8)
    print("int8, 25, 50, 75 of -100 -90 90 100:", *np.percentile(few, [25, 50, 75]).tolist())
    print("midpoint:", np.percentile(few, [50], method="midpoint").tolist())
    print("hazen, 40 %:", np.percentile(few, [40], method="hazen").round(1).tolist())
    print("hazen, 40 %, as float:", np.percentile(few.astype(float), [40], method="hazen").round(1).tolist())
PYTHON
found=$("$folder/venv/bin/python" "$folder/look.py")
echo "numpy 2.4.6:"
echo "$found"
expected='int16, 5, 50, 95: -20000.0 32768.0 20000.0
float64, 5, 50, 95: -20000.0 0.0 20000.0
median: 0.0
nanquantile: [32768.0]
two series, the second half as loud: [32768.0, 0.0]
int8, 25, 50, 75 of -100 -90 90 100: -92.5 128.0 92.5
midpoint: [128.0]
hazen, 40 %: [-97.6]
hazen, 40 %, as float: [-72.0]'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
