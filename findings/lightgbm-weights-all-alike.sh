#!/usr/bin/env bash
# LightGBM: weights that are all 2, or all 0.5, change a quantile and an l1 model.
#
# One would expect: a weight is relative, so that one weight for all rows changes nothing (it changes neither l2 nor
# scikit-learn's quantile regression), if min_sum_hessian_in_leaf and the like are not in play.
# What happens (lightgbm 4.7.0): weights that are all 1 are dropped, and leaves are then interpolated between two targets as
# NumPy's percentiles are; with any others the leaf is a weighted percentile of another definition, whose place hangs
# on the weights' sum. The 0.9 quantile of 0 ... 9 in one leaf: 8.1 without weights and with 1, 8.0 with 2, 7.0 with 0.5.
# Why it matters to a pipeline of series: weighting series by 1 / their number of steps, or normalising weights to a sum of
# one, shifts every prediction of a median or quantile model, and with it the score under a mean absolute error.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check lightgbm==4.7.0 numpy==2.4.6 scipy==1.17.1
cat >"$folder/look.py" <<'PYTHON'
import lightgbm as lgb
import numpy as np

x, y = np.zeros((10, 1)), np.arange(10.0)
x[5:] = 1.0  # so that there is something to split on, though leaves of ten rows forbid it
for objective in ("quantile", "l1", "l2"):
    values = []
    for weight in (None, 1.0, 2.0, 0.5):
        params = {"objective": objective, "alpha": 0.9, "min_data_in_leaf": 10, "learning_rate": 1.0, "verbose": -1}
        data = lgb.Dataset(x, y, weight=None if weight is None else np.full(10, weight))
        values.append(round(float(lgb.train(params, data, 1).predict(x)[0]), 6))
    print(f"{objective}: no weights {values[0]}, all 1 {values[1]}, all 2 {values[2]}, all 0.5 {values[3]}")
PYTHON
found=$("$folder/venv/bin/python" "$folder/look.py")
echo "lightgbm 4.7.0, one leaf of 0 ... 9:"
echo "$found"
expected='quantile: no weights 8.099999, all 1 8.099999, all 2 8.0, all 0.5 7.0
l1: no weights 4.5, all 1 4.5, all 2 4.0, all 0.5 4.0
l2: no weights 4.5, all 1 4.5, all 2 4.5, all 0.5 4.5'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
