"""Hierarchical attention encoder: windows of w steps are summarised, windows of summaries again, until one is left.

Source: Yang et al. 2016, https://aclanthology.org/N16-1174 (learned queries over the members of a window), in the tree
of E. Culurciello's "The fall of RNN / LSTM" (2018). Up: (B, T, H) -> (B, T/w, H) -> ... -> (B, 1, H), 80-20-5-2-1 for
w = 4. Down: every member adds the summary above it. Any two steps are about 2 log_w T hops apart, T in a recurrence.
All levels share their weights, so that any T is possible. (B, T, in) -> (B, T, width).

Default: w = 4 (9 takes 80-9-1), 4 queries, as wide as the hybrid, 64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.contract import Block, BlockConfig


@dataclass(frozen=True, kw_only=True)
class Config(BlockConfig):
    """Table of a `hierarchical` block."""

    window: int = 4  # w, members of a summary
    heads: int = 4  # learned queries, each over its own part of the width
    ffn: int = 2  # width of the feed-forward nets, in widths of the block

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window < 2:
            raise ValueError(f"window must be at least 2, else no level is shorter, but is {self.window}")
        if self.heads < 1 or self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads, but is {self.width} with {self.heads} heads")
        if self.ffn < 1:
            raise ValueError(f"ffn must be at least 1, but is {self.ffn}")

    @property
    def reach(self) -> tuple[float, float]:
        """Steps (back, ahead) that an output may depend on."""
        return math.inf, math.inf


def feed_forward(config: Config) -> nn.Sequential:
    """Return a net: layer norm, then H -> ffn H -> H."""
    wide = config.ffn * config.width
    return nn.Sequential(
        nn.LayerNorm(config.width), nn.Linear(config.width, wide), nn.GELU(), nn.Linear(wide, config.width)
    )


class Summary(nn.Module):
    """One level up, (B, n, H) -> (B, ceil(n / w), H): learned queries over each window's real members."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, self.window, self.heads = config.width, config.window, config.heads
        self.norm, self.position = nn.LayerNorm(width), nn.Parameter(0.02 * torch.randn(config.window, width))
        self.query = nn.Parameter(torch.randn(config.heads, width // config.heads))
        self.key, self.value = nn.Linear(width, width, bias=False), nn.Linear(width, width)
        self.project_out, self.ffn = nn.Linear(width, width), feed_forward(config)

    def forward(self, x: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """real: (B, n) bool; a summary is real if any of its members is. Returns summaries and which are real."""
        short = -x.shape[1] % self.window
        x, real = functional.pad(x, (0, 0, 0, short)), functional.pad(real, (0, short))
        windows = self.norm(x).view(len(x), -1, self.window, x.shape[2]) + self.position  # (B, m, w, H)
        members = real.view(len(x), -1, self.window)  # (B, m, w)
        weights = self.weights(windows, members)  # (B, m, w, heads)
        value = self.value(windows).view(*weights.shape, -1)  # (B, m, w, heads, d)
        summary = self.project_out((weights.unsqueeze(4) * value).sum(dim=2).flatten(2))  # (B, m, H)
        return summary + self.ffn(summary), members.any(dim=2)

    def weights(self, windows: Tensor, members: Tensor) -> Tensor:
        """Return attention weights (B, m, w, heads), sums over w are 1.

        A window without real members attends to all of its padding alike: a softmax over nothing would be NaN.
        """
        keys = self.key(windows).view(*windows.shape[:3], self.heads, -1)
        scores: Tensor = (keys * self.query).sum(dim=4) / math.sqrt(self.query.shape[1])
        excluded = ~(members | ~members.any(dim=2, keepdim=True))
        return scores.float().masked_fill(excluded.unsqueeze(3), -math.inf).softmax(dim=2)


class Broadcast(nn.Module):
    """One level down: members (B, n, H) and the level above (B, ceil(n / w), H) -> (B, n, H)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.window, self.parent, self.ffn = config.window, nn.Linear(config.width, config.width), feed_forward(config)

    def forward(self, x: Tensor, above: Tensor) -> Tensor:
        x = x + self.parent(above).repeat_interleave(self.window, dim=1)[:, : x.shape[1]]
        out: Tensor = x + self.ffn(x)
        return out


class Hierarchical(Block):
    """All levels up to one summary, and down again."""

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        self.project_in = nn.Linear(inputs, config.width)
        self.summary, self.broadcast = Summary(config), Broadcast(config)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.project_in(x)  # (B, T, width)
        levels = [(x, x.new_ones(x.shape[:2], dtype=torch.bool) if mask is None else mask)]
        while levels[-1][0].shape[1] > 1:
            levels.append(self.summary(*levels[-1]))
        above = levels[-1][0]  # (B, 1, width)
        for members, real in reversed(levels[:-1]):
            top = real.sum(dim=1) <= 1  # (B,) a shorter series' own top: levels above it exist for longer ones only
            above = torch.where(top[:, None, None], members, self.broadcast(members, above))
        return above
