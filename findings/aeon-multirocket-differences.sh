#!/usr/bin/env bash
# aeon's MultiRocket: on the differences of a series, four of each kernel's nine weights are read a step too late.
#
# One would expect: MultiRocket (Tan et al. 2022) convolves a series and its first differences with the same dilated kernels; on
# the differences, which are a series of T - 1 steps, a kernel of dilation d reads t - 4d, ..., t, ..., t + 4d, too.
# What happens (aeon 1.6.0): the windows of the early weights are cut for T steps. On the differences they read t - 4d + 1, ...,
# t - d + 1: at dilation 1 the fourth and the fifth weight read the same step, and none reads t - 4. Of the shares of
# positive values of the differences of random walks here, a fifth are the published kernel's, by chance, and all are this one's.
# Nothing is raised, and on the series itself all are as published.
# Why it matters to a pipeline of series: half of the features are of the differences. They still tell classes apart, so no score
# shows it; but weights that were fitted on them serve no other implementation, and features can't be checked by definition.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check aeon==1.6.0 numpy==2.3.5
cat >"$folder/look.py" <<'PYTHON'
from itertools import combinations

import numpy as np
from aeon.transformations.collection.convolution_based import MultiRocket

KERNELS = [np.where(np.isin(np.arange(9), chosen), 2.0, -1.0) for chosen in combinations(range(9), 3)]


def shares(series, fitted, late):
    """Shares of steps above the bias; late: steps by which the four early weights read too late."""
    found, place = [], 0
    dilations, counts, biases = fitted
    for number, (dilation, count) in enumerate(zip(dilations, counts)):
        padding = 4 * dilation
        padded = np.pad(series.astype(np.float64), padding + 1)
        for which, kernel in enumerate(KERNELS):
            first = [padding + 1 + (tap - 4) * dilation + (late if tap < 4 else 0) for tap in range(9)]
            response = sum(weight * padded[begin : begin + len(series)] for weight, begin in zip(kernel, first))
            inside = slice(padding, len(series) - padding) if (number + which) % 2 else slice(None)
            found += [np.mean(response[inside] > bias) for bias in biases[place : place + count]]
            place += count
    return np.array(found)


series = np.cumsum(np.random.default_rng(0).normal(size=(4, 1, 60)), axis=-1).astype(np.float32)
rocket = MultiRocket(n_kernels=84 * 8, random_state=0, normalise=False)
features = np.asarray(rocket.fit_transform(series))
half = features.shape[1] // 2
for name, values, fitted, begin in (
    ("the series", series[:, 0], rocket.parameter, 0),
    ("its differences", np.diff(series[:, 0]), rocket.parameter1, half),
):
    for late in (0, 1):
        wanted = np.stack([shares(each, fitted, late) for each in values])
        theirs = features[:, begin : begin + wanted.shape[1]]
        alike = np.isclose(theirs, wanted, atol=1e-4).mean()
        print(f"{name}, early weights {late} late: {'all' if alike > 0.99 else 'a part'} of the shares alike")
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py")
echo "aeon 1.6.0:"
echo "$found"
expected='the series, early weights 0 late: all of the shares alike
the series, early weights 1 late: a part of the shares alike
its differences, early weights 0 late: a part of the shares alike
its differences, early weights 1 late: all of the shares alike'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
