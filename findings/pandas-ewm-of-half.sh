#!/usr/bin/env bash
# pandas 3: an exponentially weighted mean with alpha = 0.5 weighs what follows a gap as no other alpha does.
#
# One would expect: ewm(...).mean() changes steadily with alpha. ewm's page gives the weights for adjust=False: of [1, missing, 3],
# (1 - alpha)^2 and alpha, which for 0.5 is 0.25 and 0.5, a mean of 2.33; so pandas 2 had it, and so has polars 2.1.0.
# What happens (pandas 3.0.6): for alpha = 0.5 (or com=1, or span=3) the mean is 2.5, for 0.49999 and 0.50001 it is 2.33.
# Only adjust=False with the default ignore_na=False is affected, only mean(): var() still counts from 2.33. Within the
# code com = 1 stands for irregular times. Since pandas 3.0; known as github.com/pandas-dev/pandas/issues/66523. Nothing is said.
# Why it matters to a pipeline of series: 0.5 is on every grid of decays, and series with gaps are the usual ones. A search over alpha
# sees a jump there, and features made by pandas 2 or polars are other numbers than those of pandas 3 at inference.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check pandas==3.0.6 polars==2.1.0 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import pandas as pd
import polars as pl

gap = [1.0, None, 3.0]


def of_pandas(values, **decay):
    return float(pd.Series(values, dtype=float).ewm(adjust=False, **decay).mean().iloc[-1])


print("alpha pandas polars weights of its page")
for alpha in (0.4, 0.49999, 0.5, 0.50001, 0.6):
    old, new = (1 - alpha) ** 2, alpha
    of_polars = pl.Series(gap).ewm_mean(alpha=alpha, adjust=False, ignore_nulls=False)[-1]
    print(f"{alpha:g} {of_pandas(gap, alpha=alpha):.3f} {of_polars:.3f} {(old * 1 + new * 3) / (old + new):.3f}")
print("spelled com=1, span=3:", *(of_pandas(gap, **decay) for decay in ({"com": 1}, {"span": 3})))
print("without a gap, alpha 0.49999 and 0.5:", *(f"{of_pandas([1, 2, 3], alpha=alpha):.3f}" for alpha in (0.49999, 0.5)))
half = pd.Series(gap, dtype=float).ewm(alpha=0.5, adjust=False)
mean = (0.25 * 1 + 0.5 * 3) / 0.75
variance = (0.25 * (1 - mean) ** 2 + 0.5 * (3 - mean) ** 2) / 0.75
print(f"alpha 0.5: var(bias=True) {half.var(bias=True).iloc[-1]:.3f}, around {mean:.3f} it is {variance:.3f}")
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py")
echo "pandas 3.0.6, polars 2.1.0:"
echo "$found"
expected='alpha pandas polars weights of its page
0.4 2.053 2.053 2.053
0.49999 2.333 2.333 2.333
0.5 2.500 2.333 2.333
0.50001 2.333 2.333 2.333
0.6 2.579 2.579 2.579
spelled com=1, span=3: 2.5 2.5
without a gap, alpha 0.49999 and 0.5: 2.250 2.250
alpha 0.5: var(bias=True) 0.889, around 2.333 it is 0.889'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
