"""Binary cross entropy: yes or no, once (binary) or for each of K labels (multilabel). (B, T, H) -> (B, T, K) logits.

Sources: Cox 1958, https://doi.org/10.1111/j.2517-6161.1958.tb00292.x; focal: Lin et al. 2017,
https://arxiv.org/abs/1708.02002 (without its alpha, which is `positive_weight`); label smoothing: Szegedy et al. 2016,
https://arxiv.org/abs/1512.00567. Truth may lie between 0 and 1 (mixup). The loss of a step, in nats, is the mean over
the labels of

    -(w y (1 - p)^gamma log p + (1 - y) p^gamma log(1 - p))
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from foldline.models.contract import Targets
from foldline.models.heads.linear import HeadConfig, PointHead


@dataclass(frozen=True, kw_only=True)
class Config(HeadConfig):
    """Table of the `bce` head."""

    label_smoothing: float = 0.0  # s: a label y becomes (1 - s) y + s / 2
    positive_weight: tuple[
        float, ...
    ] = ()  # w, how much a 1 counts beside a 0: one of each label, or one for all; []: 1
    focal: float = 0.0  # gamma: what is sure already counts less; 0: plain cross entropy

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), but is {self.label_smoothing}")
        if not all(0 < weight < math.inf for weight in self.positive_weight):
            raise ValueError(f"positive_weight must be above 0, but is {list(self.positive_weight)}")
        if not 0 <= self.focal < math.inf:
            raise ValueError(f"focal must not be below 0, but is {self.focal}")


class BCE(PointHead):
    """Mean binary cross entropy over the scored steps; the prediction is the probability of 1."""

    kinds = ("binary", "multilabel")
    positive_weight: Tensor  # (K,), or (1,)

    def __init__(self, config: Config, hidden: int, targets: Targets) -> None:
        """Make the head; raises ValueError where positive_weight has another number of labels."""
        super().__init__(config, hidden, targets)
        self.smoothing, self.focal = config.label_smoothing, config.focal
        weights = config.positive_weight or (1.0,)
        if len(weights) not in (1, targets.count):
            raise ValueError(
                f"positive_weight must hold one number, or one for each of the {targets.count} labels, but holds "
                f"{len(weights)}."
            )
        self.register_buffer("positive_weight", torch.tensor(weights, dtype=torch.float32), persistent=False)

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        y = y * (1 - self.smoothing) + self.smoothing / 2
        log_yes, log_no = functional.logsigmoid(own), functional.logsigmoid(-own)  # log p, log(1 - p)
        yes, no = self.positive_weight * y * log_yes, (1 - y) * log_no
        if self.focal:
            yes, no = yes * (self.focal * log_no).exp(), no * (self.focal * log_yes).exp()
        return -(yes + no).mean(dim=-1)

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        return self.own(raw).sigmoid()
