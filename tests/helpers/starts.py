"""What tests of networks with a known start of the target share."""

from __future__ import annotations

import torch
from torch import Tensor


def series(steps: int, features: int, observed: int) -> Tensor:
    """(4, steps, features) normal numbers; with `observed`, behind them the target there and where it is known."""
    random = torch.Generator().manual_seed(1)
    x = torch.randn(4, steps, features, generator=random)
    if not observed:
        return x
    there = (torch.arange(steps) < observed).float().expand(4, -1).unsqueeze(-1)
    return torch.cat([x, torch.randn(4, steps, 1, generator=random) * there, there], dim=-1)
