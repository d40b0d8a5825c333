"""Masked pre-training: a network learns series without labels, by telling numbers that are hidden from it.

Stretches of steps are hidden, all numbers of a step at once, as features of one step tell each other; the loss is the
mean absolute error of what was hidden, scaled. After Zerveas et al. 2021, https://arxiv.org/abs/2010.02803 (there each
variable is hidden by itself, and the error squared); with noise = "swap" numbers of another series stand in for what is
hidden, as in denoising autoencoders (Vincent et al. 2008, https://doi.org/10.1145/1390156.1390294).

The head that tells numbers is thrown away: what starts with these weights has its own head, as drawn from the seed.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from foldline.fit.augmentation.part import there
from foldline.fit.batch import Batch
from foldline.fit.input_channels import InputChannels
from foldline.fit.pretraining import PretrainConfig
from foldline.models.contract import Head

VERSION = 1  # part of a cell's key: raise it when a change here changes what comes out
STEPS = 8  # of the series that shows how wide a body's output is


class NumbersHead(Head):
    """(B, T, H) -> (B, T, C): the numbers of each step. The loss is the sum of absolute errors of hidden ones."""

    def __init__(self, hidden: int, channels: int) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, channels)

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (B, T, H) to (B, T, C)."""
        raw: Tensor = self.out(hidden)
        return raw

    def loss_sum(self, raw: Tensor, y: Tensor, weight: Tensor, known: Tensor | None) -> Tensor:
        """Sum the errors of what is hidden; `weight` counts it step by step."""
        assert known is not None, "says what is hidden"
        return ((raw - y).abs() * known).sum()

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        """Return the numbers."""
        return raw


def with_numbers_head(network: nn.Module, channels: int, statics: int) -> nn.Module:
    """Give a network, in place, a head that tells its input's C channels; return the head that it had.

    statics: S, number of static columns.
    """
    own: nn.Module = network.head  # type: ignore[assignment]
    network.head = NumbersHead(_width(network, channels, statics), channels)
    return own


@torch.no_grad()
def _width(network: nn.Module, channels: int, statics: int) -> int:
    """Return H of the body's (B, T, H)."""
    network.eval()
    hidden = network(torch.zeros(1, STEPS, channels), torch.zeros(1, statics, dtype=torch.int64), None)
    return int(hidden.shape[-1])


def hide(batch: Batch, channels: InputChannels, config: PretrainConfig) -> Batch:
    """Hide stretches of steps of every series, and ask for what is hidden; drawn from torch's generator."""
    count, steps = batch.x.shape[:2]
    begins = 1 - (1 - config.hidden) ** (1 / config.stretch)  # so that a step is hidden with probability `hidden`
    begun = torch.rand(count, steps + config.stretch - 1, device=batch.x.device) < begins
    inside = begun.unfold(1, config.stretch, 1).any(dim=-1)  # (B, T)
    hidden = inside.unsqueeze(-1) & channels.numbers & there(batch.x, batch, channels)  # (B, T, C)
    instead = torch.zeros_like(batch.x)
    if config.noise == "swap":
        instead = batch.x[torch.randperm(count, device=batch.x.device)]
    return replace(
        batch,
        x=torch.where(hidden, instead, batch.x),
        y=batch.x,
        weight=hidden.sum(dim=-1).float(),
        scored=hidden.any(dim=-1),
        known=hidden,
        has_unknown=True,
        auxiliary=None,
    )
