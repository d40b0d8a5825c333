"""Past target that a network may look at: where it stands in the input, and what a recurrence eats of it.

With `data.observed = n` the target is known at the first n steps of every series, of test series too. A network then
gets K + 1 features behind all others: the target, scaled as the head predicts it and 0 where it is not known; and 1
where it is known, else 0. These steps are not scored, so the loss leaves them out (heads/twophase.py learns from all).

A network that eats its own past, y_{t-1}, says so by `takes_target` and has `forward(x, static, mask, y=None)`. With y
it is fed the true past (teacher forcing: only the trainer can do that); without, at steps that are known the true one,
at all others what it predicted itself (free running). Williams & Zipser 1989, https://doi.org/10.1162/neco.1989.1.2.270.
"""

from __future__ import annotations

import torch
from torch import Tensor

from foldline.models.contract import Head, Targets


def channels(targets: Targets) -> int:
    """How many features of a network's input hold the known target."""
    return targets.count + 1 if targets.observed else 0


def known(x: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
    """The known target (B, T, K), 0 where it is not known, and where it is: (B, T, 1) bool. x: (B, T, F)."""
    if not targets.observed:
        none = x.new_zeros(*x.shape[:2], 1)
        return none.expand(-1, -1, targets.count), none.bool()
    return x[..., -targets.count - 1 : -1], x[..., -1:] > 0.5


def before(values: Tensor) -> Tensor:
    """(B, T, K) one step later: what is eaten at step t is y_{t-1}, and 0 at the first."""
    return torch.cat([torch.zeros_like(values[:, :1]), values[:, :-1]], dim=1)


def predicted(head: Head, hidden: Tensor) -> Tensor:
    """(B, K) what the head predicts of one step's (B, H), for the next step to eat; heads are always float32."""
    with torch.autocast(hidden.device.type, enabled=False):
        raw = head(hidden.float().unsqueeze(1))
    return head.predict(raw, torch.ones_like(raw[..., 0], dtype=torch.bool)).squeeze(1)
