#!/usr/bin/env bash
# CatBoost: multiplying all weights by the same number changes the model, and by 100 adds half to its error.
#
# One would expect: weights are relative. l2_leaf_reg is scaled by their mean (its docs say so), and with random_strength=0,
# bootstrap_type="No" weights of 1 and of 128 predict the same bits.
# What happens (catboost 1.2.10, defaults, RMSE on the CPU): the noise that random_strength adds to the scores of splits grows with
# the weights while the scores, divided by them, do not. Weights that are all 100 give worse splits, all 10,000 nearly random
# ones; all 0.01 give better ones than none at all. Nothing warns.
# Why it matters to a pipeline of series: weights come as the competition has them: sales in dollars, numbers of patients, steps of a
# series. CatBoost then loses every comparison beside LightGBM and XGBoost for a reason that no parameter shows. Divide
# weights by their mean.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check catboost==1.2.10 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import sys

import numpy as np
from catboost import CatBoostRegressor, Pool

draws = np.random.default_rng(0)
x = draws.normal(size=(6000, 6))
y = 2 * x[:, 0] + np.sin(3 * x[:, 1]) + 0.1 * draws.normal(size=len(x))
train, test = slice(0, 3000), slice(3000, None)


def predicted(weight: float, seed: int, **options: object) -> np.ndarray:
    pool = Pool(x[train], y[train], weight=np.full(3000, weight))
    model = CatBoostRegressor(
        iterations=100, learning_rate=0.1, random_seed=seed, thread_count=1, verbose=0, allow_writing_files=False, **options
    )
    return model.fit(pool).predict(x[test])


def error(weight: float) -> float:
    return float(np.mean([np.abs(predicted(weight, seed) - y[test]).mean() for seed in range(3)]))


one = error(1.0)
for weight in (0.01, 1.0, 100.0, 10_000.0):
    ratio = error(weight) / one
    print(f"weights all {weight:g}: {ratio:.2f} of the error", file=sys.stderr)
    print(f"weights all {weight:g}:", "better" if ratio < 0.97 else "same" if ratio == 1 else "worse" if ratio < 2 else "far worse")
still = [predicted(weight, 0, random_strength=0, bootstrap_type="No") for weight in (1.0, 128.0)]
print("without noise:", "same" if (still[0] == still[1]).all() else f"different by {np.abs(still[0] - still[1]).max()}")
PYTHON
found=$("$folder/venv/bin/python" "$folder/look.py")
echo "catboost 1.2.10, held-out error, mean of three seeds:"
echo "$found"
expected='weights all 0.01: better
weights all 1: same
weights all 100: worse
weights all 10000: far worse
without noise: same'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
