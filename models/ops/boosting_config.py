"""What the tables of all boosted trees share: objectives by kind of target, weights of classes, rounds and rate.

LightGBM, XGBoost and CatBoost mean the same by each objective that they have, whatever the library calls it:

    l1, l2, huber, fair, quantile     of any numbers
    mape, rmspe                       relative errors. rmspe is no library's own: l2 with rows weighed by 1 / y^2
    poisson, gamma, tweedie           of counts and amounts: the logarithm is learned, its exponential predicted
    binary                            a booster a label
    multiclass                        one booster, its labels the classes of the largest share
    cross_entropy                     a booster a class, on shares, which it takes as they are. What they predict is
                                      divided by its sum over the classes
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from foldline.models.contract import Kind, Part

CLASSES = ("binary", "multiclass", "cross_entropy")
ANY_NUMBERS = ("l1", "l2", "huber", "fair", "quantile")  # take numbers of any scale and sign


def served(objectives: Iterable[str]) -> dict[Kind, tuple[str, ...]]:
    """Return which of a library's objectives serve which kind of target (models/contract.py)."""
    has = tuple(objectives)
    return {
        "regression": tuple(name for name in has if name not in CLASSES),
        "binary": ("binary",),
        "multilabel": ("binary",),
        "multiclass": ("multiclass", "cross_entropy"),
        "distribution": ("cross_entropy",),
        "ordinal": tuple(name for name in has if name in ANY_NUMBERS),
    }


@dataclass(frozen=True, kw_only=True)
class BoostingConfig:
    """Keys of every [[model]] of boosted trees. A library's own names its objectives, and has its own keys besides."""

    rounds: int = 300
    # Static columns of more than two categories as the library's own categories, beside their one-hots; and features
    # place(x) as these, not as numbers. A value that training has not is on the side of those that are not named.
    categories: bool = False
    objective: str = "l1"
    alpha: float | None = None  # quantile: its level, required; huber: where the squared part ends
    tweedie_variance_power: float | None = None  # tweedie: from 1, as Poisson's, to 2, as gamma's; left out: 1.5
    balanced: bool = False  # binary, multiclass: weigh rows so that all classes count the same
    class_weights: tuple[
        float, ...
    ] = ()  # binary: of 0 and of 1; multiclass: of each class; only ratios matter; []: none
    learning_rate: float = 0.1

    kind: ClassVar[str] = "rows"
    parts: ClassVar[dict[str, dict[str, Part]]] = {}
    serves: ClassVar[dict[Kind, tuple[str, ...]]] = {}
    takes_power_one: ClassVar[bool] = False  # whether tweedie_variance_power may be 1

    def __post_init__(self) -> None:
        self._check_alpha()
        self._check_power()
        self._check_class_weights()
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, but is {self.rounds}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be finite and above 0, but is {self.learning_rate}")

    def check_shares(self, *names: str) -> None:
        """Refuse keys that are no shares.

        Raises:
            ValueError
        """
        for name in names:
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in (0, 1], but is {getattr(self, name)}")

    def check_sizes(self, *names: str) -> None:
        """Refuse keys that are negative, infinite or no number.

        Raises:
            ValueError
        """
        for name in names:
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be finite and not below 0, but is {getattr(self, name)}")

    def _check_alpha(self) -> None:
        """Refuse a missing level (libraries would take one of their own) and an alpha that would be ignored."""
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
        enough = power is None or power > 1 or (power == 1 and self.takes_power_one)
        if power is not None and not (enough and power < 2):
            least = "at least" if self.takes_power_one else "above"
            raise ValueError(f"tweedie_variance_power must be {least} 1 and below 2, but is {power}")

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


def check_kind(config: BoostingConfig, kind: Kind, count: int | None = None) -> None:
    """Raise ValueError where an objective does not serve a kind of target. count: K; None: not known yet."""
    if config.objective not in config.serves[kind]:
        fits = " or ".join(map(repr, config.serves[kind]))
        raise ValueError(f"objective = {config.objective!r} does not serve {kind} targets: choose {fits}.")
    weights = len(config.class_weights)
    if config.objective == "multiclass" and weights and count is not None and weights != count:
        raise ValueError(f"class_weights must hold a number for each of the {count} classes, but holds {weights}.")
