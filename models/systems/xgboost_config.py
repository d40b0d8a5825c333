"""XGBoost's table: its parameters, and its objectives (models/ops/boosting_config.py says what each means)."""

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
    "rmspe",
    "poisson",
    "gamma",
    "tweedie",
    "binary",
    "multiclass",
    "cross_entropy",
]
OWN_NAMES: dict[str, str] = {
    "l1": "reg:absoluteerror",
    "l2": "reg:squarederror",
    "huber": "reg:pseudohubererror",  # Huber's loss with a smooth join, which has a curvature everywhere
    "quantile": "reg:quantileerror",
    "rmspe": "reg:squarederror",
    "poisson": "count:poisson",
    "gamma": "reg:gamma",
    "tweedie": "reg:tweedie",
    "binary": "binary:logistic",
    "multiclass": "multi:softprob",
    "cross_entropy": "binary:logistic",
}


@dataclass(frozen=True, kw_only=True)
class Config(BoostingConfig):
    """[[model]] with name = "xgboost"; fields are XGBoost's own parameters."""

    objective: Objective = "l1"
    max_depth: int = 6
    min_child_weight: float = 1.0  # least sum of curvatures in a leaf; of l2 that of the rows' weights
    colsample_bytree: float = 0.8  # share of the features a tree may use
    subsample: float = 0.8  # share of the rows a tree is grown on
    reg_lambda: float = 1.0
    device: Literal["cpu", "cuda"] = "cpu"  # where it is trained; cuda needs an XGBoost that was built for it

    serves: ClassVar[dict[Kind, tuple[str, ...]]] = served(get_args(Objective))
    shares: ClassVar[tuple[str, ...]] = ("systems/xgboost_config", "ops/boosting", "ops/boosting_config")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_depth < 1:
            raise ValueError(f"max_depth must be at least 1, but is {self.max_depth}")
        self.check_shares("colsample_bytree", "subsample")
        self.check_sizes("min_child_weight", "reg_lambda")
