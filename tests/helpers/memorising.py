"""Training until a few series are known by heart, which every network and every head must reach."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

LOOKS = 20  # steps between two looks at the error


def memorise(
    network: nn.Module, loss: Callable[[], Tensor], error: Callable[[], Tensor], *, lr: float, steps: int, bound: float
) -> float:
    """Train as the trainer does, until the error is below half of its bound, or for all `steps`; return the error.

    Most reach half of the bound in a quarter of the steps, and a test that asks for no more is over then. Half, so that
    other seeds and other instruction sets are below the bound, too.

    Args:
        network: whose parameters are trained; it is left in eval mode.
        loss: of the series, in train mode.
        error: of what is predicted for them, in eval mode.
        lr: at first; it falls to a twentieth over all steps.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=lr, fused=True)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, total_iters=steps)
    for step in range(1, steps + 1):
        network.train()
        optimiser.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % LOOKS == 0 or step == steps:
            network.eval()
            with torch.no_grad():
                found = float(error())
            if found < bound / 2:
                break
    return found
