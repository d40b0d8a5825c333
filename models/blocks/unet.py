"""U-Net: down to a coarser time, a recurrence or attention there, up again with what each level gave going down.

Source: Ronneberger, Fischer & Brox 2015, https://arxiv.org/abs/1505.04597 (section 2, figure 1), of one dimension. A
stage is two convolutions over `kernel` steps, each with a norm and ReLU. Down: a stage, then the maximum of each pair
of steps. Up: a learned map of each step to two, what the stage of that level gave going down beside it, a stage. In the
middle, 2^levels steps apart, `middle`: a GRU of both directions or a layer of attention, added to its input, the form
that wins on long recordings; both see the whole series at a 2^levels-th of the cost. "none" is the paper's, with two
convolutions alone. (B, T, in) -> (B, T, width).

What differs from the paper: windows hold zeros beyond the ends, so that T stays; a last step without a pair is one by
itself, so that any T is possible; a norm (its "batch" form came in later work; ops/normalisation.py). Default: 3
levels, kernels of 3, all as wide as the hybrid, 64, a GRU; `growth = 2` doubles the width at each level, as the paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.blocks import gru, transformer
from foldline.models.contract import Block, BlockConfig
from foldline.models.ops.normalisation import Norm, check_norm, make_norm
from foldline.models.ops.residual_convolution import Convolution
from foldline.models.packing import lengths_of, set_lengths

Middle = Literal["gru", "attention", "none"]


@dataclass(frozen=True, kw_only=True)
class Config(BlockConfig):
    """Table of a `unet` block."""

    levels: int = 3  # n; in the middle a step stands for 2^n
    kernel: int = 3  # steps under each convolution; odd, so that it is centred
    growth: int = 1  # how many times wider a level is than the one above; the paper: 2
    middle: Middle = "gru"  # what sees the whole series there; "attention": as a `transformer` block
    heads: int = 4  # of attention
    norm: Norm = "layer"  # "batch": over the real steps of a batch

    shares: ClassVar[tuple[str, ...]] = (
        *("blocks/gru", "blocks/transformer"),
        *("ops/normalisation", "ops/residual_convolution", "packing"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels < 1 or self.growth < 1:
            raise ValueError(f"levels and growth must be at least 1, but are {self.levels} and {self.growth}")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, so that it is centred on its step, but is {self.kernel}")
        if self.middle == "gru" and self.widest % 2:
            raise ValueError(f"width must be even, a GRU's directions have half of it each, but is {self.width}")
        if self.middle == "attention" and (self.heads < 1 or self.widest % self.heads):
            raise ValueError(f"width must be a multiple of heads, but is {self.width} with {self.heads} heads")
        check_norm(self.norm)

    @property
    def widest(self) -> int:
        """Channels in the middle."""
        times: int = self.growth**self.levels
        return self.width * times

    @property
    def reach(self) -> tuple[float, float]:
        """Steps (back, ahead) that an output may depend on; how many it does differs by its place in a group of 2^n."""
        if self.middle != "none":
            return math.inf, math.inf
        stage = self.kernel - 1  # of its two convolutions, to each side
        steps = stage
        for _ in range(self.levels):
            steps = 2 * steps + 1 + 2 * stage
        return steps, steps


class Stage(nn.Module):
    """relu(norm(conv(x))), twice: (B, in, T) -> (B, width, T)."""

    def __init__(self, config: Config, inputs: int, width: int) -> None:
        super().__init__()
        self.first, self.second = Convolution(inputs, width, config.kernel), Convolution(width, width, config.kernel)
        self.norm_first, self.norm_second = make_norm(config.norm, width), make_norm(config.norm, width)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """real: (B, 1, T) bool, None: all steps are; windows contain zeros at the others."""
        hidden = functional.relu(self.norm_first(self.first(cleared(x, real)), real))
        return functional.relu(self.norm_second(self.second(cleared(hidden, real)), real))


def cleared(x: Tensor, real: Tensor | None) -> Tensor:
    """Set padded steps of x (B, C, T) to 0. real: (B, 1, T) bool."""
    return x if real is None else x.masked_fill(~real, 0)


def halved(x: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return the maximum of each pair's real steps, (B, C, ceil(T / 2)), and which pairs have one, (B, 1, ceil(T / 2)).

    Where two are equal each gets a half of the gradient; pairs without a real step are 0.
    """
    odd = x.shape[2] % 2
    lowest = functional.pad(x if real is None else x.masked_fill(~real, -torch.inf), (0, odd), value=-torch.inf)
    highest = torch.maximum(lowest[..., ::2], lowest[..., 1::2])
    if real is None:
        return highest, None
    first, second = functional.pad(real, (0, odd)).unflatten(2, (-1, 2)).unbind(3)  # type: ignore[no-untyped-call]
    pairs = first | second
    return highest.masked_fill(~pairs, 0), pairs


