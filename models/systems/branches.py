"""A network a sensor group, merged late: each branch sees its own features alone, and the head sees all branches.

    [[model]]
    name = "branches"
    branches = [
        {inputs = ["*acc*", "*rot*"], blocks = [{kind = "conv"}, {kind = "bilstm"}]},
        {inputs = ["*thm*"], width = 32},
        {},                                # all features that no other branch names
    ]
    blocks = [{kind = "transformer"}]      # behind the merge; none: the head is next

Source: Münzner et al. 2017, https://doi.org/10.1145/3123021.3123046 (late fusion by sensors); the shape of the 2025
behaviour-detection winners. Sensors of other rates, noises and kinds share no weights: what one learns is not blurred
by another, and where one is missing (data.channels, train.augment.drop_channels) the others' branches are as they
were.

`entities = ["road"]` turns the features of a categorical column into learned vectors first, `road[0]`, `road[1]`, ...,
which patterns of `inputs` name as any feature; with one branch that is a hybrid with entity embeddings.

Features of branch g, (B, T, F_g) -> linear -> blocks, as the hybrid's -> (B, T, H_g); joined, with the embedded static
columns behind them, (B, T, H_1 + ... + H_G + E) -> blocks -> (B, T, H) -> head. Channels of a known target are no
sensor's: every branch has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from foldline.models import heads
from foldline.models.blocks import BLOCKS, build
from foldline.models.contract import Embed, Head, Part, Targets, append_static
from foldline.models.ops.covariates import Clock, Covariates
from foldline.models.ops.entities import Entities
from foldline.models.ops.pairs import PairReader
from foldline.models.systems.hybrid import Config as HybridConfig
from foldline.models.systems.hybrid import Residual

NONE: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Branch:
    """Entry of `branches` of a model of that name: the network of a group of features."""

    inputs: tuple[str, ...] = ()  # patterns of features, such as "*acc*"; []: all that no other branch names
    blocks: tuple[dict[str, Any], ...] = ({"kind": "conv"}, {"kind": "bilstm"})
    width: int | None = None  # of its first linear map, and of each block that names none; left out: the model's


@dataclass(frozen=True, kw_only=True)
class Config:
    """[[model]] with name = "branches". Default: one branch of all features."""

    branches: tuple[Branch, ...] = (Branch(),)
    blocks: tuple[dict[str, Any], ...] = ()  # behind the merge
    head: dict[str, Any] = field(default_factory=lambda: {"kind": "l1"})
    width: int = 64  # of each branch, and of each block behind the merge, that names none
    embed: int = 0  # size of a learned embedding for each static column, joined at the merge; 0: none
    entities: tuple[str, ...] = ()  # categorical columns whose features become learned vectors: models/ops/entities.py
    entity_size: int = 0  # of each of these vectors; 0: by a rule of thumb, 1.6 n^0.56 for n values
    time: str = ""  # feature that holds a step's time (ventilator: "time_step", s), for blocks that read it
    dropout: float = 0.0  # after each block

    kind: ClassVar[str] = "network"
    shares: ClassVar[tuple[str, ...]] = ("systems/hybrid", "ops/entities", *HybridConfig.shares)
    parts: ClassVar[dict[str, dict[str, Part]]] = {"branches": BLOCKS, "blocks": BLOCKS, "head": heads.HEADS}

    def __post_init__(self) -> None:
        if not self.branches:
            raise ValueError("branches must hold at least one branch")
        if len(set(self.entities)) < len(self.entities) or self.entity_size < 0:
            raise ValueError(
                f"entities must be different columns and entity_size not below 0, but they are {list(self.entities)} "
                f"and {self.entity_size}"
            )
        made = tuple(each if isinstance(each, Branch) else Branch(**each) for each in self.branches)
        made = tuple(replace(each, width=self.width if each.width is None else each.width) for each in made)
        for place, each in enumerate(made):
            try:
                filled = self._body(each.blocks, each.width).blocks
            except ValueError as error:
                raise ValueError(f"branches[{place}]: {error}") from error
            made = (*made[:place], replace(each, inputs=tuple(each.inputs), blocks=filled), *made[place + 1 :])
        object.__setattr__(self, "branches", made)
        object.__setattr__(self, "blocks", self._body(self.blocks, self.width).blocks if self.blocks else ())

    def _body(self, blocks: Sequence[dict[str, Any]], width: int | None) -> HybridConfig:
        """Return the hybrid that has these blocks: it checks them, and what they need."""
        own = self.width if width is None else width
        return HybridConfig(
            blocks=tuple(blocks), width=own, embed=self.embed, join=False, time=self.time, dropout=self.dropout
        )

    @property
    def bodies(self) -> list[HybridConfig]:
        """The hybrid that each branch is, without its head."""
        return [self._body(each.blocks, each.width) for each in self.branches]

    @property
    def trunk(self) -> HybridConfig | None:
        """That of the blocks behind the merge; None: there are none."""
        return self._body(self.blocks, self.width) if self.blocks else None

    @property
    def pairs(self) -> tuple[str, ...]:
        """Matrices of pairs that blocks read, each once."""
        bodies = self.bodies if self.trunk is None else [*self.bodies, self.trunk]
        return tuple(dict.fromkeys(name for body in bodies for name in body.pairs))

    @property
    def reach(self) -> tuple[float, float]:
        """Steps (back, ahead) that an output may depend on: of the branch that looks furthest, and of the blocks."""
        back, ahead = zip(*(body.reach for body in self.bodies), strict=True)
        more = (0.0, 0.0) if self.trunk is None else self.trunk.reach
        return max(back) + more[0], max(ahead) + more[1]


def columns_of(branches: Sequence[Branch], names: Sequence[str], channels: int) -> list[list[int]]:
    """Return which of a network's channels each branch sees, in their order.

    Args:
        names: of the features, the first channels; (): unknown, then no branch may name any.
        channels: of the network's input; those behind the features hold a known target: all branches see them.

    Raises:
        ValueError: a branch would see no feature, or a feature would be seen by none.
    """
    features = range(len(names) or channels)
    named = [
        [place for place, name in enumerate(names) if any(fnmatchcase(name, pattern) for pattern in branch.inputs)]
        for branch in branches
    ]
    rest = sorted(set(features) - {place for places in named for place in places})
    found = [places if branch.inputs else rest for branch, places in zip(branches, named, strict=True)]
    for number, (branch, places) in enumerate(zip(branches, found, strict=True)):
        if not places:
            what = f"none fits {list(branch.inputs)}" if branch.inputs else "all others are named by other branches"
            raise ValueError(f"branches[{number}] must see a feature, but {what}. Features: {_some(names)}.")
    if rest and all(branch.inputs for branch in branches):
        raise ValueError(
            f"every feature must be seen by a branch, but {_some([names[place] for place in rest])} fit no pattern: "
            "add patterns, or a branch {} of all others."
        )
    known = range(len(features), channels)
    return [[*places, *known] for places in found]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


class Body(nn.Module):
    """A hybrid without its head: (B, T, in) -> (B, T, width of the last block)."""

    def __init__(self, config: HybridConfig, inputs: int, static_width: int, project: bool) -> None:
        """project: a linear map to the width first, as the hybrid has it."""
        super().__init__()
        self.project_in = nn.Linear(inputs, config.width) if project else nn.Identity()
        residuals, self.width = [], config.width if project else inputs
        for part, table in config.built():
            block = build(part, table, self.width, static_width)
            residuals.append(Residual(block, self.width, table.width, table.skip, config.dropout))
            self.width = table.width
        self.blocks = nn.ModuleList(residuals)

    def forward(self, x: Tensor, mask: Tensor | None, covariates: Covariates) -> Tensor:
        x = self.project_in(x)
        for block in self.blocks:
            x = block(x, mask, covariates)
        return x


class Select(nn.Module):
    """Some channels of the input: (B, T, F) -> (B, T, F_g)."""

    def __init__(self, columns: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("columns", torch.tensor(columns), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        columns: Tensor = self.columns  # type: ignore[assignment]
        return x.index_select(-1, columns)


class Branches(nn.Module):
    """The network. `forward` gives the body's (B, T, H); `head` turns it into loss and prediction."""

    takes_names: ClassVar[bool] = True  # it is made with the names of the features, and how many values places have

    def __init__(
        self,
        config: Config,
        features: int,
        levels: tuple[int, ...],
        targets: Targets,
        names: Sequence[str] = (),
        places: Mapping[str, int] = NONE,
    ) -> None:
        """Make it.

        Args:
            features: F and channels of a known target.
            levels: number of known values of each static column.
            names: of the features; (): unknown, then no branch may name any, and there are no entities.
            places: number of known values of each feature place(column).
        """
        super().__init__()
        static_width = config.embed * len(levels)
        self.entities = None
        if config.entities:
            self.entities = Entities(config.entities, config.entity_size, names, places, features)
            names, features = self.entities.names, self.entities.width
        groups = columns_of(config.branches, names, features)
        self.embed = Embed(levels, config.embed) if static_width else None
        self.clock = Clock(config.time) if config.time else None
        self.pairs = PairReader(config.pairs) if config.pairs else None
        self.groups = nn.ModuleList(Select(columns) for columns in groups)
        made = [Body(*each, static_width, project=True) for each in zip(config.bodies, map(len, groups), strict=True)]
        self.branches, width = nn.ModuleList(made), static_width + sum(branch.width for branch in made)
        self.trunk = None if config.trunk is None else Body(config.trunk, width, static_width, project=False)
        self.head: Head = heads.build(config.head, width if self.trunk is None else self.trunk.width, targets)

    def forward(self, x: Tensor, static: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, F); static: (B, S) codes or (B, S, L) weights; mask: (B, T), None: all real -> (B, T, H)."""
        time = None if self.clock is None else self.clock(x)  # (B, T)
        embedded = None if self.embed is None else self.embed(static)  # (B, S * embed)
        pairs = None
        if self.pairs is not None:
            pairs, x = self.pairs(x), self.pairs.without_partners(x)
        covariates = Covariates(static=embedded, time=time, pairs=pairs)
        if self.entities is not None:
            x = self.entities(x)
        each = zip(self.groups, self.branches, strict=True)
        hidden = torch.cat([branch(group(x), mask, covariates) for group, branch in each], dim=-1)
        if embedded is not None:
            hidden = append_static(hidden, embedded)
        return hidden if self.trunk is None else self.trunk(hidden, mask, covariates)
