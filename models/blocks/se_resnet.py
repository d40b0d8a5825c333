"""Residual network of convolutions whose channels are weighted by what the whole series holds: ResNet with SE.

Sources: Wang, Yan & Oates 2017, https://arxiv.org/abs/1611.06455 (section II.C, figure 1c). A unit is three
convolutions of 8, 5 and 3 steps, a norm behind each, ReLU between them. Its input is added, through a 1x1 convolution
where widths differ and a norm, and ReLU follows. Hu, Shen & Sun 2018, https://arxiv.org/abs/1709.01507 (section 3,
eq. 2 to 4), squeeze and excitation: what the convolutions give is multiplied, channel by channel, by
sigmoid(W_2 relu(W_1 z)) before the sum; z is its mean over the real steps of the series, W_1 narrows by `reduction`.
(B, T, in) -> (B, T, width).

Default: 3 units, as wide as the hybrid, 64, the first one half as wide, as in the paper (64, 128, 128); reduction 16,
but no fewer than 4 channels. `reduction = 0` is Wang's network, without weights of channels. `norm = "batch"` is the
papers'; the default "layer" normalises each step over its channels (ops/normalisation.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from foldline.models.contract import Block, BlockConfig
from foldline.models.ops.normalisation import Norm, check_norm, make_norm
from foldline.models.ops.residual_convolution import Convolution, Shortcut, window

LEAST = 4  # channels that a series is squeezed to: one alone may be 0 for all series, and learn nothing


@dataclass(frozen=True, kw_only=True)
class Config(BlockConfig):
    """Table of an `se-resnet` block."""

    units: int = 3  # residual units; the first of several is half as wide
    kernels: tuple[int, ...] = (8, 5, 3)  # steps under each convolution of a unit
    reduction: int = 16  # how many times narrower a series' summary becomes; 0: channels are not weighted
    norm: Norm = "layer"  # "batch": the published one, over the real steps of a batch

    shares: ClassVar[tuple[str, ...]] = ("ops/normalisation", "ops/residual_convolution")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.units < 1 or not self.kernels or min(self.kernels) < 1:
            raise ValueError(f"units and all kernels must be at least 1, but are {self.units} and {list(self.kernels)}")
        if self.units > 1 and self.width % 2:
            raise ValueError(f"width must be even, the first of several units has half of it, but is {self.width}")
        if self.reduction < 0:
            raise ValueError(f"reduction must not be below 0, but is {self.reduction}")
        check_norm(self.norm)

    @property
    def widths(self) -> list[int]:
        """Channels out of each unit."""
        return [self.width // 2] * (self.units > 1) + [self.width] * max(1, self.units - 1)

    @property
    def reach(self) -> tuple[float, float]:
        """Steps (back, ahead) that an output may depend on."""
        if self.reduction:
            return math.inf, math.inf
        back, ahead = zip(*map(window, self.kernels), strict=True)
        return self.units * sum(back), self.units * sum(ahead)


class SqueezeExcitation(nn.Module):
    """x times a weight from 0 to 1 for each channel of each series: (B, C, T) -> (B, C, T)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        narrow = max(LEAST, channels // reduction)
        self.squeeze, self.excite = nn.Linear(channels, narrow), nn.Linear(narrow, channels)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """real: (B, 1, T) bool, at least one step of each series is; None: all are."""
        mean = x.mean(dim=2) if real is None else x.masked_fill(~real, 0).sum(dim=2) / real.sum(dim=2)  # (B, C)
        weight: Tensor = self.excite(functional.relu(self.squeeze(mean))).sigmoid()
        return x * weight.unsqueeze(2)


class Unit(nn.Module):
    """relu(SE(convolutions(x)) + shortcut(x)): (B, in, T) -> (B, width, T)."""

    def __init__(self, config: Config, inputs: int, width: int) -> None:
        super().__init__()
        widths = [inputs] + [width] * (len(config.kernels) - 1)
        self.convolutions = nn.ModuleList(
            Convolution(each, width, kernel) for each, kernel in zip(widths, config.kernels, strict=True)
        )
        self.norms = nn.ModuleList(make_norm(config.norm, width) for _ in config.kernels)
        self.weigh = SqueezeExcitation(width, config.reduction) if config.reduction else None
        self.shortcut = Shortcut(inputs, width, config.norm, always=False)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """real: (B, 1, T) bool, None: all steps are; windows contain zeros at the others."""
        hidden = x
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            hidden = functional.relu(hidden) if number else hidden
            hidden = norm(convolution(hidden if real is None else hidden.masked_fill(~real, 0)), real)
        weighted = hidden if self.weigh is None else self.weigh(hidden, real)
        return functional.relu(weighted + self.shortcut(x, real))


class SEResNet(Block):
    """All units, one behind the other."""

    compiles = True

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        before = [inputs, *config.widths[:-1]]
        pairs = zip(before, config.widths, strict=True)
        self.units = nn.ModuleList(Unit(config, narrow, width) for narrow, width in pairs)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        hidden, real = x.transpose(1, 2), None if mask is None else mask.unsqueeze(1)  # (B, in, T), (B, 1, T)
        for unit in self.units:
            hidden = unit(hidden, real)
        return hidden.transpose(1, 2)  # (B, T, width)
