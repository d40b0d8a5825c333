#!/usr/bin/env bash
# polars: which of several equal maxima arg_max returns hangs on the engine, the number of threads, and whether the column is sorted.
#
# One would expect: the first, as NumPy, pandas and torch on CPU do, and as polars does for one group after another.
# What happens (polars 2.1.0): an eager column gives the first, unless it is marked as sorted: then the last. A lazy select, whose
# default engine is the streaming one, gives another, of ten rows already, and another one with another
# POLARS_MAX_THREADS. arg_min alike. In the groups of a column it is the first.
# Why it matters to a pipeline of series: sensors saturate and controllers hold a plateau, so maxima come in runs, and "time of the
# peak" is a common feature of a series. It moves from the plateau's begin to anywhere on it, differently on each machine.
# (pl.col("x") == pl.col("x").max()).arg_true().first() gives the first everywhere.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check polars==2.1.0
cat >"$folder/look.py" <<'PYTHON'
import polars as pl

plateau = pl.DataFrame({"x": [0.0, 1.0] * 5})  # maxima at 1, 3, 5, 7, 9; sorted from 5 on
x = pl.col("x")
print("eager:", plateau["x"].arg_max(), end="; ")
print("eager, sorted:", plateau["x"].sort().arg_max(), end="; ")
print("in memory:", plateau.lazy().select(x.arg_max()).collect(engine="in-memory").item(), end="; ")
print("series:", plateau.with_columns(series=7).lazy().group_by("series").agg(x.arg_max()).collect()["x"].item(), end="; ")
print("default:", plateau.lazy().select(x.arg_max()).collect().item(), end="; ")
print("as a search:", plateau.lazy().select((x == x.max()).arg_true().first()).collect().item())
PYTHON
found=$(for threads in 1 2 4; do
    printf '%s threads: ' "$threads"
    POLARS_MAX_THREADS=$threads "$folder/venv/bin/python" "$folder/look.py"
done)
echo "polars 2.1.0, arg_max of 0 1 0 1 0 1 0 1 0 1:"
echo "$found"
expected='1 threads: eager: 1; eager, sorted: 9; in memory: 1; series: 1; default: 1; as a search: 1
2 threads: eager: 1; eager, sorted: 9; in memory: 1; series: 1; default: 5; as a search: 1
4 threads: eager: 1; eager, sorted: 9; in memory: 1; series: 1; default: 9; as a search: 1'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
