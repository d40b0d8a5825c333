#!/usr/bin/env bash
# numpy's nanmean of float16 adds in float16, where mean adds in float32: channels of some thousand steps have a mean of infinity.
#
# One would expect: nanmean of an array gives what mean gives without the missing values; mean's page says that it computes halves
# in float32 for better precision, and nanmean has the same words about its dtype.
# What happens (numpy 2.4.6): nanmean sums in float16. Along the first axis of (steps, channels) values are added one by one, so
# that 20.5 counts as 16 or 32 as the sum grows: 2,000 steps have a mean of 20.0, 3,000 one of inf, though their sum, 61,480, is
# one that float16 holds. Of one channel alone 5,000 steps are enough. nanstd and nanvar are inf, too, and so is nanmean where nothing
# is missing; nanmedian is right, and so is nanmean with dtype=np.float32.
# Why it matters to a pipeline of series: sensors with gaps are stored as float16 to save memory, and a scaler takes their mean along
# the steps. 20.39 for 20.5 passes every check; inf turns the channel into NaN.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import numpy as np

for steps in (1000, 2000, 3000, 5000):
    channels = np.full((steps, 2), 20.5, dtype=np.float16)
    whole = channels.mean(axis=0)[0]
    channels[0] = np.nan
    found = {
        "mean without it": whole,
        "nanmean": np.nanmean(channels, axis=0)[0],
        "in float32": np.nanmean(channels, axis=0, dtype=np.float32)[0],
        "of one channel": np.nanmean(channels[:, 0]),
        "its nanstd": np.nanstd(channels[:, 0]),
        "its nanmedian": np.nanmedian(channels[:, 0]),
    }
    print(f"{steps:,} steps, one missing:", ", ".join(f"{name} {value:.2f}" for name, value in found.items()))
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py")
echo "numpy 2.4.6, float16 values of 20.5:"
echo "$found"
expected='1,000 steps, one missing: mean without it 20.50, nanmean 20.39, in float32 20.50, of one channel 20.50, its nanstd 0.00, its nanmedian 20.50
2,000 steps, one missing: mean without it 20.50, nanmean 20.00, in float32 20.50, of one channel 20.50, its nanstd 0.00, its nanmedian 20.50
3,000 steps, one missing: mean without it 20.50, nanmean inf, in float32 20.50, of one channel 20.50, its nanstd 0.00, its nanmedian 20.50
5,000 steps, one missing: mean without it 20.50, nanmean inf, in float32 20.50, of one channel inf, its nanstd inf, its nanmedian 20.50'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
