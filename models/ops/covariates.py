"""What a block may know besides its input: the series' static columns, and the real time of each step.

A block that reads either is a `CovariateBlock`: the hybrid hands it the `Covariates` of the batch. Statics arrive as
their learned embeddings. Time arrives in its own unit (ventilator: s), read back by a `Clock` from the scaled feature
that holds it; so the engine, which knows names and scale of the features, tells them to a new network with `tell`.
"""

from __future__ import annotations

import difflib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from foldline.models.contract import Block


@dataclass(frozen=True, kw_only=True)
class Covariates:
    """Of one batch; None: the network's config names none."""

    static: Tensor | None = None  # (B, E) float, embeddings of all static columns beside each other
    time: Tensor | None = None  # (B, T) float, in the data's own unit

    @property
    def statics(self) -> Tensor:
        """(B, E); raises ValueError where there are none."""
        if self.static is None:
            raise ValueError("This block reads static columns, but was given none: pass Covariates(static=...).")
        return self.static

    @property
    def times(self) -> Tensor:
        """(B, T); raises ValueError where there are none."""
        if self.time is None:
            raise ValueError("This block reads the time of each step, but was given none: pass Covariates(time=...).")
        return self.time


NOTHING = Covariates()


class CovariateBlock(Block):
    """A block made from (config, inputs, known): `known` is E, the width of the embedded statics, 0: none."""

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor | None, covariates: Covariates = NOTHING) -> Tensor:
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
                f"The time is read from feature {self.feature!r}, but nobody has said which column that is: "
                "call models.covariates.tell(network, names, center, scale) after the network is made."
            )
        return x[..., self.column].float() * self.scale + self.center


def tell(network: nn.Module, names: Sequence[str], center: Sequence[float], scale: Sequence[float]) -> None:
    """Tell a new network's clocks what its F features are called and how they were scaled: (value - center) / scale.

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
