#!/usr/bin/env bash
# collect_batches(maintain_order=True) gives the rows of semi and anti joins in an order that collect() never gives.
#
# One would expect: batches of a plan, one after the other, are what collect() returns, as "maintain_order: Maintain the order
# in which data is processed" says, and as it is for filters, scans and joins that say maintain_order="left".
# What happens (polars 2.1.0): lf.join(other, on="key", how="semi") or "anti" without maintain_order keeps the left frame's
# rows in their order with collect(), streaming or in memory, however often it is repeated; its batches come in another order in
# most runs, from some 300,000 rows on. Small frames show nothing. The join's own maintain_order="left" mends it.
# Why it matters to a pipeline of series: dropping the series of a list is an anti join. What was tested with collect() on a
# sample has its rows shuffled, steps of a series among them, when it is read in parts because it is large.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check polars==2.1.0 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import sys

import numpy as np
import polars as pl

REPETITIONS, ROWS = 20, 2_000_000
key = np.random.default_rng(0).integers(0, ROWS // 10, ROWS)
left = pl.DataFrame({"row": np.arange(ROWS), "key": key}).lazy()
right = pl.DataFrame({"key": np.arange(0, ROWS // 10, 2)}).lazy()
ways = {
    "collect": lambda plan: plan.collect(engine="streaming"),
    "batches": lambda plan: pl.concat(list(plan.collect_batches(maintain_order=True))),
}
for how in ("semi", "anti"):
    for order in (None, "left"):
        plan = left.join(right, on="key", how=how, maintain_order=order)
        for name, way in ways.items():
            kept = sum(way(plan)["row"].is_sorted() for _ in range(REPETITIONS))
            print(f"{how} join, maintain_order {order}, {name}: {'kept' if kept == REPETITIONS else 'not kept'}")
            print(f"  {kept} of {REPETITIONS}", file=sys.stderr)
PYTHON
found=$(POLARS_MAX_THREADS=4 "$folder/venv/bin/python" "$folder/look.py")
echo "polars 2.1.0, the order of the left frame's 2,000,000 rows in 20 repetitions, 4 threads:"
echo "$found"
expected='semi join, maintain_order None, collect: kept
semi join, maintain_order None, batches: not kept
semi join, maintain_order left, collect: kept
semi join, maintain_order left, batches: kept
anti join, maintain_order None, collect: kept
anti join, maintain_order None, batches: not kept
anti join, maintain_order left, collect: kept
anti join, maintain_order left, batches: kept'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
