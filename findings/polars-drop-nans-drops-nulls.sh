#!/usr/bin/env bash
# polars: in a grouped aggregation of the default lazy engine, drop_nans() drops nulls, too.
#
# One would expect: drop_nans drops NaN and keeps nulls (its docs say that null is something else), whichever engine runs it.
# What happens (polars 2.1.0): frame.group_by(...).agg(...) keeps them. frame.lazy().group_by(...).agg(...).collect(), which
# takes the streaming engine by default now, drops both before len() and last(), in all groups. A select without groups
# keeps them in both engines. filter(x.is_nan().not_() | x.is_null()) means the same everywhere.
# Why it matters to a pipeline of series: "last known reading, or null where the newest is missing" and "number of rows that are
# no NaN" are features of a group. Moving them from an eager to a lazy frame, the usual step to larger data, changes them
# without a word: a missing last step becomes an earlier reading.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check polars==2.1.0
cat >"$folder/look.py" <<'PYTHON'
import polars as pl

frame = pl.DataFrame({"series": [1, 1, 1, 2, 2], "x": [1.0, float("nan"), None, 2.0, 3.0]})
x = pl.col("x")
spellings = {"drop_nans": x.drop_nans(), "filter": x.filter(x.is_nan().not_() | x.is_null())}
for name, kept in spellings.items():
    wanted = [kept.last().alias("last"), kept.len().alias("len")]
    lazy = frame.lazy().group_by("series", maintain_order=True).agg(wanted)
    found = {
        "eager": frame.group_by("series", maintain_order=True).agg(wanted),
        "in memory": lazy.collect(engine="in-memory"),
        "default": lazy.collect(),
        "no groups": frame.lazy().filter(pl.col("series") == 1).select(pl.lit(1).alias("series"), *wanted).collect(),
    }
    for how, answer in found.items():
        print(f"{name}, {how}:", answer.row(0)[1:])
PYTHON
found=$("$folder/venv/bin/python" "$folder/look.py")
echo "polars 2.1.0, last and number of what is kept of 1, NaN, null:"
echo "$found"
expected='drop_nans, eager: (None, 2)
drop_nans, in memory: (None, 2)
drop_nans, default: (1.0, 1)
drop_nans, no groups: (None, 2)
filter, eager: (None, 2)
filter, in memory: (None, 2)
filter, default: (None, 2)
filter, no groups: (None, 2)'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
