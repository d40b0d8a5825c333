#!/usr/bin/env bash
# mlforecast: a target of whole numbers becomes float32, so that a counter above 2^24 loses its steps; as float64 it keeps them.
#
# One would expect: int64 and float64 columns that hold the same numbers give the same lags and forecasts; if one of the two types
# costs digits, not the one that is exact.
# What happens (mlforecast 1.1.0, utilsforecast 0.2.17): a float64 target stays float64, any type of whole numbers is cast to
# float32 before lags and differences are made. A meter at 1,000,000,000 Wh, of which 20 to 60 are used in an hour, then stands
# still or jumps by 64: all its differences are wrong, and the error of a forecast is 23 Wh in place of 1. At
# 20,000,000 Wh more than half of them are wrong. Nothing is said; what preprocess() returns has type float32.
# Why it matters to a pipeline of series: counters, cumulative sales and prices in cents are whole numbers, and a counter is
# among the first things that one takes differences of. Casting the target to float64 first helps.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check mlforecast==1.1.0 utilsforecast==0.2.17 \
    scikit-learn==1.9.1 pandas==2.3.3 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import numpy as np
import pandas as pd
from mlforecast import MLForecast
from mlforecast.target_transforms import Differences
from sklearn.linear_model import LinearRegression

rng = np.random.default_rng(0)
used = 40 + 20 * np.sin(2 * np.pi * np.arange(24 * 60) / 24) + rng.normal(size=24 * 60)  # watt-hours in each hour
days, hours = pd.date_range("2026-01-01", periods=24 * 60, freq="h"), 24


def errors(start, kind):
    counter = (start + np.cumsum(np.round(used).astype(int))).astype(kind)
    table = pd.DataFrame({"unique_id": "meter", "ds": days, "y": counter})
    past = table[:-hours]
    model = MLForecast(models=[LinearRegression()], freq="h", lags=[1, 24], target_transforms=[Differences([1])])
    lags = model.preprocess(past)  # the differences and their lags
    model.fit(past)
    wrong = np.mean(lags["y"].to_numpy(dtype=float) != np.diff(counter)[-len(lags) - hours : -hours])
    forecast = np.diff(np.r_[past["y"].iloc[-1], model.predict(hours)["LinearRegression"]].astype(float))
    return wrong, np.abs(forecast - np.diff(table["y"].to_numpy(dtype=float)[-hours - 1 :])).mean()


for start in (0, 20_000_000, 1_000_000_000):
    for kind in ("float64", "int64", "int32"):
        wrong, error = errors(start, kind)
        print(f"counter from {start:,}, {kind}: {wrong:.0%} of the differences wrong, error of the forecast {error:.0f} Wh")
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py")
echo "mlforecast 1.1.0:"
echo "$found"
expected='counter from 0, float64: 0% of the differences wrong, error of the forecast 1 Wh
counter from 0, int64: 0% of the differences wrong, error of the forecast 1 Wh
counter from 0, int32: 0% of the differences wrong, error of the forecast 1 Wh
counter from 20,000,000, float64: 0% of the differences wrong, error of the forecast 1 Wh
counter from 20,000,000, int64: 62% of the differences wrong, error of the forecast 1 Wh
counter from 20,000,000, int32: 62% of the differences wrong, error of the forecast 1 Wh
counter from 1,000,000,000, float64: 0% of the differences wrong, error of the forecast 1 Wh
counter from 1,000,000,000, int64: 100% of the differences wrong, error of the forecast 23 Wh
counter from 1,000,000,000, int32: 100% of the differences wrong, error of the forecast 23 Wh'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
