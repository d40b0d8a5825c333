#!/usr/bin/env bash
# utilsforecast: in a pandas frame a missing actual counts as outside of its interval; the same table in polars skips it.
#
# One would expect: coverage and calibration leave out steps without an actual, as mae, mse, rmse, quantile_loss and mqloss of the
# same module do; and that pandas and polars frames with the same rows give the same, which is what its narwhals is for.
# What happens (utilsforecast 0.2.17): with pandas the comparison with a missing value is False, and False is averaged. Intervals that
# hold all their actuals have a coverage of 0.7 where 30 % of the actuals are missing; forecasts above all actuals, which have a
# calibration of 1, have 0.7, too. With polars both are 1. With mape it is the other way round: a step with an actual of 0
# is skipped in pandas and makes the series' mean NaN in polars. Nothing is said, and no docstring names missing values.
# Why it matters to a pipeline of series: sensors have gaps, and series of different lengths are padded. Intervals are then widened,
# or conformal ones rejected, for a want of coverage that is the share of gaps; the series with the most gaps look worst.
# Drop rows without an actual first.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check \
  utilsforecast==0.2.17 narwhals==2.29.0 pandas==3.1.1 polars==2.1.0 pyarrow==26.0.1 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import numpy as np
import pandas as pd
import polars as pl
from utilsforecast.losses import calibration, coverage, mae, mape, mqloss, quantile_loss

rng = np.random.default_rng(0)
actual = np.clip(rng.normal(20, 1, size=100), 18, 22)
whole = pd.DataFrame({"unique_id": "a", "ds": np.arange(100), "y": actual, "m": 20.0, "m-lo-80": 17.0, "m-hi-80": 23.0})
gaps = whole.copy()
gaps.loc[gaps["ds"] % 10 < 3, "y"] = np.nan
dropped = gaps.dropna()
stops = whole.copy()
stops.loc[5, "y"] = 0.0

highest, both = {"m": "m-hi-80"}, {"m": ["m-lo-80", "m-hi-80"]}
measures = {
    "coverage": lambda frame: coverage(frame, ["m"], level=80),
    "calibration": lambda frame: calibration(frame, highest),
    "mae": lambda frame: mae(frame, ["m"]),
    "quantile_loss": lambda frame: quantile_loss(frame, highest, q=0.9),
    "mqloss": lambda frame: mqloss(frame, both, quantiles=np.array([0.1, 0.9])),
}
for name, measure in measures.items():
    values = {"whole": measure(whole), "gaps dropped": measure(dropped), "gaps in pandas": measure(gaps)}
    values["gaps in polars"] = measure(pl.from_pandas(gaps))
    print(f"{name}:", ", ".join(f"{which} {frame['m'][0]:.3f}" for which, frame in values.items()))
print(f"mape with an actual of 0: pandas {mape(stops, ['m'])['m'][0]:.3f}, polars", end=" ")
print(f"{mape(pl.from_pandas(stops), ['m'])['m'][0]:.3f}")
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py")
echo "utilsforecast 0.2.17:"
echo "$found"
expected='coverage: whole 1.000, gaps dropped 1.000, gaps in pandas 0.700, gaps in polars 1.000
calibration: whole 1.000, gaps dropped 1.000, gaps in pandas 0.700, gaps in polars 1.000
mae: whole 0.790, gaps dropped 0.824, gaps in pandas 0.824, gaps in polars 0.824
quantile_loss: whole 0.291, gaps dropped 0.288, gaps in pandas 0.288, gaps in polars 0.288
mqloss: whole 0.300, gaps dropped 0.300, gaps in pandas 0.300, gaps in polars 0.300
mape with an actual of 0: pandas 0.039, polars nan'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
