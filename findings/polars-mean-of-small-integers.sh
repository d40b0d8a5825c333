#!/usr/bin/env bash
# polars: the mean of two UInt8 columns that both hold 200 is 72.
#
# One would expect: mean_horizontal returns Float64, as mean() does, so it adds up as a Float64; and sum_horizontal widens small
# integers, as sum(), cum_sum(), rolling_sum() and list.sum() do.
# What happens (polars 2.1.0): both add up in the columns' own type, which wraps around in silence; mean_horizontal divides what is
# left and returns it as a Float64. Int32 wraps, too. dot() of two small integer columns alike. Mixed types are safe if one
# of them is wide enough.
# Why it matters to a pipeline of series: shrinking columns to the smallest type that holds their values is the usual first step
# on a laptop; the mean over sensors of a step is the usual second. The mean is then outside of what any sensor showed, and a
# tree learns from it all the same. Cast to Float64 first, or use concat_list(...).list.mean().
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check polars==2.1.0
cat >"$folder/look.py" <<'PYTHON'
import polars as pl

for kind, value in {pl.UInt8: 200, pl.Int16: 30_000, pl.Int32: 2_000_000_000}.items():
    sensors = pl.DataFrame({"a": [value], "b": [value]}, schema={"a": kind, "b": kind})
    print(
        f"{kind}, twice {value:,}:",
        f"mean_horizontal {sensors.select(pl.mean_horizontal('a', 'b')).item():,.0f},",
        f"list.mean {sensors.select(pl.concat_list('a', 'b').list.mean()).item():,.0f},",
        f"sum_horizontal {sensors.select(pl.sum_horizontal('a', 'b')).item():,},",
        f"list.sum {sensors.select(pl.concat_list('a', 'b').list.sum()).item():,},",
        f"cast first {sensors.select(pl.mean_horizontal(pl.all().cast(pl.Float64))).item():,.0f}",
    )
steps = pl.Series([100, 100, 100], dtype=pl.Int8)
print(f"Int8, 100 100 100: sum {steps.sum()}, cum_sum {steps.cum_sum()[-1]}, rolling_sum {steps.rolling_sum(3)[-1]},", end=" ")
print(f"dot {steps.dot(steps)}")
PYTHON
found=$("$folder/venv/bin/python" "$folder/look.py")
echo "polars 2.1.0:"
echo "$found"
expected='UInt8, twice 200: mean_horizontal 72, list.mean 200, sum_horizontal 144, list.sum 400, cast first 200
Int16, twice 30,000: mean_horizontal -2,768, list.mean 30,000, sum_horizontal -5,536, list.sum 60,000, cast first 30,000
Int32, twice 2,000,000,000: mean_horizontal -147,483,648, list.mean 2,000,000,000, sum_horizontal -294,967,296, list.sum -294,967,296, cast first 2,000,000,000
Int8, 100 100 100: sum 300, cum_sum 300, rolling_sum 300, dot 48'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
