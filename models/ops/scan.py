"""Linear recurrences h_t = a_t h_{t-1} + b_t over all steps, in forms that are equal and differ in cost.

`by_steps` needs T operations one after the other, each small; `doubling` (Hillis & Steele 1986,
https://doi.org/10.1145/7902.7903) log2(T) large ones, and `log_scan` (Heinsen 2023, https://arxiv.org/abs/2311.06281)
a fixed number of them, in logarithms, so that no product over many steps leaves the range of float32. On a CPU the
steps are many times faster, on a GPU the others: `linear` and `gated` choose by the device. Letters: N state size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def by_steps(decay: Tensor, drive: Tensor, start: Tensor | None = None) -> Tensor:
    """h (B, T, N) of a = decay and b = drive, both (B, T, N), real or complex; start: h before the first step."""
    state = torch.zeros_like(drive[:, 0]) if start is None else start
    states = []
    for a, b in zip(decay.unbind(1), drive.unbind(1), strict=True):
        state = torch.addcmul(b, a, state)
        states.append(state)
    return torch.stack(states, dim=1)


def doubling(decay: Tensor, drive: Tensor, start: Tensor | None = None) -> Tensor:
    """The same: after round r each step has gathered the 2^r steps up to itself."""
    if start is not None:
        drive = torch.cat([torch.addcmul(drive[:, :1], decay[:, :1], start.unsqueeze(1)), drive[:, 1:]], dim=1)
    reach = 1
    while reach < drive.shape[1]:
        drive = torch.cat(
            [drive[:, :reach], torch.addcmul(drive[:, reach:], decay[:, reach:], drive[:, :-reach])], dim=1
        )
        decay = torch.cat([decay[:, :reach], decay[:, reach:] * decay[:, :-reach]], dim=1)
        reach *= 2
    return drive


def log_scan(log_decay: Tensor, log_drive: Tensor, start: Tensor | None = None) -> Tensor:
    """The same for positive a and b, given by their logarithms; start may have any sign."""
    total = log_decay.cumsum(dim=1)
    states = (total + (log_drive - total).logcumsumexp(dim=1)).exp()
    return states if start is None else torch.addcmul(states, total.exp(), start.unsqueeze(1))


def linear(decay: Tensor, drive: Tensor, start: Tensor | None = None) -> Tensor:
    """The recurrence in the form that suits the device."""
    return (by_steps if drive.device.type == "cpu" else doubling)(decay, drive, start)


def gated(gate: Tensor, candidate: Tensor, start: Tensor | None = None) -> Tensor:
    """h_t = (1 - z_t) h_{t-1} + z_t g(c_t), z = sigmoid(gate), in the form that suits the device.

    g keeps the candidate positive: c + 1/2 where c >= 0, else sigmoid(c) (appendix B of Feng et al. 2024). Computed in
    float32 whatever comes in.
    """
    gate, candidate, start = gate.float(), candidate.float(), None if start is None else start.float()
    if gate.device.type == "cpu":
        positive = torch.where(candidate >= 0, candidate + 0.5, candidate.sigmoid())
        return by_steps(torch.sigmoid(-gate), gate.sigmoid() * positive, start)
    return log_gated(gate, candidate, start)


def log_gated(gate: Tensor, candidate: Tensor, start: Tensor | None = None) -> Tensor:
    """`gated` in its parallel form, float32."""
    softplus = functional.softplus
    log_positive = torch.where(candidate >= 0, (functional.relu(candidate) + 0.5).log(), -softplus(-candidate))
    return log_scan(-softplus(gate), log_positive - softplus(-gate), start)


def flipped(x: Tensor, mask: Tensor | None) -> Tensor:
    """(B, T, N) with each series' real steps in reverse order; padding stays behind them. mask: (B, T)."""
    if mask is None:
        return x.flip(1)
    place = torch.arange(x.shape[1], device=x.device)
    source = torch.where(mask, mask.sum(dim=1, keepdim=True) - 1 - place, place)  # (B, T)
    return x.gather(1, source.unsqueeze(-1).expand_as(x))
