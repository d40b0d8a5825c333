"""CatBoost's table: its parameters, and its objectives (models/ops/boosting_config.py says what each means)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from foldline.models.contract import Kind
from foldline.models.ops.boosting_config import BoostingConfig, served

Objective = Literal[
    "l1",
    "l2",
    "huber",
    "quantile",
    "mape",
    "rmspe",
    "poisson",
    "tweedie",
    "binary",
    "multiclass",
    "cross_entropy",
]
OWN_NAMES: dict[str, str] = {
    "l1": "MAE",
    "l2": "RMSE",
    "huber": "Huber:delta={alpha}",
    "quantile": "Quantile:alpha={alpha}",
    "mape": "MAPE",
    "rmspe": "RMSE",
    "poisson": "Poisson",
    "tweedie": "Tweedie:variance_power={power}",
    "binary": "Logloss",
    "multiclass": "MultiClass",
    "cross_entropy": "CrossEntropy",
}
DEEPEST = 16  # CatBoost allows no more


@dataclass(frozen=True, kw_only=True)
class Config(BoostingConfig):
    """[[model]] with name = "catboost"; fields are CatBoost's own parameters."""

    objective: Objective = "l1"
    depth: int = 6  # of each tree, all of whose nodes at a depth ask the same: 2 ^ depth leaves
    l2_leaf_reg: float = 3.0
    random_strength: float = 1.0  # noise in the scores of splits
    rsm: float = 1.0  # share of the features that a split may use; not on a GPU
    subsample: float = 0.8  # share of the rows a tree is grown on
    device: Literal["cpu", "cuda"] = "cpu"  # where it is trained

    serves: ClassVar[dict[Kind, tuple[str, ...]]] = served(get_args(Objective))
    shares: ClassVar[tuple[str, ...]] = ("systems/catboost_config", "ops/boosting", "ops/boosting_config")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.depth <= DEEPEST:
            raise ValueError(f"depth must be from 1 to {DEEPEST}, but is {self.depth}")
        if self.learning_rate > 1:
            raise ValueError(f"learning_rate must be at most 1, but is {self.learning_rate}")
        self.check_shares("rsm", "subsample")
        self.check_sizes("l2_leaf_reg", "random_strength")
        if self.device == "cuda" and self.rsm != 1:
            raise ValueError(f"rsm must be 1 with device = 'cuda', where CatBoost has no such share, but is {self.rsm}")

    @property
    def own_objective(self) -> str:
        """CatBoost's name of the objective, with its parameter."""
        alpha, power = self.alpha, self.tweedie_variance_power
        return OWN_NAMES[self.objective].format(
            alpha=1.0 if alpha is None else alpha, power=1.5 if power is None else power
        )
