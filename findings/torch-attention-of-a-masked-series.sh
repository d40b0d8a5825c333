#!/usr/bin/env bash
# Attention over a series whose steps are all masked: finite in training and validation, NaN where gradients are off.
#
# One would expect: what a layer makes of one input in evaluation does not hang on whether gradients are recorded. A
# series without a valid step (a sensor that is absent in it, a row that only fills a batch up) has no defined
# attention, so a library may return zeros or NaN for it, but the same each time.
# What happens (torch 2.13.0, CPU): nn.TransformerEncoderLayer gives finite values for it in training and in evaluation
# with gradients on, since scaled_dot_product_attention returns zeros there. In evaluation under no_grad or
# inference_mode another implementation is taken, and all its values are NaN. nn.TransformerEncoder does so where
# enable_nested_tensor is off, which is what many turn off to keep shapes; where it is on, all is finite.
# nn.MultiheadAttention does as the layer does with need_weights=False; with need_weights=True, its default, it is NaN
# always, and so are all gradients, even where the loss leaves that series out.
# Why it matters to a pipeline of series: loss and a validation score computed with gradients on say nothing of it; the
# predictions of exactly those test series are NaN.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(2, 4, 8)
padding = torch.tensor([[False] * 4, [True] * 4])  # of the second series nothing is valid
attention = nn.MultiheadAttention(8, 2, batch_first=True)
layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
nested, flat = (nn.TransformerEncoder(layer, 1, enable_nested_tensor=on) for on in (True, False))


def look(name, module, run):
    outcomes = []
    for train, gradients in ((True, True), (False, True), (False, False)):
        module.train(train)
        with torch.set_grad_enabled(gradients):
            full, masked = run()
        assert not full.isnan().any()
        outcomes.append("NaN" if masked.isnan().all() else "finite" if masked.isfinite().all() else "mixed")
    print(name + ":", *outcomes)


print("training, evaluation, evaluation without gradients")
look("TransformerEncoderLayer", layer, lambda: layer(x, src_key_padding_mask=padding))
look("TransformerEncoder", nested, lambda: nested(x, src_key_padding_mask=padding))
look("TransformerEncoder, no nested tensors", flat, lambda: flat(x, src_key_padding_mask=padding))
look("MultiheadAttention, no weights", attention, lambda: attention(x, x, x, padding, need_weights=False)[0])
look("MultiheadAttention", attention, lambda: attention(x, x, x, padding)[0])
attention(x, x, x, padding)[0][0].sum().backward()  # a loss of the first series alone
print("its gradients:", "NaN" if attention.in_proj_weight.grad.isnan().all() else "finite")
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py")
echo "torch 2.13.0:"
echo "$found"
expected='training, evaluation, evaluation without gradients
TransformerEncoderLayer: finite finite NaN
TransformerEncoder: finite finite finite
TransformerEncoder, no nested tensors: finite finite NaN
MultiheadAttention, no weights: finite finite NaN
MultiheadAttention: NaN NaN NaN
its gradients: NaN'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
