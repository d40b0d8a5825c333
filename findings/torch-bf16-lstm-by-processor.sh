#!/usr/bin/env bash
# An LSTM under bf16 autocast on a CPU: whether it runs, and in which precision, hangs on the processor and on padding.
#
# One would expect: autocast to bfloat16 either runs every layer in bfloat16 or falls back to float32, alike on all
# processors (a Linear layer does: it is emulated where there are no such instructions), and packing padded sequences
# changes nothing but the steps that are left out.
# What happens (torch 2.13.0): where oneDNN has no bfloat16 LSTM (x86-64 below AVX-512), nn.LSTM on a plain tensor raises
# RuntimeError "could not create a primitive descriptor"; where it has one, the output is bfloat16. The same layer on a
# packed sequence is never handed to oneDNN: it computes in float32, on every processor. A GRU computes in float32, too.
# Why it matters to a pipeline of series: a recipe with precision = bf16 trains on one machine and stops on the next; and
# in one data set, batches of full series and batches with padding are computed in different precisions.
#
# Installs pinned packages into a temporary folder. ONEDNN_MAX_CPU_ISA stands for the older processor, so it needs an
# x86-64 one of any age. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import torch

x = torch.randn(2, 5, 4)
packed = torch.nn.utils.rnn.pack_padded_sequence(x, [5, 4], batch_first=True)
lstm, gru = torch.nn.LSTM(4, 8, batch_first=True), torch.nn.GRU(4, 8, batch_first=True)


def outcome(run):
    try:
        return str(run().dtype).removeprefix("torch.")
    except RuntimeError as error:
        return "RuntimeError: " + " ".join(str(error).split()[:6])


with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
    print("oneDNN has bfloat16:", torch.ops.mkldnn._is_mkldnn_bf16_supported())
    print("Linear:", outcome(lambda: torch.nn.Linear(4, 4)(x)))
    print("GRU:", outcome(lambda: gru(x)[0]))
    print("LSTM, packed:", outcome(lambda: lstm(packed)[0].data))
    print("LSTM:", outcome(lambda: lstm(x)[0]))
PYTHON
found=$(ONEDNN_MAX_CPU_ISA=AVX2 "$folder/venv/bin/python" -W ignore "$folder/look.py")
echo "torch 2.13.0, oneDNN limited to AVX2:"
echo "$found"
expected='oneDNN has bfloat16: False
Linear: bfloat16
GRU: float32
LSTM, packed: float32
LSTM: RuntimeError: could not create a primitive descriptor'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
here=$("$folder/venv/bin/python" -W ignore "$folder/look.py")
echo "this processor as it is:" && echo "$here"
case "$here" in
*"bfloat16: True"*) [[ "$here" == *"LSTM, packed: float32"*"LSTM: bfloat16" ]] || { echo "changed." && exit 1; } ;;
esac
