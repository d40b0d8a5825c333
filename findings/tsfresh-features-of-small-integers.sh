#!/usr/bin/env bash
# tsfresh: a column of small integers has other features than the same numbers as float64: a root mean square of 6 for 158.
#
# One would expect: extract_features gives features of the numbers; what type a column has is a matter of memory. Results are
# float64 for all types, and nothing on the pages of extract_features and its calculators asks for floats.
# What happens (tsfresh 0.21.2): calculators add, subtract and multiply in the column's own type, which wraps around in silence. A
# series that changes between 200 and 100 as uint8 has a mean absolute change of 129.5 for 100, and its first half has 312.5
# times the energy of the whole; a wave of 16 bits as int16 has an energy of 28 thousand for 13 billion. Mean, variance and
# maximum are right. Of 770 features more than 50 differ for a uint8 series, as many for one of int16. int64 is right.
# Why it matters to a pipeline of series: shrinking columns to the smallest type that holds their values is a usual first step, and
# readings of converters, sounds and accelerometers come as int16. A column with one missing value is float64 and has the right
# features, so that what a feature means differs between files. Cast to float64 first.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check tsfresh==0.21.2 pandas==2.3.3 numpy==2.3.5
cat >"$folder/look.py" <<'PYTHON'
import numpy as np
import pandas as pd
from tsfresh import extract_features
from tsfresh.feature_extraction import ComprehensiveFCParameters

LISTED = {
    **{name: None for name in ("abs_energy", "mean_abs_change", "root_mean_square", "mean", "maximum")},
    "energy_ratio_by_chunks": [{"num_segments": 2, "segment_focus": 0}],
}


def features(values, kind, chosen):
    frame = pd.DataFrame({"id": 1, "t": np.arange(len(values)), "x": values.astype(kind)})
    options = {"default_fc_parameters": chosen, "n_jobs": 0, "disable_progressbar": True}
    return extract_features(frame, column_id="id", column_sort="t", **options).iloc[0]


square = np.tile([200, 100], 10)
wave = np.round(20_000 * np.sin(np.arange(64) / 3)).astype(int)
for name, values, small in (("200, 100, ...", square, "uint8"), ("a wave of 20,000", wave, "int16")):
    for kind in ("float64", small):
        found = features(values, kind, LISTED)
        print(f"{name} as {kind}:", ", ".join(f"{column[3:25]} {value:.4g}" for column, value in found.items()))
slow = ("matrix_profile", "augmented_dickey_fuller", "lempel_ziv_complexity", "approximate_entropy")
every = {name: values for name, values in ComprehensiveFCParameters().items() if name not in slow}
readings = np.random.default_rng(0).integers(-15_000, 30_000, size=60)
for values, small in ((readings % 256, "uint8"), (readings, "int16"), (readings, "int64")):
    right, found = features(values, "float64", every), features(values, small, every)
    differ = ~np.isclose(right, found, rtol=1e-3, equal_nan=True)
    count = "more than 50" if differ.sum() > 50 else differ.sum()
    print(f"{small}: of {len(right)} features {count} differ from those of float64")
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py" 2>/dev/null)
echo "tsfresh 0.21.2:"
echo "$found"
expected='200, 100, ... as float64: abs_energy 5e+05, mean_abs_change 100, root_mean_square 158.1, mean 150, maximum 200, energy_ratio_by_chunks 0.5
200, 100, ... as uint8: abs_energy 32, mean_abs_change 129.5, root_mean_square 6.325, mean 150, maximum 200, energy_ratio_by_chunks 312.5
a wave of 20,000 as float64: abs_energy 1.3e+10, mean_abs_change 4159, root_mean_square 1.425e+04, mean 1568, maximum 1.992e+04, energy_ratio_by_chunks 0.4648
a wave of 20,000 as int16: abs_energy 2.786e+04, mean_abs_change 4159, root_mean_square 59.22, mean 1568, maximum 1.992e+04, energy_ratio_by_chunks 2.693e+04
uint8: of 770 features more than 50 differ from those of float64
int16: of 770 features more than 50 differ from those of float64
int64: of 770 features 0 differ from those of float64'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
