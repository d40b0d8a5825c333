#!/usr/bin/env bash
# Sums and means of float64 in group_by have other last bits in each run of the same process, and so have lazy windows.
#
# One would expect: the same plan on the same frame in the same process gives the same bits; at most other threads, other bits
# (polars' docs say of group_by's maintain_order that it keeps the order of groups and rows; of values nothing).
# What happens (polars 2.1.0): where groups are few, each thread adds up what rows it got, and the parts are added. From 1,000
# rows on the sum hangs on the number of threads; with a million rows threads take pieces from each other, and 30 repetitions
# give several sums, whatever maintain_order and engine= say. So do a lazy over(...) and a lazy sum of a Parquet file, as
# collect() streams unless told otherwise. An eager over(...) adds up each group at once; so does group_by where a median,
# quantile or deviation is asked for beside the mean.
# Why it matters to a pipeline of series: a result that is hashed, ranked or compared with a threshold changes from run to
# run; tables of features keyed by their bytes are made anew each time.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check polars==2.1.0 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import polars as pl

REPETITIONS, ROWS = 30, 1_000_000
file = Path(sys.argv[0]).with_name("x.parquet")
rng = np.random.default_rng(0)
x, column = rng.normal(size=ROWS) * 10.0 ** rng.uniform(-8, 8, ROWS), pl.col("x")
frame = pl.DataFrame({"g": np.zeros(ROWS, dtype=np.int8), "x": x})
frame.write_parquet(file, row_group_size=50_000)
groups, median = frame.group_by("g", maintain_order=True), column.median().alias("median")
lazy = frame.lazy()
plans = {
    "group_by": lambda: groups.agg(column.mean()),
    "group_by in memory": lambda: lazy.group_by("g", maintain_order=True).agg(column.mean()).collect(engine="in-memory"),
    "lazy over": lambda: lazy.select(column.mean().over("g")).collect(),
    "lazy sum of a file": lambda: pl.scan_parquet(file).select(column.sum()).collect(),
    "eager over": lambda: frame.select(column.mean().over("g")),
    "group_by, a median beside": lambda: groups.agg(column.mean(), median),
}
for name, plan in plans.items():
    found = {plan()["x"][0].hex() for _ in range(REPETITIONS)}
    print(f"{name}: {'one value' if len(found) == 1 else 'several values'}")
    print(f"  {len(found)} of {REPETITIONS}, {pl.thread_pool_size()} threads", file=sys.stderr)
few = frame[:2000]
print("2000 rows:", few.group_by("g").agg(column.sum())["x"][0].hex(), few.select(column.sum().over("g"))["x"][0].hex())
PYTHON
look() { POLARS_MAX_THREADS=$1 "$folder/venv/bin/python" "$folder/look.py"; }
one=$(look 1) two=$(look 2) four=$(look 4)
echo "polars 2.1.0, 30 repetitions of each plan on 1,000,000 rows in one group, 2 threads:"
head -n 6 <<<"$two"
expected='group_by: several values
group_by in memory: several values
lazy over: several values
lazy sum of a file: several values
eager over: one value
group_by, a median beside: one value'
for found in "$two" "$four"; do
  [ "$(head -n 6 <<<"$found")" = "$expected" ] || { echo "changed; expected with 2 and 4 threads:" && echo "$expected" && exit 1; }
done
grouped=$(for found in "$one" "$two" "$four"; do tail -n 1 <<<"$found" | cut -d " " -f 3; done | sort -u | wc -l)
window=$(for found in "$one" "$two" "$four"; do tail -n 1 <<<"$found" | cut -d " " -f 4; done | sort -u | wc -l)
echo "2,000 rows with 1, 2 and 4 threads: $grouped sums by group_by, $window by an eager over"
[ "$grouped" -gt 1 ] && [ "$window" = 1 ] || { echo "changed; expected: several by group_by, 1 by an eager over" && exit 1; }
