#!/usr/bin/env bash
# XGBoost: a DMatrix that has been trained on once keeps its bins; weights that are set later do not move them.
#
# One would expect: `set_weight` and `xgb.train` give the model that a fresh DMatrix with these weights gives. The histogram's
# cut points are a sketch of the weighted values, and `set_weight` is public.
# What happens (xgboost 3.2.0, tree_method="hist"): the cuts are made at the first training and kept with the matrix. After
# `set_weight` the new weights count in gradients, the old ones in the cuts: another model than from a fresh matrix, with
# several times its weighted error where weights lie in a few values of a feature. Nothing warns.
# Why it matters to a pipeline of series: a fold's matrix is built once, since that takes longest, and used for each set of weights:
# classes balanced or not, series by length, rounds of pseudo-labels. What is compared then depends on which came first.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check xgboost-cpu==3.2.0 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import sys

import numpy as np
import xgboost

draws = np.random.default_rng(0)
x = draws.normal(size=(20_000, 3))
y = np.sin(3 * x[:, 0]) + 0.1 * draws.normal(size=len(x))
weight = np.where(x[:, 0] > 1, 100.0, 0.01)
PARAMETERS = {"objective": "reg:squarederror", "max_bin": 16, "max_depth": 3, "nthread": 1, "seed": 0, "tree_method": "hist"}


def predicted(matrix: xgboost.DMatrix) -> np.ndarray:
    return xgboost.train(PARAMETERS, matrix, 5).predict(xgboost.DMatrix(x))


def error(values: np.ndarray) -> float:
    return float(np.average((values - y) ** 2, weights=weight))


fresh = predicted(xgboost.DMatrix(x, y, weight=weight))
used = xgboost.DMatrix(x, y)
predicted(used)
used.set_weight(weight)
kept = predicted(used)
unused = xgboost.DMatrix(x, y)
unused.set_weight(weight)
ratio = error(kept) / error(fresh)
print(f"weighted error of the used matrix: {ratio:.1f} times that of the fresh one", file=sys.stderr)
print("weights set before the first training:", "as a fresh matrix" if (predicted(unused) == fresh).all() else "otherwise")
print("weights set after the first training:", "as a fresh matrix" if (kept == fresh).all() else "otherwise")
print("its weighted error:", "more than twice as large" if ratio > 2 else "alike")
PYTHON
found=$("$folder/venv/bin/python" "$folder/look.py")
echo "xgboost 3.2.0:"
echo "$found"
expected='weights set before the first training: as a fresh matrix
weights set after the first training: otherwise
its weighted error: more than twice as large'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
