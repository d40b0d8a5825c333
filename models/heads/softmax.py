"""Softmax cross entropy: one of K classes, or shares of them that sum to 1. (B, T, H) -> (B, T, K) logits.

Sources: Bridle 1990, https://doi.org/10.1007/978-3-642-76153-9_28; label smoothing: Szegedy et al. 2016,
https://arxiv.org/abs/1512.00567; focal: Lin et al. 2017, https://arxiv.org/abs/1708.02002. Truth is the share y of each
class (multiclass: 1 of one class; between, where series are mixed). The loss of a step, in nats:

    multiclass     -sum_k w_k y_k (1 - p_k)^gamma log p_k
    distribution   sum_k a_k log(a_k / (A p_k)), a = w y, A its sum: with equal weights the Kullback-Leibler divergence

The latter is the cross entropy less the least that it can be: the same gradient, and 0 is perfect. Class weights are
divided by their mean over the K classes (not over the rows: a head has not seen them), so that on classes of one size
the loss keeps its size; a class of twice the weight counts like one with twice the rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from foldline.models.contract import Targets
from foldline.models.heads.linear import HeadConfig, PointHead

LEAST = 1e-6  # of 1 - p under the focal power, whose slope is infinite at 0 for gamma < 1


@dataclass(frozen=True, kw_only=True)
class Config(HeadConfig):
    """Table of the `softmax` head."""

    label_smoothing: float = 0.0  # s: a share y becomes (1 - s) y + s / K
    class_weights: tuple[float, ...] = ()  # of the K classes; only their ratios matter; []: all alike
    focal: float = 0.0  # gamma, multiclass only: what is sure already counts less; 0: plain cross entropy

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), but is {self.label_smoothing}")
        if not all(0 < weight < math.inf for weight in self.class_weights):
            raise ValueError(f"class_weights must be above 0, but is {list(self.class_weights)}")
        if not 0 <= self.focal < math.inf:
            raise ValueError(f"focal must not be below 0, but is {self.focal}")


class Softmax(PointHead):
    """Mean cross entropy, or divergence, over the scored steps; the prediction is each class's probability."""

    kinds = ("multiclass", "distribution")
    class_weights: Tensor  # (K,), their mean 1

    def __init__(self, config: Config, hidden: int, targets: Targets) -> None:
        """Make the head; raises ValueError where weights and classes differ in number, or focal meets shares."""
        super().__init__(config, hidden, targets)
        self.smoothing, self.focal = config.label_smoothing, config.focal
        self.divergence = targets.kind == "distribution"
        if self.divergence and config.focal:
            raise ValueError("focal needs one true class a row, but these targets are shares of all: leave focal out.")
        weights = torch.tensor(config.class_weights or (1.0,) * targets.count, dtype=torch.float32)
        if len(weights) != targets.count:
            raise ValueError(
                f"class_weights must hold a number for each of the {targets.count} classes, but holds {len(weights)}."
            )
        self.register_buffer("class_weights", weights / weights.mean(), persistent=False)

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        logs = own.log_softmax(dim=-1)
        shares = y * (1 - self.smoothing) + self.smoothing / y.shape[-1]
        weighted = (self.class_weights * shares).clamp(min=0)  # a step that is not known may hold anything
        if self.divergence:
            whole = weighted.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(y.dtype).tiny)
            return (torch.xlogy(weighted, weighted / whole) - weighted * logs).sum(dim=-1)
        if self.focal:
            weighted = weighted * (1 - logs.exp()).clamp(min=LEAST) ** self.focal
        return -(weighted * logs).sum(dim=-1)

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        return self.own(raw).softmax(dim=-1)
