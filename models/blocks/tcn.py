"""Temporal convolutional network: residual levels of dilated convolutions, the dilation doubling from level to level.

Source: Bai, Kolter & Koltun 2018, https://arxiv.org/abs/1803.01271 (section 3, figure 1). A level is [dilated
convolution, weight norm, ReLU, spatial dropout] twice, its input added (through a 1x1 convolution where widths differ),
then ReLU. One block is the whole network of n levels, with a window of 1 + 2 (k - 1) (2^n - 1) steps: 29 for the
often-copied k = 3, n = 3; 125 for the n = 5 shipped here, which covers a breath of 80.

`causal` is the paper's form, the window behind each step; without it the window is centred, which suits a target whose
inputs are all known. (B, T, in) -> (B, T, width).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from foldline.models.contract import Block, BlockConfig


@dataclass(frozen=True, kw_only=True)
class Config(BlockConfig):
    """Table of a `tcn` block."""

    kernel: int = 3  # k, taps of each convolution
    levels: int = 5  # n; level i, from 0, has dilation 2^i
    causal: bool = False  # an output depends on its own and earlier steps
    dropout: float = 0.0  # share of channels that a level drops over all steps, after each of its convolutions

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel < 2 or (self.kernel % 2 == 0 and not self.causal):
            rule = "at least 2" if self.causal else "odd and at least 3, so that it is centred on its step"
            raise ValueError(f"kernel must be {rule}, but is {self.kernel} with causal = {str(self.causal).lower()}")
        if self.levels < 1:
            raise ValueError(f"levels must be at least 1, but is {self.levels}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), but is {self.dropout}")

    @property
    def reach(self) -> tuple[float, float]:
        """Steps (back, ahead) that an output may depend on."""
        others = 2 * (self.kernel - 1) * (2**self.levels - 1)
        return (others, 0) if self.causal else (others // 2, others // 2)


class Convolution(nn.Module):
    """Weight-normed dilated convolution that keeps T, ReLU, spatial dropout: (B, in, T) -> (B, width, T)."""

    def __init__(self, config: Config, inputs: int, dilation: int) -> None:
        super().__init__()
        self.conv = weight_norm(nn.Conv1d(inputs, config.width, config.kernel, dilation=dilation))
        self.dropout = nn.Dropout1d(config.dropout)
        reach = (config.kernel - 1) * dilation  # steps that the convolution would remove
        self.padding = (reach, 0) if config.causal else (reach // 2, reach // 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.dropout(functional.relu(self.conv(functional.pad(x, self.padding))))
        return out


class Level(nn.Module):
    """relu(x + F(x)), F two convolutions of one dilation; each window contains zeros at padded steps."""

    def __init__(self, config: Config, inputs: int, dilation: int) -> None:
        super().__init__()
        self.first = Convolution(config, inputs, dilation)
        self.second = Convolution(config, config.width, dilation)
        self.identity = nn.Conv1d(inputs, config.width, 1) if inputs != config.width else nn.Identity()

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """x: (B, in, T); real: (B, 1, T), None: all steps are -> (B, width, T)."""
        hidden = self.first(x if real is None else x * real)
        hidden = self.second(hidden if real is None else hidden * real)
        return functional.relu(hidden + self.identity(x))


class TCN(Block):
    """n levels, stacked."""

    compiles = True

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        widths = [inputs] + [config.width] * (config.levels - 1)
        self.levels = nn.ModuleList(Level(config, width, 2**number) for number, width in enumerate(widths))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        hidden, real = x.transpose(1, 2), None if mask is None else mask.unsqueeze(1)  # (B, in, T), (B, 1, T)
        for level in self.levels:
            hidden = level(hidden, real)
        return hidden.transpose(1, 2)  # (B, T, width)
