"""[blend] and [[blend.outside]]: what a config may say of blending."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Method = Literal[
    "auto",
    "best-member",
    "mean",
    "logit",
    "rank",
    "median",
    "trimmed-mean",
    "spread",
    "hill-climb",
    "simplex",
    "nnls",
    "lad",
    "optuna",
    "ridge",
    "lightgbm",
]

SLOW = ("simplex", "optuna")  # searches for weights such as hill-climb finds
CANDIDATES: tuple[Method, ...] = tuple(name for name in get_args(Method) if name not in ("auto", *SLOW))


@dataclass(frozen=True, kw_only=True)
class OutsideConfig:
    """[[blend.outside]]: a member whose predictions were made elsewhere. Both files: row id and target columns."""

    name: str
    oof: str  # predictions of every training row, by models that were not trained on its series; CSV or Parquet
    test: str  # predictions of every test row
    fold: str = ""  # column of `oof` with the fold that held each row out, to be checked against ours

    def __post_init__(self) -> None:
        if not all((self.name, self.oof, self.test)):
            raise ValueError(
                f"name, oof and test must not be empty, but are {self.name!r}, {self.oof!r}, {self.test!r}"
            )


@dataclass(frozen=True, kw_only=True)
class BlendConfig:
    """[blend]: how the members' predictions become one."""

    method: Method | None = None  # left out: hill-climb in `train`, which takes a second; "auto" in `blend`
    candidates: tuple[Method, ...] = CANDIDATES  # what "auto" chooses from
    trim: float = 0.2  # trimmed-mean: share of the members left out at either end, rounded up
    bags: int = 1  # hill-climb: climbs whose weights are averaged; above 1 each uses a random part of the members
    bag_share: float = 0.5  # hill-climb: share of the members in a bag, two at least
    trials: int = 100  # optuna: weight vectors that are tried
    # Of the metric, at most, in one search of hill-climb (whole picks, one at least), simplex or optuna. Left out: 50 a
    # member, 100 a member, and `trials`.
    evaluations: int | None = None
    per_target: bool = False  # give a target column weights of its own, where that gains on the other folds
    rounds: int = 50  # lightgbm: trees
    # lightgbm: features of which its trees see, beside predictions, the number of steps of the series, and of each
    # mean, standard deviation, lowest and highest value
    aggregates: tuple[str, ...] = ()
    values: int = 200_000  # most values (rows x targets) that a fit uses, drawn at random; scores are of all rows
    seed: int = 0  # of random draws
    outside: tuple[OutsideConfig, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.trim < 0.5 or not 0 < self.bag_share <= 1:
            raise ValueError(
                f"trim must lie between 0 and 0.5 and bag_share between 0 and 1, but they are {self.trim} and "
                f"{self.bag_share}"
            )
        if self.evaluations is not None and self.evaluations < 1:
            raise ValueError(f"evaluations must be at least 1, but is {self.evaluations}")
        if min(self.bags, self.trials, self.rounds) < 1 or self.values < 100:
            counts = f"{self.bags}, {self.trials}, {self.rounds}, {self.values}"
            raise ValueError(f"bags, trials and rounds must be at least 1 and values at least 100, but are {counts}")
        if not self.candidates or "auto" in self.candidates:
            raise ValueError(
                f'candidates must name at least one method, and not "auto" itself, but is {list(self.candidates)}'
            )
        names = [member.name for member in self.outside]
        if len(set(names)) < len(names):
            raise ValueError(f"members from outside need different names, but they are {', '.join(names)}")

    @property
    def method_used(self) -> Method:
        """Return the method, the default filled in."""
        return self.method or "hill-climb"
