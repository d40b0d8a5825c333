#!/usr/bin/env bash
# pandas 3: a window of 1.5 s over whole seconds is one of 1 s, until one time of the column has a fraction.
#
# One would expect: rolling("1500ms"), a halflife of "1500ms" and resample(offset="500ms") mean what they say whatever unit
# the times are kept in, or raise, as resample("1500ms") does ("incompatible with unit=s").
# What happens (pandas 3.0.6): to_datetime(numbers, unit="s") now gives datetime64[s] where all numbers are whole, floats too, and
# datetime64[ns] where one is not. Durations are cut down to the column's unit: on whole seconds 1.5 s count as 1 s in
# rolling (also on=, groupby and center) and ewm(times=), resample's offset of 0.5 s as none; floor("500ms") leaves all as it is,
# floor("1500ms") gives other seconds. With datetime64[ms], [us], [ns] all is right. Nothing is said.
# Why it matters to a pipeline of series: epochs in seconds are the usual form of logs, and windows of 1.5 or 2.5 s are taken
# to be safe from jitter. Each window loses a reading; whether it does hangs on other rows of the file, so that
# training and a test series differ. .as_unit("ns") after to_datetime helps.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check pandas==3.0.6 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import pandas as pd

for last in (5.0, 5.5):
    times = pd.to_datetime([0.0, 1.0, 2.0, 3.0, 4.0, last], unit="s")
    series = pd.Series([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], index=times)
    frame = series.rename_axis("t").rename("x").reset_index().assign(key=1)
    print(f"0, 1, 2, 3, 4 and {last} s: {times.dtype}")
    print("  rows in 1.5 s:", series.rolling("1500ms").count()[:5].astype(int).tolist())
    print("  the same, a group:", frame.groupby("key").rolling("1500ms", on="t")["x"].count()[:5].astype(int).tolist())
    print("  in 2.5 s, centred:", series.rolling("2500ms", center=True).count()[:5].astype(int).tolist())
    print("  halflife 1.5 s:", series.ewm(halflife="1500ms", times=times).mean()[:5].round(3).tolist())
    begins = series.resample("2s", offset="500ms").sum().index
    print("  bins of 2 s, from 0.5 s on, begin at", *(f"{begin.second + begin.microsecond / 1e6:g}" for begin in begins[-2:]))
    print("  floor to 1.5 s:", *(f"{time.second + time.microsecond / 1e6:g}" for time in times.floor("1500ms")[:5]))
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py")
echo "pandas 3.0.6:"
echo "$found"
expected='0, 1, 2, 3, 4 and 5.0 s: datetime64[s]
  rows in 1.5 s: [1, 1, 1, 1, 1]
  the same, a group: [1, 1, 1, 1, 1]
  in 2.5 s, centred: [2, 2, 2, 2, 2]
  halflife 1.5 s: [1.0, 1.667, 2.429, 3.267, 4.161]
  bins of 2 s, from 0.5 s on, begin at 2 4
  floor to 1.5 s: 0 1 2 3 4
0, 1, 2, 3, 4 and 5.5 s: datetime64[ns]
  rows in 1.5 s: [1, 2, 2, 2, 2]
  the same, a group: [1, 2, 2, 2, 2]
  in 2.5 s, centred: [2, 3, 3, 3, 2]
  halflife 1.5 s: [1.0, 1.614, 2.298, 3.045, 3.848]
  bins of 2 s, from 0.5 s on, begin at 2.5 4.5
  floor to 1.5 s: 0 0 1.5 3 3'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
