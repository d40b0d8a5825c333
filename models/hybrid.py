"""The hybrid: a stack of blocks chosen in the config, under one head.

    [[model]]
    name = "hybrid"
    width = 64
    blocks = [{kind = "bilstm"}, {kind = "conv", kernel = 5}, {kind = "transformer", heads = 4}]
    head = {kind = "l1"}

The shape of the 1st-place network (LSTM, then convolution, then attention, each with a skip), with every block, width
and skip open to search and ablation. (B, T, F) -> linear -> blocks, each: block, skip, layer norm -> (B, T, H) -> head.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from models import heads
from models.base import Embed, Head, Part, Targets
from models.blocks import BLOCKS


@dataclass(frozen=True, kw_only=True)
class Config:
    """[[model]] with name = "hybrid". Default: about 130,000 parameters."""

    blocks: tuple[dict[str, Any], ...] = (
        {"kind": "bilstm"},
        {"kind": "bilstm"},
        {"kind": "conv"},
        {"kind": "transformer"},
    )
    head: dict[str, Any] = field(default_factory=lambda: {"kind": "l1"})
    width: int = 64  # H of the entry, and of each block that names none
    embed: int = 0  # size of a learned embedding for each static column, joined to every step; 0: none
    dropout: float = 0.0  # after each block

    kind: ClassVar[str] = "network"
    parts: ClassVar[dict[str, dict[str, Part]]] = {"blocks": BLOCKS, "head": heads.HEADS}

    def __post_init__(self) -> None:
        if not self.blocks:
            raise ValueError("blocks must hold at least one block")
        if self.width < 1:
            raise ValueError(f"width must be at least 1, but is {self.width}")
        if self.embed < 0:
            raise ValueError(f"embed must not be below 0, but is {self.embed}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), but is {self.dropout}")
        filled = tuple({"width": self.width, **table} for table in self.blocks)
        object.__setattr__(self, "blocks", filled)  # so that each block's own table says, and checks, its width

    def built(self) -> list[tuple[Part, Any]]:
        """(registry entry, its config) of each block."""
        tables = [dict(table) for table in self.blocks]
        kinds = [BLOCKS[str(table.pop("kind"))] for table in tables]
        return [(part, part.config(**table)) for part, table in zip(kinds, tables, strict=True)]


class Residual(nn.Module):
    """norm(block(x) + x), the skip through a linear map where widths differ, or left out."""

    def __init__(self, block: nn.Module, inputs: int, width: int, skip: bool, dropout: float) -> None:
        super().__init__()
        self.block = block
        self.skip = None if not skip else nn.Identity() if inputs == width else nn.Linear(inputs, width)
        self.dropout, self.norm = nn.Dropout(dropout), nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        out = self.dropout(self.block(x, mask))
        normed: Tensor = self.norm(out if self.skip is None else out + self.skip(x))
        return normed


class Hybrid(nn.Module):
    """The network. `forward` gives the body's (B, T, H); `head` turns it into loss and prediction."""

    def __init__(self, config: Config, features: int, levels: tuple[int, ...], targets: Targets) -> None:
        """features: F; levels: number of known values of each static column."""
        super().__init__()
        self.embed = Embed(levels, config.embed) if config.embed and levels else None
        self.enter = nn.Linear(features + config.embed * len(levels), config.width)
        blocks, inputs = [], config.width
        for part, table in config.built():
            blocks.append(Residual(part.make(table, inputs), inputs, table.width, table.skip, config.dropout))
            inputs = table.width
        self.blocks = nn.ModuleList(blocks)
        self.head: Head = heads.build(config.head, inputs, targets)

    def forward(self, x: Tensor, static: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, F); static: (B, S) codes or (B, S, L) weights; mask: (B, T), None: all real -> (B, T, H)."""
        if self.embed is not None:
            known = self.embed(static)  # (B, S * embed)
            x = torch.cat([x, known.unsqueeze(1).expand(-1, x.shape[1], -1)], dim=-1)
        x = self.enter(x)  # (B, T, H)
        for block in self.blocks:
            x = block(x, mask)
        return x
