"""Past target as an input: its channels in a network's input, and how an autoregressive network is fed with it.

Whether a target is given is a boolean for each (row, target), the mask `known` of a batch. `data.observed = n` is one
way to fill it: the target is then known at the first n steps of every series, of test series too. A network gets K + 1
features for these behind all others: the target, scaled as the head predicts it and 0 behind the first n steps; and 1
at them, else 0. These steps are not scored, so the loss leaves them out (heads/twophase.py learns from all).

An autoregressive network, one with y_{t-1} among its inputs, has `takes_target` and `forward(x, static, mask, y=None)`.
With y it is fed the past (teacher forcing: only in training; fit/training_step.py puts the network's own prediction
where a target is not known); without, the true value at known steps, and its own prediction at all others (free
running). Williams & Zipser 1989, https://doi.org/10.1162/neco.1989.1.2.270.
"""

from __future__ import annotations

import torch
from torch import Tensor

from foldline.models.contract import Head, Targets


def known_target(x: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
    """Return the target (B, T, K), 0 where it is not known, and where it is: (B, T, 1) bool. x: (B, T, F)."""
    if not targets.observed:
        none = x.new_zeros(*x.shape[:2], 1)
        return none.expand(-1, -1, targets.count), none.bool()
    return x[..., -targets.count - 1 : -1], x[..., -1:] > 0.5


def refuse_whole_series(targets: Targets, reader: str) -> None:
    """Raise ValueError where a network that reads its target step by step would get one of whole series."""
    if targets.level == "series":
        raise ValueError(f"{reader} needs a target at every step, but this one has a value for a whole series.")


def lagged(values: Tensor) -> Tensor:
    """Shift (B, T, K) by one step: the input of step t is y_{t-1}, and 0 at the first."""
    return torch.cat([torch.zeros_like(values[:, :1]), values[:, :-1]], dim=1)


def predict_step(head: Head, hidden: Tensor) -> Tensor:
    """Return the head's prediction (B, K) of one step's (B, H), the next step's input; heads are always float32."""
    with torch.autocast(hidden.device.type, enabled=False):
        raw = head(hidden.float().unsqueeze(1))
    return head.predict(raw, torch.ones_like(raw[..., 0], dtype=torch.bool)).squeeze(1)
