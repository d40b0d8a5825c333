"""Scaled dot-product attention, in the faster of two equal forms, and multi-head self-attention.

Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762 (section 3.2). torch's fused kernel is the faster one
nearly everywhere, and needs no (T, T) scores in memory; but in bfloat16 on a CPU its backward pass costs more than in
float32. There, for series of up to SHORT steps, the plain products are several times cheaper.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SHORT = 128  # steps; at some 320 the plain products cost as much as the kernel


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Return softmax(query key' / sqrt(d)) value, per head; all (B, heads, T, d).

    Args:
        query, key, value: float, of one dtype.
        mask: (B, T) bool, True at the steps that may be attended to, at least one in each series; None: all.
    """
    allowed = None if mask is None else mask[:, None, None, :]  # (B, 1, 1, T)
    if query.device.type != "cpu" or query.dtype != torch.bfloat16 or query.shape[2] > SHORT:
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    with torch.autocast("cpu", enabled=False):  # autocast would copy scores to float32 for the softmax, and back
        scores = (query / query.shape[3] ** 0.5) @ key.transpose(2, 3)  # (B, heads, T, T)
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -torch.inf)
        out: Tensor = scores.softmax(dim=3) @ value
    return out


class SelfAttention(nn.Module):
    """Multi-head self-attention with linear maps before and after: (B, T, width) -> (B, T, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project_in, self.project_out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """mask: as in `attention`."""
        batch, steps, width = x.shape
        query, key, value = self.project_in(x).view(batch, steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = attention(query, key, value, mask)  # (B, heads, T, d)
        out: Tensor = self.project_out(mixed.transpose(1, 2).reshape(batch, steps, width))
        return out
