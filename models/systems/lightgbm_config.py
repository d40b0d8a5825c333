"""LightGBM's table: its parameters, and its objectives (models/ops/boosting_config.py says what each means)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from foldline.models.contract import Kind
from foldline.models.ops.boosting_config import BoostingConfig, served

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
SERVES = served(get_args(Objective))


@dataclass(frozen=True, kw_only=True)
class Config(BoostingConfig):
    """[[model]] with name = "lightgbm"; fields are LightGBM's own parameters."""

    objective: Objective = "l1"
    num_leaves: int = 63
    min_data_in_leaf: int = 20
    feature_fraction: float = 0.8  # share of the features a tree may use
    bagging_fraction: float = 0.8  # share of the rows a tree is grown on
    lambda_l2: float = 0.0

    serves: ClassVar[dict[Kind, tuple[str, ...]]] = SERVES
    takes_power_one: ClassVar[bool] = True
    shares: ClassVar[tuple[str, ...]] = ("systems/lightgbm_config", "ops/boosting", "ops/boosting_config")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_leaves < 2:
            raise ValueError(f"num_leaves must be at least 2, but is {self.num_leaves}")
        self.check_shares("feature_fraction", "bagging_fraction")
        self.check_sizes("min_data_in_leaf", "lambda_l2")
