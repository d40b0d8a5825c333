#!/usr/bin/env bash
# safetensors.numpy saves a transposed, Fortran-ordered or strided array with its values in other places.
#
# One would expect: load_file(save_file(x)) gives x for every array, or an error, as safetensors.torch raises for tensors
# that are not contiguous.
# What happens (safetensors 0.8.0, numpy 2.4.6): the shape is written as it is and the bytes as they lie in memory, so that
# x.T comes back with its shape and the values of x in x's order. Nothing is said.
# Why it matters to a pipeline of series: (series, steps, channels) and (series, channels, steps) are transposed all day, and
# LAPACK returns Fortran order. Weights saved from such arrays load, fit and predict, and are wrong.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

x = np.arange(6.0).reshape(2, 3)
arrays = {"contiguous": x, "transposed": x.T, "Fortran order": np.asfortranarray(x), "every other column": x[:, ::2]}
for name, array in arrays.items():
    save_file({"x": array}, sys.argv[1] + "/x.safetensors")
    print(f"{name}: {array.tolist()} came back as {load_file(sys.argv[1] + '/x.safetensors')['x'].tolist()}")
PYTHON
found=$("$folder/venv/bin/python" "$folder/look.py" "$folder")
echo "safetensors 0.8.0:"
echo "$found"
expected='contiguous: [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]] came back as [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
transposed: [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]] came back as [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
Fortran order: [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]] came back as [[0.0, 3.0, 1.0], [4.0, 2.0, 5.0]]
every other column: [[0.0, 2.0], [3.0, 5.0]] came back as [[0.0, 1.0], [2.0, 3.0]]'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
