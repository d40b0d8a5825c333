"""Scaled dot-product attention, in whichever of two equal forms is the faster.

Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762 (section 3.2.1). torch's fused kernel is the faster one
nearly everywhere, and needs no (T, T) scores in memory; but in bfloat16 on a CPU its backward pass costs more than in
float32. There, for series of up to SHORT steps, the plain products are several times cheaper.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SHORT = 128  # steps; at some 320 the plain products cost as much as the kernel


def attention(query: Tensor, key: Tensor, value: Tensor, real: Tensor | None) -> Tensor:
    """softmax(query key' / sqrt(d)) value, per head; all (B, heads, T, d).

    Args:
        query, key, value: float, of one dtype.
        real: (B, T) bool, True at the steps that may be attended to, at least one in each series; None: all.
    """
    allowed = None if real is None else real[:, None, None, :]  # (B, 1, 1, T)
    if query.device.type != "cpu" or query.dtype != torch.bfloat16 or query.shape[2] > SHORT:
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    with torch.autocast("cpu", enabled=False):  # it would take the softmax through float32 and back, copy by copy
        scores = (query / query.shape[3] ** 0.5) @ key.transpose(2, 3)  # (B, heads, T, T)
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -torch.inf)
        out: Tensor = scores.softmax(dim=3) @ value
    return out
