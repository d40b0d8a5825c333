"""LightGBM's table: its parameters, and which objective serves which kind of target.

    kind of target (models/contract.py)   objectives
    regression                            all but the next three
    binary, multilabel                    binary: a booster a label
    multiclass                            multiclass: one booster, its labels the classes of the largest share; or
                                          cross_entropy: a booster a class
    distribution                          cross_entropy: a booster a class, on shares, which it takes as they are
    ordinal                               l1, l2, huber, fair, quantile on ranks

What cross_entropy's boosters predict is divided by its sum over the classes. rmspe is not LightGBM's own: it is l2 with
rows weighed by 1 / y^2, so that errors count by their share of the truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from foldline.models.contract import Kind, Part

Objective = Literal[
    "l1",
    "l2",
    "huber",
    "fair",
    "quantile",
    "mape",
    "rmspe",
    "poisson",
    "gamma",
    "tweedie",
    "binary",
    "multiclass",
    "cross_entropy",
]
OF_ANY_NUMBERS = ("l1", "l2", "huber", "fair", "quantile")
SERVES: dict[Kind, tuple[str, ...]] = {
    "regression": (*OF_ANY_NUMBERS, "mape", "rmspe", "poisson", "gamma", "tweedie"),
    "binary": ("binary",),
    "multilabel": ("binary",),
    "multiclass": ("multiclass", "cross_entropy"),
    "distribution": ("cross_entropy",),
    "ordinal": OF_ANY_NUMBERS,
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """[[model]] with name = "lightgbm"; fields are LightGBM's own parameters."""

    rounds: int = 300
    # Static columns of more than two categories as LightGBM's own categories, beside their one-hots; and features
    # place(x) as these, not as numbers. A value that training has not is on the side of those that are not named.
    categories: bool = False
    objective: Objective = "l1"
    alpha: float | None = None  # quantile: its level, required; huber: where the squared part ends
    tweedie_variance_power: float | None = None  # tweedie: from 1, as Poisson's, to 2, as gamma's; left out: 1.5
    balanced: bool = False  # binary, multiclass: weigh rows so that all classes count the same
    class_weights: tuple[
        float, ...
    ] = ()  # binary: of 0 and of 1; multiclass: of each class; only ratios matter; []: none
    learning_rate: float = 0.1
    num_leaves: int = 63
    min_data_in_leaf: int = 20
    feature_fraction: float = 0.8  # share of the features a tree may use
    bagging_fraction: float = 0.8  # share of the rows a tree is grown on
    lambda_l2: float = 0.0

    kind: ClassVar[str] = "rows"
    parts: ClassVar[dict[str, dict[str, Part]]] = {}
    shares: ClassVar[tuple[str, ...]] = ("systems/lightgbm_config",)

    def __post_init__(self) -> None:
        self._check_alpha()
        self._check_power()
        self._check_class_weights()
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, but is {self.rounds}")
        if self.num_leaves < 2:
            raise ValueError(f"num_leaves must be at least 2, but is {self.num_leaves}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be finite and above 0, but is {self.learning_rate}")
        for name in ("feature_fraction", "bagging_fraction"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in (0, 1], but is {getattr(self, name)}")
        for name in ("min_data_in_leaf", "lambda_l2"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be finite and not below 0, but is {getattr(self, name)}")

    def _check_alpha(self) -> None:
        """Refuse a missing level (LightGBM would train the 0.9 quantile) and an alpha that LightGBM would ignore."""
        if self.objective == "quantile":
            if self.alpha is None or not 0 < self.alpha < 1:
                raise ValueError(
                    "objective = 'quantile' needs alpha, its level, above 0 and below 1, such as 0.5 for the median, "
                    f"but alpha is {self.alpha}"
                )
        elif self.alpha is not None and self.objective != "huber":
            raise ValueError(
                f"alpha is used by the objectives 'quantile' and 'huber' only, but objective is {self.objective!r}: "
                "leave alpha out, or change the objective"
            )
        elif self.alpha is not None and not 0 < self.alpha < math.inf:
            raise ValueError(f"alpha of objective = 'huber' must be finite and above 0, but is {self.alpha}")

    def _check_power(self) -> None:
        power = self.tweedie_variance_power
        if power is not None and self.objective != "tweedie":
            raise ValueError(
                f"tweedie_variance_power is used by the objective 'tweedie' only, but objective is {self.objective!r}"
            )
        if power is not None and not 1 <= power < 2:
            raise ValueError(f"tweedie_variance_power must be at least 1 and below 2, but is {power}")

    def _check_class_weights(self) -> None:
        if not self.balanced and not self.class_weights:
            return
        if self.objective not in ("binary", "multiclass"):
            raise ValueError(
                "balanced and class_weights are for the objectives 'binary' and 'multiclass', but objective is "
                f"{self.objective!r}"
            )
        if self.balanced and self.class_weights:
            raise ValueError("balanced and class_weights both weigh the classes: give one of them")
        if not all(0 < weight < math.inf for weight in self.class_weights):
            raise ValueError(f"class_weights must be finite and above 0, but is {list(self.class_weights)}")
        if self.objective == "binary" and self.class_weights and len(self.class_weights) != 2:
            raise ValueError(
                f"class_weights of objective = 'binary' must hold the weights of 0 and of 1, but holds "
                f"{len(self.class_weights)} numbers"
            )


def check_kind(config: Config, kind: Kind, count: int | None = None) -> None:
    """Raise ValueError where an objective does not serve a kind of target. count: K; None: not known yet."""
    if config.objective not in SERVES[kind]:
        fits = " or ".join(map(repr, SERVES[kind]))
        raise ValueError(f"objective = {config.objective!r} does not serve {kind} targets: choose {fits}.")
    weights = len(config.class_weights)
    if config.objective == "multiclass" and weights and count is not None and weights != count:
        raise ValueError(f"class_weights must hold a number for each of the {count} classes, but holds {weights}.")
