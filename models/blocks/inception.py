"""InceptionTime's network: modules of convolutions of three lengths side by side behind a bottleneck.

Source: Ismail Fawaz et al. 2020, https://arxiv.org/abs/1909.04939 (section 3, figures 1 and 2; what they leave open,
as biases and where even kernels are centred: the authors' code). A module narrows its input by a 1x1 convolution to a
quarter of the width and convolves that over k, k/2 and k/4 steps. Beside these stands the maximum of 3 steps of the
input behind a 1x1 convolution of its own. Norm and ReLU follow. Behind every third module the input of those three is
added, through a 1x1 convolution and a norm, then ReLU. n modules see 1 + n (k - 1) steps: 235.
(B, T, in) -> (B, T, width).

Default: k = 40, n = 6, as published, as wide as the hybrid, 64 (published: 128, 32 channels from each of the four). The
paper's norm is `norm = "batch"`. The default "layer" normalises each step over its channels (ops/normalisation.py), so
that series don't depend on which others share their batch; it is another network, docs/log.md compares them. The paper
means five networks' predictions: train.seeds. `causal` shifts all windows behind their step, a form of our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.contract import Block, BlockConfig
from foldline.models.ops.normalisation import Norm, check_norm, make_norm
from foldline.models.ops.residual_convolution import Convolution, Shortcut, window

BRANCHES = 4  # of a module: three convolutions, and the maximum
TOGETHER = 3  # modules under one residual connection


@dataclass(frozen=True, kw_only=True)
class Config(BlockConfig):
    """Table of an `inception` block."""

    kernel: int = 40  # k, steps under the longest convolution of a module; the others have a half and a quarter of it
    layers: int = 6  # n, modules
    norm: Norm = "layer"  # "batch": the published one, over the real steps of a batch
    causal: bool = False  # an output depends on its own and earlier steps

    shares: ClassVar[tuple[str, ...]] = ("ops/normalisation", "ops/residual_convolution")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % BRANCHES:
            raise ValueError(f"width must be a multiple of {BRANCHES}, a module's branches, but is {self.width}")
        if self.kernel < 4:
            raise ValueError(f"kernel must be at least 4, so that a quarter of it is a step, but is {self.kernel}")
        if self.layers < 1:
            raise ValueError(f"layers must be at least 1, but is {self.layers}")
        check_norm(self.norm)

    @property
    def reach(self) -> tuple[float, float]:
        """Steps (back, ahead) that an output may depend on."""
        back, ahead = window(self.kernel, self.causal)
        return self.layers * max(back, 2 if self.causal else 1), self.layers * ahead


def maximum(x: Tensor, real: Tensor | None, causal: bool) -> Tensor:
    """Return the maximum over 3 steps, of real ones alone, (B, C, T); 0 where none of them is real.

    Where two are equal each gets a half of the gradient: that of a pooling layer goes to one of them, on a GPU by a sum
    whose order is not fixed.
    """
    lowest = x if real is None else x.masked_fill(~real, -torch.inf)
    padded = functional.pad(lowest, window(3, causal), value=-torch.inf)
    highest = torch.maximum(torch.maximum(padded[..., :-2], padded[..., 1:-1]), padded[..., 2:])
    return highest if real is None else highest.masked_fill(~real, 0)


class Module(nn.Module):
    """relu(norm([conv_k(z), conv_k/2(z), conv_k/4(z), conv_1(max_3(x))])), z = conv_1(x), (B, in or width, T)."""

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        filters, self.causal = config.width // BRANCHES, config.causal
        # One channel is narrow as it is.
        self.bottleneck = Convolution(inputs, filters, 1, self.causal) if inputs > 1 else nn.Identity()
        narrow = filters if inputs > 1 else 1
        kernels = (config.kernel, config.kernel // 2, config.kernel // 4)
        self.convolutions = nn.ModuleList(Convolution(narrow, filters, kernel, self.causal) for kernel in kernels)
        self.of_maximum = Convolution(inputs, filters, 1, self.causal)
        self.norm = make_norm(config.norm, config.width)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """real: (B, 1, T) bool, None: all steps are; windows contain zeros at the others."""
        narrow = self.bottleneck(x if real is None else x.masked_fill(~real, 0))
        branches = [convolution(narrow) for convolution in self.convolutions]
        branches.append(self.of_maximum(maximum(x, real, self.causal)))
        return functional.relu(self.norm(torch.cat(branches, dim=1), real))


class Inception(Block):
    """n modules; behind each third one the sum with what went into the first of the three."""

    compiles = True

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        widths = [inputs] + [config.width] * (config.layers - 1)
        self.modules_in_order = nn.ModuleList(Module(config, width) for width in widths)
        self.shortcuts = nn.ModuleList(
            Shortcut(widths[first], config.width, config.norm, always=True)
            for first in range(0, config.layers - TOGETHER + 1, TOGETHER)
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        hidden, real = x.transpose(1, 2), None if mask is None else mask.unsqueeze(1)  # (B, in, T), (B, 1, T)
        before = hidden
        for number, module in enumerate(self.modules_in_order):
            hidden = module(hidden, real)
            if number % TOGETHER == TOGETHER - 1:
                hidden = functional.relu(hidden + self.shortcuts[number // TOGETHER](before, real))
                before = hidden
        return hidden.transpose(1, 2)  # (B, T, width)
