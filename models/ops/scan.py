"""Linear recurrences h_t = a_t h_{t-1} + b_t over all steps, in forms that are equal and differ in cost.

`sequential` needs T operations one after the other, each small; `doubling` (Hillis & Steele 1986,
https://doi.org/10.1145/7902.7903) log2(T) large ones, and `log_scan` (Heinsen 2023, https://arxiv.org/abs/2311.06281)
a fixed number of them, in logarithms, so that no product over many steps leaves the range of float32. On a CPU the
steps are many times faster, on a GPU the others: `linear_recurrence` and `gated_recurrence`
choose by the device. Letters: N state size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def sequential(decay: Tensor, drive: Tensor, start: Tensor | None = None) -> Tensor:
    """Return h (B, T, N) of a = decay, b = drive, (B, T, N) each, real or complex; start: h before the first step."""
    state = torch.zeros_like(drive[:, 0]) if start is None else start
    states = []
    for a, b in zip(decay.unbind(1), drive.unbind(1), strict=True):
        state = torch.addcmul(b, a, state)
        states.append(state)
    return torch.stack(states, dim=1)


def doubling(decay: Tensor, drive: Tensor, start: Tensor | None = None) -> Tensor:
    """Return the same: after round r each step combines the 2^r steps up to its own."""
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
    """Return the same for positive a and b, given by their logarithms; start may have any sign."""
    total = log_decay.cumsum(dim=1)
    states = (total + (log_drive - total).logcumsumexp(dim=1)).exp()
    return states if start is None else torch.addcmul(states, total.exp(), start.unsqueeze(1))


def linear_recurrence(decay: Tensor, drive: Tensor, start: Tensor | None = None) -> Tensor:
    """Return h in the form that is fastest on the device."""
    return (sequential if drive.device.type == "cpu" else doubling)(decay, drive, start)


def gated_recurrence(gate: Tensor, candidate: Tensor, start: Tensor | None = None) -> Tensor:
    """Return h_t = (1 - z_t) h_{t-1} + z_t g(c_t), z = sigmoid(gate), in the form that is fastest on the device.

    g keeps the candidate positive: c + 1/2 where c >= 0, else sigmoid(c) (appendix B of Feng et al. 2024). Computed in
    float32, whatever the inputs' dtype: small decays multiply over many steps.
    """
    gate, candidate, start = gate.float(), candidate.float(), None if start is None else start.float()
    if gate.device.type == "cpu":
        positive = torch.where(candidate >= 0, candidate + 0.5, candidate.sigmoid())
        return sequential(torch.sigmoid(-gate), gate.sigmoid() * positive, start)
    return gated_recurrence_log(gate, candidate, start)


def gated_recurrence_log(gate: Tensor, candidate: Tensor, start: Tensor | None = None) -> Tensor:
    """Return `gated_recurrence` in its parallel form, float32."""
    softplus = functional.softplus
    log_positive = torch.where(candidate >= 0, (functional.relu(candidate) + 0.5).log(), -softplus(-candidate))
    return log_scan(-softplus(gate), log_positive - softplus(-gate), start)


def reversed_steps(x: Tensor, mask: Tensor | None) -> Tensor:
    """Reverse the real steps of each series, (B, T, N); padding stays behind them. mask: (B, T) bool."""
    if mask is None:
        return x.flip(1)
    index = torch.arange(x.shape[1], device=x.device)
    source = torch.where(mask, mask.sum(dim=1, keepdim=True) - 1 - index, index)  # (B, T)
    return x.gather(1, source.unsqueeze(-1).expand_as(x))
