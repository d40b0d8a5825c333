"""What padding may not change while a block is trained."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

LENGTHS, LONGEST, PADDED, FEATURES = (9, 1, 4), 9, 12, 3  # real steps of three series, and steps of a padded batch


def assert_changes_nothing(make: Callable[[], nn.Module]) -> None:
    """Check outputs, gradients and buffers of a training step, whatever stands in padded steps, and without some.

    make: makes the same block of (B, T, 3) each time.
    """
    mask = torch.arange(PADDED) < torch.tensor(LENGTHS)[:, None]
    random = torch.Generator().manual_seed(1)
    x = torch.randn(len(LENGTHS), PADDED, FEATURES, generator=random, dtype=torch.float64)
    found = []
    for rest, steps in ((0.0, PADDED), (1e4, PADDED), (7.0, LONGEST)):
        network = make().double().train()
        out = network(torch.where(mask.unsqueeze(-1), x, rest)[:, :steps], mask[:, :steps])[mask[:, :steps]]
        out.square().sum().backward()
        found.append([out.detach(), *(weight.grad for weight in network.parameters()), *network.buffers()])
    for others in found[1:]:
        torch.testing.assert_close(others, found[0])
