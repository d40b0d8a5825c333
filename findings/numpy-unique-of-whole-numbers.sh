#!/usr/bin/env bash
# numpy: np.unique of whole numbers hashes them, which takes ten to a hundred times as long as to sort them where most differ.
#
# One would expect: a hash to be faster, or at least not slower, than the sorting that it has taken the place of.
# What happens (numpy 2.4.6): of a million different int64 np.unique takes 0.9 s of processor time; np.sort and a comparison of
# neighbours take 0.01 s. With return_counts=True, which still sorts, np.unique itself takes 0.01 s. Floats are not affected.
# Why it matters to a pipeline of series: a sample of a million rows, row numbers and ids are whole numbers, and nearly all differ.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import time

import numpy as np

numbers = np.random.default_rng(0).integers(0, 1 << 40, 1 << 20)


def seconds(function):
    began = time.process_time()
    function()
    return time.process_time() - began


def by_sorting():
    ordered = np.sort(numbers)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])]


assert np.array_equal(np.unique(numbers), by_sorting())
hashed, counted, ordered = (min(seconds(each) for _ in range(3)) for each in (
    lambda: np.unique(numbers), lambda: np.unique(numbers, return_counts=True), by_sorting))
print(f"np.unique {hashed:.3f} s, with counts {counted:.3f} s, by sorting {ordered:.3f} s")
raise SystemExit(not hashed > 4 * max(counted, ordered))
PYTHON
"$folder/venv/bin/python" "$folder/look.py" || { echo "changed: np.unique is not slower any more" && exit 1; }
