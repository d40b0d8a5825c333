#!/usr/bin/env bash
# scikit-learn's PCA: with ten times as many rows as columns its components come from rounding, where means are large.
#
# One would expect: PCA centres its data, so that a constant added to a column changes nothing, and more rows make components
# better. Its page says of the solver "covariance_eigh" that the covariance is that of centred data.
# What happens (scikit-learn 1.9.1): that solver, taken by itself from ten rows a column on, multiplies the data as they are and
# subtracts the product of the means afterwards, in their own type. Five barometers in float32, 101,325 Pa with deviations of
# 5 to 0.1 Pa: with 49 rows the variances are right, with 50 or 500 the first is off by more than a half, and the
# axes point elsewhere. In float64 so from means of 1e9 (epochs, counters) on. svd_solver="full" is right here,
# and so is all with the means subtracted in float64 before. Nothing is said.
# Why it matters to a pipeline of series: sensors' files are float32, and steps are many more than channels. What a fold's size is
# decides whether components mean something, and a test on a few rows does not show it.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import numpy as np
from sklearn.decomposition import PCA


def verdict(found, right):
    off = np.abs(found.explained_variance_[0] / right[0] - 1)
    return "right" if off < 0.01 else "off by more than a half" if off > 0.5 else f"off by {off:.2f}"


rng = np.random.default_rng(0)
turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
for kind, mean in ((np.float32, 101_325), (np.float64, 1_700_000_000)):
    for rows in (49, 50, 500):
        x = (rng.normal(size=(rows, 5)) * [5, 3, 1, 0.5, 0.1] @ turn + mean).astype(kind)
        exact = x.astype(np.longdouble) - x.astype(np.longdouble).mean(axis=0)
        right = np.linalg.svd(exact.astype(float), compute_uv=False) ** 2 / (rows - 1)
        centred = (x.astype(float) - mean).astype(kind)
        found = (PCA(), PCA(svd_solver="full"), PCA())
        found[0].fit(x), found[1].fit(x), found[2].fit(centred)
        names = ("as it is", 'svd_solver="full"', "less the mean")
        words = (f"{name} {verdict(model, right)}" for name, model in zip(names, found, strict=True))
        print(f"{kind.__name__} around {mean:,}, {rows} rows of 5, first variance:", "; ".join(words))
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py")
echo "scikit-learn 1.9.1:"
echo "$found"
expected='float32 around 101,325, 49 rows of 5, first variance: as it is right; svd_solver="full" right; less the mean right
float32 around 101,325, 50 rows of 5, first variance: as it is off by more than a half; svd_solver="full" right; less the mean right
float32 around 101,325, 500 rows of 5, first variance: as it is off by more than a half; svd_solver="full" right; less the mean right
float64 around 1,700,000,000, 49 rows of 5, first variance: as it is right; svd_solver="full" right; less the mean right
float64 around 1,700,000,000, 50 rows of 5, first variance: as it is off by more than a half; svd_solver="full" right; less the mean right
float64 around 1,700,000,000, 500 rows of 5, first variance: as it is off by more than a half; svd_solver="full" right; less the mean right'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
