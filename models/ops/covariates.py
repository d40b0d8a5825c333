"""Covariates of a block besides its input: the series' static columns, the real time of each step, pairs of steps.

A block that reads any is a `CovariateBlock`: the hybrid passes it the `Covariates` of the batch. Statics are
their learned embeddings. Time is in its own unit (ventilator: s), read back by a `Clock` from the scaled feature that
holds it; the engine, which has names and scale of the features, sets them in a new network with `set_clocks`.
"""

from __future__ import annotations

import difflib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foldline.models.contract import Block


@dataclass(frozen=True, kw_only=True)
class Covariates:
    """Covariates of one batch; None: the network's config names none."""

    static: Tensor | None = None  # (B, E) float, embeddings of all static columns beside each other
    time: Tensor | None = None  # (B, T) float, in the data's own unit
    pairs: Mapping[str, Tensor] | None = None  # matrices of pairs by name, (B, T, T) float each: ops/pairs.py

    @property
    def statics(self) -> Tensor:
        """Embedded statics (B, E); raises ValueError where there are none."""
        if self.static is None:
            raise ValueError("This block reads static columns, but was given none: pass Covariates(static=...).")
        return self.static

    @property
    def times(self) -> Tensor:
        """Time of each step (B, T); raises ValueError where there are none."""
        if self.time is None:
            raise ValueError("This block reads the time of each step, but was given none: pass Covariates(time=...).")
        return self.time

    def matrices(self, names: Sequence[str]) -> Tensor | None:
        """Matrices of pairs, (B, n, T, T); None: no names; raises ValueError where there are none."""
        if not names:
            return None
        if self.pairs is None:
            raise ValueError("This block reads pairs of steps, but was given none: pass Covariates(pairs=...).")
        return torch.stack([self.pairs[name] for name in names], dim=1)


NO_COVARIATES = Covariates()


class CovariateBlock(Block):
    """A block made from (config, inputs, static_width): E, the width of the embedded statics, 0: none."""

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor | None, covariates: Covariates = NO_COVARIATES) -> Tensor:
        """(B, T, in) -> (B, T, width), as `Block` has it."""


class Clock(nn.Module):
    """Time of each step in its own unit, from the scaled features: (B, T, F) -> (B, T)."""

    def __init__(self, feature: str) -> None:
        """feature: the name of the feature that holds the time."""
        super().__init__()
        self.feature = feature
        self.column, self.center, self.scale = -1, 0.0, 1.0

    def forward(self, x: Tensor) -> Tensor:
        if self.column < 0:
            raise ValueError(
                f"The time is read from feature {self.feature!r}, but its column is not set: "
                "call covariates.set_clocks(network, names, center, scale) after the network is made."
            )
        return x[..., self.column].float() * self.scale + self.center


def set_clocks(network: nn.Module, names: Sequence[str], center: Sequence[float], scale: Sequence[float]) -> None:
    """Set column and scale of a new network's clocks from its F features, scaled as (value - center) / scale.

    Raises:
        ValueError: a clock's feature is not among the names.
    """
    for clock in network.modules():
        if not isinstance(clock, Clock):
            continue
        if clock.feature not in names:
            near = difflib.get_close_matches(clock.feature, names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"time must name a feature, but {clock.feature!r} is none.{hint} Known: {', '.join(sorted(names))}."
            )
        clock.column = list(names).index(clock.feature)
        clock.center, clock.scale = float(center[clock.column]), float(scale[clock.column])
