#!/usr/bin/env bash
# torchmetrics: the AUROC of the same scores and labels hangs on how they were cut into batches, and on their order.
#
# One would expect: update() batch by batch and compute() give what one update() with everything gives, as it does for
# probabilities; and that AUROC, a matter of ranks, takes any score: its docs say that where scores lie outside of [0, 1]
# they are taken for logits and each goes through a sigmoid, which keeps ranks.
# What happens (torchmetrics 1.9.0): that is decided for each batch. In a batch whose scores all lie in [0, 1] they stay, in
# others they go through the sigmoid, and then all are ranked together. The logits below have 0.865 at once and 0.791
# one by one; errors of reconstruction 0.929 at once and 0.840 with a series a batch. Average precision alike.
# Nothing is said.
# Why it matters to a pipeline of series: scores of anomalies are distances and errors, never probabilities, and a batch is often
# one series. A score then changes with the batch size, the last batch, shuffling, the number of processes: early stopping
# and comparisons with it. torch.sigmoid on all scores before update() helps.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import numpy as np
import torch
from torchmetrics.classification import BinaryAUROC, BinaryAveragePrecision

rng = np.random.default_rng(0)
rare = rng.uniform(size=4096) < 0.1
logits = rng.normal(size=4096) + 1.5 * rare - 1
scale = np.repeat(np.exp(rng.normal(-1.5, 0.7, size=64)), 64)  # 64 series of 64 steps, each with its own noise
errors = scale * np.abs(rng.normal(size=4096) + 4 * rare)


def measured(kind, scores, size, order=None):
    metric, order = kind(), np.arange(4096) if order is None else order
    for begin in range(0, 4096, size):
        rows = order[begin : begin + size]
        metric.update(torch.tensor(scores[rows]), torch.tensor(rare[rows].astype(int)))
    return f"{float(metric.compute()):.3f}"


def by_ranks(scores):
    places = np.argsort(np.argsort(scores))[rare] + 1
    return f"{(places.sum() - rare.sum() * (rare.sum() + 1) / 2) / (rare.sum() * (~rare).sum()):.3f}"


for name, scores in (("logits", logits), ("errors", errors)):
    print(f"AUROC of {name} by their ranks: {by_ranks(scores)}")
    for size in (4096, 64, 16, 4, 1):
        print(f"torchmetrics, {name}, batches of {size}: {measured(BinaryAUROC, scores, size)}")
print("errors shuffled, batches of 64:", measured(BinaryAUROC, errors, 64, rng.permutation(4096)))
print("average precision of errors at once:", measured(BinaryAveragePrecision, errors, 4096))
print("average precision of errors, batches of 64:", measured(BinaryAveragePrecision, errors, 64))
print("after a sigmoid, batches of 1:", measured(BinaryAUROC, 1 / (1 + np.exp(-errors)), 1))
PYTHON
found=$("$folder/venv/bin/python" -W ignore "$folder/look.py")
echo "torchmetrics 1.9.0:"
echo "$found"
expected='AUROC of logits by their ranks: 0.865
torchmetrics, logits, batches of 4096: 0.865
torchmetrics, logits, batches of 64: 0.865
torchmetrics, logits, batches of 16: 0.865
torchmetrics, logits, batches of 4: 0.865
torchmetrics, logits, batches of 1: 0.791
AUROC of errors by their ranks: 0.929
torchmetrics, errors, batches of 4096: 0.929
torchmetrics, errors, batches of 64: 0.840
torchmetrics, errors, batches of 16: 0.868
torchmetrics, errors, batches of 4: 0.907
torchmetrics, errors, batches of 1: 0.924
errors shuffled, batches of 64: 0.929
average precision of errors at once: 0.672
average precision of errors, batches of 64: 0.644
after a sigmoid, batches of 1: 0.929'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