class Up(nn.Module):
    """One level up: each step becomes two, the skip stands beside them, a stage follows."""

    def __init__(self, config: Config, width: int) -> None:
        """width: C, channels of the level."""
        super().__init__()
        self.spread = nn.ConvTranspose1d(width * config.growth, width, 2, stride=2)
        self.stage = Stage(config, 2 * width, width)

    def forward(self, x: Tensor, skip: Tensor, real: Tensor | None) -> Tensor:
        """x: (B, C growth, ceil(T / 2)); skip: (B, C, T); real: (B, 1, T) bool -> (B, C, T)."""
        spread = self.spread(x)[..., : skip.shape[2]]
        out: Tensor = self.stage(torch.cat([skip, spread], dim=1), real)
        return out


class UNet(Block):
    """n stages down, one in the middle with what sees the whole series, n stages up."""

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        widths = [config.width * config.growth**level for level in range(config.levels)]
        self.down = nn.ModuleList(
            Stage(config, narrow, width) for narrow, width in zip([inputs, *widths], widths, strict=False)
        )
        self.bottom = Stage(config, widths[-1], config.widest)
        self.middle, self.added = middle_of(config), config.middle == "gru"
        self.up = nn.ModuleList(Up(config, width) for width in reversed(widths))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        hidden, real = x.transpose(1, 2), None if mask is None else mask.unsqueeze(1)  # (B, in, T), (B, 1, T)
        skips = []
        for stage in self.down:
            hidden = stage(hidden, real)
            skips.append((hidden, real))
            hidden, real = halved(hidden, real)
        hidden = self._whole(self.bottom(hidden, real), mask, real)
        for up, (skip, real_there) in zip(self.up, reversed(skips), strict=True):
            hidden = up(hidden, skip, real_there)
        return hidden.transpose(1, 2)  # (B, T, width)

    def _whole(self, hidden: Tensor, mask: Tensor | None, real: Tensor | None) -> Tensor:
        """Let the middle see all steps at once: (B, C, T / 2^n) -> the same. real: (B, 1, T / 2^n)."""
        if self.middle is None:
            return hidden
        steps, coarse = hidden.transpose(1, 2), None
        if mask is not None and real is not None:
            coarse = real.squeeze(1)
            if self.added:  # the GRU packs by lengths of the host, which knows those of the mask
                set_lengths(coarse, -(-lengths_of(mask) // 2 ** len(self.down)))
        seen: Tensor = self.middle(steps, coarse)
        return (steps + seen if self.added else seen).transpose(1, 2)


def middle_of(config: Config) -> Block | None:
    """Make the block in the middle; attention adds its input itself."""
    if config.middle == "gru":
        return gru.GRU(gru.Config(width=config.widest), config.widest)
    if config.middle == "attention":
        return transformer.Transformer(transformer.Config(width=config.widest, heads=config.heads), config.widest)
    return None
