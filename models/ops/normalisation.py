"""Normalisation of channels, (B, C, T): at each step over its channels, or over a batch's real steps by channel.

"layer" (Ba et al. 2016, https://arxiv.org/abs/1607.06450) has no state, and a step's output depends on that step alone:
nothing of other series, of later steps or of padding gets into it. "batch" (Ioffe & Szegedy 2015,
https://arxiv.org/abs/1502.03167) is what many convolutional networks were published with: in training by mean and
variance of the batch, else by running averages of them. Over padding they would say how long series are, so here they
are taken over real steps only; without padding it is torch's layer. It is right only where a pass sees the whole batch
and the weights that predict are those that were trained last: fit/batch_statistics.py refuses the rest.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

Norm = Literal["layer", "batch"]


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each step."""

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        """x: (B, C, T); real: not used."""
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class RealBatchNorm(nn.BatchNorm1d):
    """Batch norm whose statistics are those of real steps."""

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        """x: (B, C, T); real: (B, 1, T) bool, at least one step is; None: all are."""
        if not self.training or (real is None and x.shape[0] * x.shape[2] > 1):
            return super().forward(x)
        exact = x.to(torch.promote_types(x.dtype, torch.float32))  # statistics lose too many digits in half precision
        real = exact.new_ones(len(x), 1, x.shape[2], dtype=torch.bool) if real is None else real
        count = real.sum()
        mean = exact.masked_fill(~real, 0).sum(dim=(0, 2)) / count  # (C,)
        centred = exact - mean[:, None]
        variance = centred.masked_fill(~real, 0).square().sum(dim=(0, 2)) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None] + self.bias[:, None]).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Take a batch's statistics into the running ones, as torch's layer does. mean, variance (unbiased): (C,)."""
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def check_norm(norm: str) -> None:
    """Raise ValueError where there is no such norm."""
    if norm not in get_args(Norm):
        raise ValueError(f'norm must be "layer" or "batch", but is {norm!r}')


def make_norm(norm: Norm, channels: int) -> ChannelNorm | RealBatchNorm:
    """Make a layer that is called with (x, real). channels: C."""
    return ChannelNorm(channels) if norm == "layer" else RealBatchNorm(channels)
