"""What a blend is fitted on, and what [blend] may say.

Letters: M members, R scored rows of the training table, K targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from foldline.data.metrics import Metric

Method = Literal[
    "auto",
    "best-member",
    "mean",
    "median",
    "trimmed-mean",
    "spread",
    "hill-climb",
    "nnls",
    "lad",
    "optuna",
    "ridge",
    "lightgbm",
]

CANDIDATES: tuple[Method, ...] = (  # all but optuna: it searches for what lad (and nnls, of squares) find exactly
    *("best-member", "mean", "median", "trimmed-mean", "spread", "hill-climb", "nnls", "lad", "ridge", "lightgbm"),
)


@dataclass(frozen=True, kw_only=True)
class OutsideConfig:
    """[[blend.outside]]: a member whose predictions were made elsewhere. Both files: row id and target columns."""

    name: str
    oof: str  # predictions of every training row, by models that never saw its series; CSV or Parquet
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

    method: Method | None = None  # left out: `train` climbs, which takes a second, and `blend` decides as "auto" does
    candidates: tuple[Method, ...] = CANDIDATES  # what "auto" chooses from
    trim: float = 0.2  # trimmed-mean: share of the members left out at either end, rounded up
    bags: int = 1  # hill-climb: climbs whose weights are averaged; above 1 each sees some members only
    bag_share: float = 0.5  # hill-climb: share of the members a bag sees, two at least
    trials: int = 100  # optuna: points it looks at
    rounds: int = 50  # lightgbm: trees
    values: int = 200_000  # most values (rows x targets) a fit looks at, drawn evenly; scores are of all rows
    seed: int = 0  # of draws
    outside: tuple[OutsideConfig, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.trim < 0.5 or not 0 < self.bag_share <= 1:
            raise ValueError(
                f"trim must lie between 0 and 0.5 and bag_share between 0 and 1, but they are {self.trim} and "
                f"{self.bag_share}"
            )
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
    def used(self) -> Method:
        """The method, the default filled in."""
        return self.method or "hill-climb"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Out-of-fold predictions of scored rows: all that a blend may learn from."""

    labels: tuple[str, ...]  # (M,)
    predictions: np.ndarray  # (M, R, K) float64
    y: np.ndarray  # (R, K) float64
    fold: np.ndarray  # (R,) the fold of each row's series
    series: np.ndarray  # (R,) int64, which series a row belongs to
    metric: Metric
    spread: np.ndarray | None = None  # (M, R, K) expected absolute error, where every member knows it

    def where(self, chosen: np.ndarray) -> Rows:
        """Some of the rows. chosen: (R,) bool, or indices."""
        return replace(
            self,
            predictions=self.predictions[:, chosen],
            y=self.y[chosen],
            fold=self.fold[chosen],
            series=self.series[chosen],
            spread=None if self.spread is None else self.spread[:, chosen],
        )

    def only(self, members: Sequence[int]) -> Rows:
        """Some of the members."""
        chosen = list(members)
        return replace(
            self,
            labels=tuple(self.labels[number] for number in chosen),
            predictions=self.predictions[chosen],
            spread=None if self.spread is None else self.spread[chosen],
        )

    def drawn(self, values: int, seed: int) -> Rows:
        """At most that many values (rows x targets): all rows, or as many drawn without replacement, in their order."""
        count = max(1, values // self.y.shape[1])
        if count >= len(self.y):
            return self
        return self.where(np.sort(np.random.default_rng(seed).choice(len(self.y), count, replace=False)))

    @property
    def parts(self) -> np.ndarray:
        """(R,) parts for cross-validation that share no series: the folds, or five deals of series within one fold."""
        if len(np.unique(self.fold)) > 1:
            return self.fold
        return np.asarray(np.unique(self.series, return_inverse=True)[1] % 5)

    @property
    def errors(self) -> np.ndarray:
        """(R * K, M) prediction minus truth."""
        return np.asarray((self.predictions - self.y).reshape(len(self.labels), -1).T)
