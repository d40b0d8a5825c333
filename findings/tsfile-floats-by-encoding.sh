#!/usr/bin/env bash
# Apache TsFile from Python: with two of its encodings floats are read back as other numbers, some of them by 300 orders.
#
# One would expect: an encoding changes the size of a file, not its values; one that rounds says so or has an option for the
# digits. Writing raises NotSupportedError where a type can't have an encoding (RLE and ZIGZAG on floats do).
# What happens (tsfile 2.5.0, set_tsfile_config): PLAIN, GORILLA and CHIMP are exact. TS_2DIFF keeps two decimals: what is
# smaller than 0.005 is read as 0. SPRINTZ, which is lossless by its paper, gives other numbers for more than half of the steps
# of a series around 0, the first of them with the other sign, some above 1e100; a series around 300 is exact. Neither
# writing nor reading says a word. Columns of integers are exact.
# Why it matters to a pipeline of series: encodings are picked by a trial of their sizes. A trial on a temperature in kelvin
# comes back exact with SPRINTZ, one on prices in cents with TS_2DIFF; accelerations, returns and standardised values don't.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check tsfile==2.5.0 numpy==2.4.6 pandas==2.3.3
cat >"$folder/look.py" <<'PYTHON'
import os
import sys

import numpy as np
import pandas as pd
import tsfile

STEPS, path = 3000, os.path.join(sys.argv[1], "series.tsfile")


def back(values):
    if os.path.exists(path):
        os.remove(path)
    tsfile.dataframe_to_tsfile(pd.DataFrame({"time": np.arange(STEPS), "v": values}), path, table_name="series")
    return tsfile.to_dataframe(path, table_name="series")["v"].to_numpy(dtype=np.float64)


rng = np.random.default_rng(0)
around_zero = rng.normal(size=STEPS)
series = {"around 0": around_zero, "small": np.abs(around_zero) / 1000, "around 300": around_zero + 300}
back(around_zero)  # settings made before the first file are lost
for name in ("PLAIN", "GORILLA", "CHIMP", "TS_2DIFF", "SPRINTZ"):
    tsfile.set_tsfile_config({"double_encoding_type_": getattr(tsfile.TSEncoding, name)})
    for kind, values in series.items():
        found = back(values)
        differ = found != values
        if not differ.any():
            print(f"{name}, {kind}: exact")
        elif np.allclose(found, np.round(values, 2), rtol=0, atol=1e-9):
            print(f"{name}, {kind}: rounded to two decimals")
        else:
            first, above = int(np.argmax(differ)), np.nanmax(np.abs(found)) > 1e100
            print(f"{name}, {kind}: {'more' if differ.mean() > 0.5 else 'less'} than half differ,", end=" ")
            print(f"the first is {found[first] / values[first]:g} times what it was, {'some' if above else 'none'} are above 1e100")
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py" "$folder")
echo "tsfile 2.5.0:"
echo "$found"
expected='PLAIN, around 0: exact
PLAIN, small: exact
PLAIN, around 300: exact
GORILLA, around 0: exact
GORILLA, small: exact
GORILLA, around 300: exact
CHIMP, around 0: exact
CHIMP, small: exact
CHIMP, around 300: exact
TS_2DIFF, around 0: rounded to two decimals
TS_2DIFF, small: rounded to two decimals
TS_2DIFF, around 300: rounded to two decimals
SPRINTZ, around 0: more than half differ, the first is -1 times what it was, some are above 1e100
SPRINTZ, small: more than half differ, the first is -1 times what it was, some are above 1e100
SPRINTZ, around 300: exact'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
