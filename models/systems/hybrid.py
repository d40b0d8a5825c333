"""The hybrid: a stack of blocks chosen in the config, under one head.

    [[model]]
    name = "hybrid"
    width = 64
    blocks = [{kind = "bilstm"}, {kind = "conv", kernel = 5}, {kind = "transformer", heads = 4}]
    head = {kind = "l1"}

The shape of the 1st-place network (LSTM, then convolution, then attention, each with a skip), with every block, width
and skip open to search and ablation. (B, T, F) -> linear -> blocks, each: block, skip, layer norm -> (B, T, H) -> head.
Covariates reach the blocks whose tables name them: embedded static columns (`static = "state"` of a
recurrent block), the time of each step in its own unit (`time` here, which names the feature that holds it), matrices
of pairs (`pairs = ["bpp"]` of a block with relative attention: ops/pairs.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from foldline.models import heads
from foldline.models.blocks import BLOCKS, build, configure
from foldline.models.contract import Block, Embed, Head, Part, Targets, append_static
from foldline.models.ops.covariates import Clock, CovariateBlock, Covariates
from foldline.models.ops.pairs import PairReader

READS_TIME = ({"kind": "time2vec"}, {"position": "time"})  # a block whose table holds one of these needs `time`


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
    width: int = 64  # H of the first linear map, and of each block that names none
    embed: int = 0  # size of a learned embedding for each static column; 0: none
    join: bool = True  # join the embeddings to every step; false: only blocks with a `static` of their own get them
    time: str = ""  # feature that holds a step's time (ventilator: "time_step", s), for blocks that read it
    dropout: float = 0.0  # after each block

    kind: ClassVar[str] = "network"
    shares: ClassVar[tuple[str, ...]] = (
        "ops/covariates",
        "ops/pairs",
        "ops/recurrence",
        "ops/scan",
    )  # files that its blocks share
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
        for place, table in enumerate(self.blocks):
            self._check(f"blocks[{place}] ({table.get('kind', '')})", table)
        filled = tuple({"width": self.width, **table} for table in self.blocks)
        object.__setattr__(self, "blocks", filled)  # so that each block's own Config checks its width

    def _check(self, where: str, table: dict[str, Any]) -> None:
        """Check what a block needs of the hybrid around it; its own Config checks all other fields."""
        static = table.get("static", "none")
        if static != "none" and not self.embed:
            raise ValueError(
                f"{where}: static = {static!r} needs embedded static columns, but the hybrid's embed is 0: "
                "give it, for instance embed = 8"
            )
        if not self.time and any(need.items() <= table.items() for need in READS_TIME):
            raise ValueError(
                f"{where} reads the time of each step, but the hybrid's time names no feature: "
                'give it, for instance time = "time_step"'
            )

    def built(self) -> list[tuple[Part, Any]]:
        """Return (registry entry, its config) of each block."""
        return [configure(table) for table in self.blocks]

    @property
    def reach(self) -> tuple[float, float]:
        """Steps (back, ahead) that an output may depend on: the sum over the blocks."""
        back, ahead = zip(*(config.reach for _, config in self.built()), strict=True)
        return sum(back), sum(ahead)

    @property
    def pairs(self) -> tuple[str, ...]:
        """Matrices of pairs that its blocks read, each once."""
        return tuple(dict.fromkeys(name for _, config in self.built() for name in getattr(config, "pairs", ())))

    @property
    def embeds(self) -> bool:
        """Whether embeddings of the static columns are used by anything."""
        return self.embed > 0 and (self.join or any(table.get("static", "none") != "none" for table in self.blocks))


class Residual(nn.Module):
    """norm(block(x) + x), the skip through a linear map where widths differ, or left out."""

    def __init__(self, block: Block, inputs: int, width: int, skip: bool, dropout: float) -> None:
        super().__init__()
        self.block = block
        self.skip = None if not skip else nn.Identity() if inputs == width else nn.Linear(inputs, width)
        self.dropout, self.norm = nn.Dropout(dropout), nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor | None, covariates: Covariates) -> Tensor:
        reads = isinstance(self.block, CovariateBlock)
        out = self.dropout(self.block(x, mask, covariates) if reads else self.block(x, mask))
        normed: Tensor = self.norm(out if self.skip is None else out + self.skip(x))
        return normed


class Hybrid(nn.Module):
    """The network. `forward` gives the body's (B, T, H); `head` turns it into loss and prediction."""

    def __init__(self, config: Config, features: int, levels: tuple[int, ...], targets: Targets) -> None:
        """features: F; levels: number of known values of each static column."""
        super().__init__()
        static_width = config.embed * len(levels)
        self.embed = Embed(levels, config.embed) if static_width and config.embeds else None
        self.clock = Clock(config.time) if config.time else None
        self.pairs = PairReader(config.pairs) if config.pairs else None
        self.join = config.join
        self.project_in = nn.Linear(features + (static_width if config.join else 0), config.width)
        residuals, inputs = [], config.width
        for part, table in config.built():
            block = build(part, table, inputs, static_width)
            residuals.append(Residual(block, inputs, table.width, table.skip, config.dropout))
            inputs = table.width
        self.blocks = nn.ModuleList(residuals)
        self.head: Head = heads.build(config.head, inputs, targets)

    def forward(self, x: Tensor, static: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, F); static: (B, S) codes or (B, S, L) weights; mask: (B, T), None: all real -> (B, T, H)."""
        time = None if self.clock is None else self.clock(x)  # (B, T)
        pairs = None
        if self.pairs is not None:
            pairs, x = self.pairs(x), self.pairs.without_partners(x)
        embedded = None if self.embed is None else self.embed(static)  # (B, S * embed)
        if embedded is not None and self.join:
            x = append_static(x, embedded)
        x = self.project_in(x)  # (B, T, H)
        for block in self.blocks:
            x = block(x, mask, Covariates(static=embedded, time=time, pairs=pairs))
        return x
