#!/usr/bin/env bash
# Monotone constraints: XGBoost and scikit-learn take them with an absolute or a quantile error and do not keep them.
#
# One would expect: a model with a constraint on a feature never falls as that feature rises, whatever the loss; or that fitting
# raises, as LightGBM does ("Cannot use ``monotone_constraints`` in regression_l1 objective"). CatBoost keeps them.
# What happens (xgboost 3.2.0, scikit-learn 1.9.1): splits are chosen under the constraint, then each leaf's value becomes a
# median or a quantile of its residuals, which nothing bounds. XGBoost's "hist" (its default) and "approx", and scikit-learn's
# HistGradientBoostingRegressor then fall somewhere along four lines in five, or more; XGBoost's "exact" keeps the
# constraint. With a squared error all keep it. Nothing is raised or warned, and the parameters' docs name no loss.
# Why it matters to a pipeline of series: forecasts are trained on absolute and pinball losses as competitions score them, and a
# constraint (more rain, more runoff; a lower price, more sales) is set to be relied on: what-if curves, bids, safety limits.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check xgboost-cpu==3.2.0 lightgbm==4.7.0 catboost==1.2.10 \
    scikit-learn==1.9.1 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import catboost
import lightgbm
import numpy as np
import xgboost
from sklearn.ensemble import HistGradientBoostingRegressor

ROWS, TREES = 4000, 100
rng = np.random.default_rng(0)
x = rng.uniform(size=(ROWS, 3))
y = x[:, 0] + x[:, 1] * np.sin(6 * x[:, 0]) + 0.3 * np.exp(rng.normal(size=ROWS))  # skewed noise
lines = np.repeat(rng.uniform(size=(200, 1, 3)), 101, axis=1)
lines[:, :, 0] = np.linspace(0, 1, 101)  # 200 lines along which only the first feature rises


def verdict(predict):
    steps = np.diff(predict(lines.reshape(-1, 3)).reshape(200, 101).astype(float), axis=1)
    falls = np.mean(steps.min(axis=1) < -1e-6)
    return "kept" if falls == 0 else "broken along four lines in five, or more" if falls >= 0.8 else f"broken: {falls}"


def of_xgboost(objective, method):
    parameters = {"monotone_constraints": "(1,0,0)", "nthread": 1, "tree_method": method, "objective": objective}
    if objective == "reg:quantileerror":
        parameters["quantile_alpha"] = 0.9
    model = xgboost.train(parameters, xgboost.DMatrix(x, y), TREES)
    return lambda rows: model.predict(xgboost.DMatrix(rows))


def of_lightgbm(objective):
    parameters = {"objective": objective, "monotone_constraints": [1, 0, 0], "num_threads": 1, "verbose": -1}
    return lightgbm.train(parameters, lightgbm.Dataset(x, y), TREES).predict


for objective in ("reg:squarederror", "reg:absoluteerror", "reg:quantileerror"):
    for method in ("hist", "approx", "exact"):
        print(f"XGBoost {objective} {method}: {verdict(of_xgboost(objective, method))}")
for loss, quantile in (("squared_error", None), ("absolute_error", None), ("quantile", 0.9)):
    model = HistGradientBoostingRegressor(loss=loss, quantile=quantile, monotonic_cst=[1, 0, 0], early_stopping=False)
    print(f"scikit-learn {loss}: {verdict(model.fit(x, y).predict)}")
for loss in ("RMSE", "MAE", "Quantile:alpha=0.9"):
    model = catboost.CatBoostRegressor(
        loss_function=loss, monotone_constraints=[1, 0, 0], iterations=TREES, verbose=0, allow_writing_files=False
    )
    print(f"CatBoost {loss}: {verdict(model.fit(x, y).predict)}")
for objective in ("l2", "l1", "quantile"):
    try:
        print(f"LightGBM {objective}: {verdict(of_lightgbm(objective))}")
    except lightgbm.basic.LightGBMError as error:
        print(f"LightGBM {objective}: {str(error)[:33]} ...")
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py" | grep -v '^\[LightGBM\]')
echo "xgboost 3.2.0, scikit-learn 1.9.1, catboost 1.2.10, lightgbm 4.7.0:"
echo "$found"
expected='XGBoost reg:squarederror hist: kept
XGBoost reg:squarederror approx: kept
XGBoost reg:squarederror exact: kept
XGBoost reg:absoluteerror hist: broken along four lines in five, or more
XGBoost reg:absoluteerror approx: broken along four lines in five, or more
XGBoost reg:absoluteerror exact: kept
XGBoost reg:quantileerror hist: broken along four lines in five, or more
XGBoost reg:quantileerror approx: broken along four lines in five, or more
XGBoost reg:quantileerror exact: kept
scikit-learn squared_error: kept
scikit-learn absolute_error: broken along four lines in five, or more
scikit-learn quantile: broken along four lines in five, or more
CatBoost RMSE: kept
CatBoost MAE: kept
CatBoost Quantile:alpha=0.9: kept
LightGBM l2: kept
LightGBM l1: Cannot use ``monotone_constraints ...
LightGBM quantile: Cannot use ``monotone_constraints ...'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
