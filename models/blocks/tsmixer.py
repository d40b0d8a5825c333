"""TSMixer: one linear map over all steps, the same for each channel, then one over channels, the same for each step.

Source: Chen et al. 2023, "TSMixer", https://arxiv.org/abs/2303.06053 (section 3.2, figure 1). A layer is
x + drop(relu(W_t norm(x) + b_t)), W_t (T, T) over steps, then x + drop(V drop(relu(U norm(x)))) over channels. There is
neither a recurrence nor attention: what a step takes from another is learned for that pair of places, whatever stands
there. So it suits series that all begin at the same moment, forecasts above all. (B, T, in) -> (B, T, width).

Default: 2 layers, a feed-forward net of twice the width, dropout 0.1. `steps` is the length of the longest series;
shorter ones use the corner of W_t that belongs to their places. A longer one is mixed in pieces of `steps` steps, each
for itself. Of the paper's forms this is the one of the body: the last linear map, from past to future steps, has no
place where each step has its answer. `norm = "batch"` is nearest to the paper's, which is over steps and channels; the
default "layer" normalises each step over its channels (ops/normalisation.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from foldline.models.contract import Block, BlockConfig
from foldline.models.ops.normalisation import Norm, check_norm, make_norm


@dataclass(frozen=True, kw_only=True)
class Config(BlockConfig):
    """Table of a `tsmixer` block."""

    steps: int = 128  # T of the longest series; a longer one is mixed in pieces of so many steps
    layers: int = 2
    ffn: int = 2  # width of the feed-forward net over channels, in widths
    dropout: float = 0.1  # behind each map
    norm: Norm = "layer"  # "batch": over the real steps of a batch

    shares: ClassVar[tuple[str, ...]] = ("ops/normalisation",)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("steps", "layers", "ffn"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), but is {self.dropout}")
        check_norm(self.norm)

    @property
    def reach(self) -> tuple[float, float]:
        """Steps (back, ahead) that an output may depend on: all, and where they stand."""
        return math.inf, math.inf


class Layer(nn.Module):
    """Mixing over steps, then over channels, each added to what it read: (B, C, T) -> (B, C, T)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, wide = config.width, config.ffn * config.width
        self.norm_steps, self.norm_channels = make_norm(config.norm, width), make_norm(config.norm, width)
        self.over_steps = nn.Linear(config.steps, config.steps)  # W_t, b_t
        self.dropout = nn.Dropout(config.dropout)
        self.over_channels = nn.Sequential(
            nn.Linear(width, wide),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(wide, width),
            nn.Dropout(config.dropout),
        )

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """real: (B, 1, T) bool, None: all steps are."""
        steps = x.shape[2]
        read = self.norm_steps(x, real)
        if real is not None:
            read = read.masked_fill(~real, 0)  # behind the norm, whose bias would say how long a series is
        over = self.over_steps
        x = x + self.dropout(functional.relu(functional.linear(read, over.weight[:steps, :steps], over.bias[:steps])))
        mixed: Tensor = self.over_channels(self.norm_channels(x, real).transpose(1, 2))
        return x + mixed.transpose(1, 2)


class TSMixer(Block):
    """n layers behind a linear map to `width`; series longer than `steps` are batches of pieces."""

    compiles = True

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        self.steps = config.steps
        self.project_in = nn.Identity() if inputs == config.width else nn.Linear(inputs, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        hidden: Tensor = self.project_in(x).transpose(1, 2)  # (B, C, T)
        real = None if mask is None else mask.unsqueeze(1)
        steps = hidden.shape[2]
        if steps > self.steps:
            real = hidden.new_ones(len(hidden), 1, steps).bool() if real is None else real
            hidden, real = self._pieces(hidden), self._pieces(real)
        for layer in self.layers:
            hidden = layer(hidden, real)
        if steps > self.steps:
            pieces = hidden.view(len(x), -1, *hidden.shape[1:])  # (B, n, C, steps)
            hidden = pieces.transpose(1, 2).flatten(2)[..., :steps]
        return hidden.transpose(1, 2)  # (B, T, width)

    def _pieces(self, x: Tensor) -> Tensor:
        """Cut (B, C, T) into pieces, zeros (False) behind the last step: (B n, C, steps)."""
        filled = functional.pad(x, (0, -x.shape[2] % self.steps))
        pieces = filled.view(*x.shape[:2], -1, self.steps)  # (B, C, n, steps)
        return pieces.transpose(1, 2).flatten(0, 1)
