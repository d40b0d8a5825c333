#!/usr/bin/env bash
# tslearn's piecewise aggregates leave out the end of a series whose length is no multiple of the number of segments.
#
# One would expect: Piecewise Aggregate Approximation (Keogh & Pazzani 2000) cuts the whole series into segments; where the
# length does not divide, as most lengths don't, segments differ by a step or share one (pyts does so), or it raises.
# What happens (tslearn 0.10.0): each segment has length // n_segments steps and the rest is never read: of 11 steps in 6
# segments the last 5, 45 % of the series. inverse_transform has zeros there. Two series that differ only at the end
# have distance 0; SAX, built on it, gives them the same symbols. Nothing is said.
# Why it matters to a pipeline of series: what is predicted often shows at the end of a series; with unequal lengths
# another share of each is lost.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check tslearn==0.10.0 pyts==0.13.0 numpy==2.3.5
cat >"$folder/look.py" <<'PYTHON'
import numpy as np
from pyts.approximation import PiecewiseAggregateApproximation as OfPyts
from tslearn.piecewise import PiecewiseAggregateApproximation

steps = np.arange(11.0).reshape(1, 11, 1)
paa = PiecewiseAggregateApproximation(n_segments=6).fit(steps)
segments = paa.transform(steps)
other = steps.copy()
other[0, 6:] = 1000.0
print("of 0 ... 10 in 6 segments:", segments.ravel())
print("and back:", paa.inverse_transform(segments).ravel())
print("distance to 0 ... 5 1000 1000 1000 1000 1000:", paa.distance(steps[0], other[0]))
print("pyts:", OfPyts(window_size=None, output_size=6, overlapping=False).transform(steps[:, :, 0]).ravel().round(2))
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py")
echo "tslearn 0.10.0:"
echo "$found"
expected='of 0 ... 10 in 6 segments: [0. 1. 2. 3. 4. 5.]
and back: [0. 1. 2. 3. 4. 5. 0. 0. 0. 0. 0.]
distance to 0 ... 5 1000 1000 1000 1000 1000: 0.0
pyts: [0.  1.5 3.5 5.5 7.5 9.5]'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
