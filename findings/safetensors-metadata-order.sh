#!/usr/bin/env bash
# safetensors writes the entries of `metadata` in another order each time: equal tensors make different files.
#
# One would expect: save(tensors, metadata) of the same tensors and the same dictionary gives the same bytes.
# What happens (safetensors 0.8.0): one entry, the same bytes; three entries, up to six different files, even in one
# process: the order of Python's dictionary is lost.
# Why it matters: a checksum of the file, or a test that two trainings come out alike, then fails now and then though all
# weights are equal. Tensors are sorted; only the metadata are not. Put all words into one entry.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import numpy as np
from safetensors.numpy import save

tensors = {"a": np.zeros(2), "b": np.ones(3)}
for metadata in ({"x": "1"}, {"x": "1", "y": "2", "z": "3"}):
    files = {save(tensors, metadata) for _ in range(200)}
    print(f"{len(metadata)} entries: {'the same bytes' if len(files) == 1 else 'different files'} in 200 calls")
PYTHON
found=$("$folder/venv/bin/python" "$folder/look.py")
echo "safetensors 0.8.0:"
echo "$found"
expected='1 entries: the same bytes in 200 calls
3 entries: different files in 200 calls'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
