#!/usr/bin/env bash
# aeon: the derivative DTW of two series within a window is another number one by one than in a matrix of pairs.
#
# One would expect: ddtw_pairwise_distance(X, window=w)[i, j] is ddtw_distance(X[i], X[j], window=w), as it is without a window,
# and as dtw_pairwise_distance is dtw_distance with any window.
# What happens (aeon 1.6.0): one by one the window is a share of the derivatives' steps, which are two fewer than the series'; in
# a matrix, of the series' own. Where rounding down differs, the window has a step less. Of random walks of 100 steps with
# a window of 0.05 nearly all pairs differ, by a factor of up to 1.38, and a third of the series have another nearest
# neighbour; of 50 steps with 0.02 by a factor of up to 2.81; of 50 steps with 0.05 all agree. Weighted derivative DTW
# (wddtw) alike. Nothing is said.
# Why it matters to a pipeline of series: a matrix of training series is made at once, a new series is compared one by one: a
# threshold, a k-NN or a kernel fitted on the one is used on the other.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check aeon==1.6.0 numpy==2.3.5
cat >"$folder/look.py" <<'PYTHON'
import numpy as np
from aeon.distances import ddtw_distance, ddtw_pairwise_distance, dtw_distance, dtw_pairwise_distance

DISTANCES = {"dtw": (dtw_distance, dtw_pairwise_distance), "ddtw": (ddtw_distance, ddtw_pairwise_distance)}
for steps, window in ((100, None), (100, 0.05), (50, 0.02), (50, 0.05)):
    walks = np.random.default_rng(0).normal(size=(30, 1, steps)).cumsum(axis=2)
    for name, (single, pairwise) in DISTANCES.items():
        at_once = pairwise(walks, window=window)
        alone = np.array([[single(one, other, window=window) for other in walks] for one in walks])
        upper = np.triu_indices(30, 1)
        differ = ~np.isclose(at_once, alone)[upper]
        ratio = (alone[upper] / at_once[upper]).max()
        np.fill_diagonal(at_once, np.inf), np.fill_diagonal(alone, np.inf)
        moved = (at_once.argmin(axis=1) != alone.argmin(axis=1)).sum()
        counts = f"{differ.sum()} of {len(differ)} pairs differ, by a factor of up to {ratio:.2f}"
        print(f"{name}, {steps} steps, window {window}: {counts}; {moved} of 30 have another neighbour")
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py")
echo "aeon 1.6.0:"
echo "$found"
expected='dtw, 100 steps, window None: 0 of 435 pairs differ, by a factor of up to 1.00; 0 of 30 have another neighbour
ddtw, 100 steps, window None: 0 of 435 pairs differ, by a factor of up to 1.00; 0 of 30 have another neighbour
dtw, 100 steps, window 0.05: 0 of 435 pairs differ, by a factor of up to 1.00; 0 of 30 have another neighbour
ddtw, 100 steps, window 0.05: 429 of 435 pairs differ, by a factor of up to 1.38; 11 of 30 have another neighbour
dtw, 50 steps, window 0.02: 0 of 435 pairs differ, by a factor of up to 1.00; 0 of 30 have another neighbour
ddtw, 50 steps, window 0.02: 435 of 435 pairs differ, by a factor of up to 2.81; 15 of 30 have another neighbour
dtw, 50 steps, window 0.05: 0 of 435 pairs differ, by a factor of up to 1.00; 0 of 30 have another neighbour
ddtw, 50 steps, window 0.05: 0 of 435 pairs differ, by a factor of up to 1.00; 0 of 30 have another neighbour'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
