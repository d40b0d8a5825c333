"""Base classes of the heads: a linear map, auxiliary targets, and the weighted mean of a loss per step.

A head of this folder is a `HeadConfig` and a `LinearHead` with an `error` per step. `PointHead` is one that predicts a
number, `OwnUnitHead` one whose loss is taken in the target's own unit, `LogLinkHead` one of numbers that are not below
0, `LocationScaleHead` one that predicts a location and a scale; two-phase, which also learns from unscored steps,
replaces the weighted sum. Letters as in models/contract.py; P = a head's own outputs + those of its auxiliary targets.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.contract import Head, Targets
from foldline.models.heads.auxiliary import Aux
from foldline.models.ops.pooling import Pool

LIMIT = 10.0  # logarithm of a prediction in its target's sizes, beyond which it grows slower: 22,000 times the size


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """Fields of every head's table."""

    aux: Aux | None = None  # auxiliary targets; none: without
    pool: tuple[Pool, ...] | None = None  # targets of whole series: how steps become one; left out: mean, max, last


class LinearHead(Head):
    """(B, T, H) -> (B, T, P); the loss is the weighted mean of `error`, plus that of the auxiliary targets."""

    def __init__(self, config: HeadConfig, hidden: int, targets: int, outputs: int) -> None:
        """hidden: H; targets: K; outputs: the head's own part of P."""
        super().__init__()
        self.outputs, self.aux = outputs, config.aux
        self.out = nn.Linear(hidden, outputs + (config.aux.count * targets if config.aux else 0))

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        raw: Tensor = self.out(hidden)
        return raw

    def loss_sum(self, raw: Tensor, y: Tensor, weight: Tensor, known: Tensor | None) -> Tensor:
        total = self.weighted_sum(self.own(raw), y, weight, known)
        if self.aux:
            total = total + self.aux.weighted_sum(raw[..., self.outputs :], y, weight, known)
        return total

    def own(self, raw: Tensor) -> Tensor:
        """Return the outputs (B, T, outputs) that are not auxiliary."""
        return raw[..., : self.outputs] if self.aux else raw  # a slice of all would be copied in the backward pass

    def weighted_sum(self, own: Tensor, y: Tensor, weight: Tensor, known: Tensor | None) -> Tensor:
        """Sum the weighted errors of all steps: (B, T, outputs), (B, T, K), (B, T) -> a scalar; known: see `Head`."""
        return (self.error(own, y) * weight).sum()

    @abstractmethod
    def error(self, own: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each step, its mean over the targets: (B, T, outputs), (B, T, K) -> (B, T)."""


class PointHead(LinearHead):
    """A head whose K outputs are the prediction: (B, T, H) -> (B, T, K)."""

    def __init__(self, config: HeadConfig, hidden: int, targets: Targets) -> None:
        super().__init__(config, hidden, targets.count, outputs=targets.count)

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        return self.own(raw)


class OwnUnitHead(PointHead):
    """A head whose loss is taken in the targets' own unit: scaled * scale + center."""

    own_unit = True
    center: Tensor  # (K,)
    scale: Tensor  # (K,)

    def __init__(self, config: HeadConfig, hidden: int, targets: Targets) -> None:
        super().__init__(config, hidden, targets)
        center, scale = targets.center or (0.0,) * targets.count, targets.scale or (1.0,) * targets.count
        self.register_buffer("center", torch.tensor(center, dtype=torch.float32), persistent=False)
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32), persistent=False)

    def in_own_unit(self, scaled: Tensor) -> Tensor:
        """Map (..., K) scaled numbers to the targets' own unit."""
        return scaled * self.scale + self.center


class LogLinkHead(OwnUnitHead):
    """K outputs that are logarithms of the prediction, in units of |center| + scale: at 0 it is of the target's size.

    A logarithm further than LIMIT from 0 grows only as one of the output: nothing overflows, and there is a slope
    everywhere.
    """

    nonnegative = True

    @property
    def size(self) -> Tensor:
        """The unit of the deviance: |center| + scale, (K,), in the targets' own unit."""
        return self.center.abs() + self.scale

    def log_mean(self, own: Tensor) -> Tensor:
        """Return the logarithm of prediction / size, (B, T, K)."""
        beyond = (own.abs() - LIMIT).clamp(min=0)
        return own.clamp(-LIMIT, LIMIT) + own.sign() * beyond.log1p()

    def in_sizes(self, y: Tensor) -> Tensor:
        """Return truth / size, (B, T, K), not below 0: rounding, and what stands where it is not known, may be."""
        return (self.in_own_unit(y) / self.size).clamp(min=0)

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        return (self.log_mean(self.own(raw)).exp() * self.size - self.center) / self.scale


@dataclass(frozen=True, kw_only=True)
class LocationScaleConfig(HeadConfig):
    """Fields of the tables of `gaussian` and `laplace`."""

    floor: float = 1e-3  # smallest scale (gaussian: sigma, laplace: b), in units of the scaled target

    def __post_init__(self) -> None:
        if not self.floor > 0:
            raise ValueError(f"floor must be above 0, but is {self.floor}")


class LocationScaleHead(LinearHead):
    """A likelihood of K locations and K scales, (B, T, H) -> (B, T, 2 K); the prediction is the location.

    A scale is softplus(output) + floor: it grows only linearly with the output, and a memorised series cannot drive the
    likelihood to infinity. Clip gradients.
    """

    def __init__(self, config: LocationScaleConfig, hidden: int, targets: Targets) -> None:
        super().__init__(config, hidden, targets.count, outputs=2 * targets.count)
        self.floor = config.floor

    def location_and_scale(self, own: Tensor) -> tuple[Tensor, Tensor]:
        """Return location and scale, (B, T, K) each, of the head's own outputs (B, T, 2 K)."""
        location, scale = own.chunk(2, dim=-1)
        return location, functional.softplus(scale) + self.floor

    def outputs_of(self, location: Tensor, scale: Tensor) -> Tensor:
        """Return the own outputs (..., 2 K) whose `location_and_scale` is this, each (..., K); scale: at least floor.

        softplus is inverted as s + log(1 - exp(-s)): log(exp(s) - 1) overflows in float32 from s = 89 on.
        """
        softplus = (scale - self.floor).clamp(min=1e-6)  # at 0 the inverse is minus infinity
        return torch.cat([location, softplus + (-torch.expm1(-softplus)).log()], dim=-1)

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        return self.location_and_scale(self.own(raw))[0]
