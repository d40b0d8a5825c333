"""Gradient boosted trees on flat rows: one row a step, the windows come from the feature families.

Source: Ke et al. 2017, https://papers.nips.cc/paper/6907; library https://lightgbm.readthedocs.io. One booster for each
target; trained on the scored rows, for a fixed number of rounds (nothing watches a score). Weights are LightGBM's text.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from models.base import Part


@dataclass(frozen=True, kw_only=True)
class Config:
    """[[model]] with name = "lightgbm"; fields are LightGBM's own parameters."""

    rounds: int = 300
    objective: Literal["l1", "l2", "huber", "fair", "quantile", "mape", "poisson", "gamma", "tweedie"] = "l1"
    learning_rate: float = 0.1
    num_leaves: int = 63
    min_data_in_leaf: int = 20
    feature_fraction: float = 0.8  # share of the features a tree may use
    bagging_fraction: float = 0.8  # share of the rows a tree is grown on
    lambda_l2: float = 0.0

    kind: ClassVar[str] = "rows"
    parts: ClassVar[dict[str, dict[str, Part]]] = {}

    def __post_init__(self) -> None:
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


class LightGBM:
    """A booster a target. Rows: (R, F) float32 in, (R, K) float64 out."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.boosters: list[Any] = []

    def fit(
        self, x: np.ndarray, y: np.ndarray, seed: int, threads: int, on_round: Callable[[int, int], None] | None = None
    ) -> None:
        """x: (R, F) float32; y: (R, K) float64. Same bits for the same seed, threads and data."""
        lightgbm = _library()
        params: dict[str, Any] = {name: value for name, value in asdict(self.config).items() if name != "rounds"}
        params |= {"bagging_freq": 1, "seed": seed, "num_threads": threads, "verbosity": -1}
        params |= {"deterministic": True, "force_row_wise": True}
        rounds, targets = self.config.rounds, y.shape[1]
        data = lightgbm.Dataset(x, free_raw_data=False, params={"verbosity": -1})
        for target in range(targets):

            def report(env: Any, target: int = target) -> None:
                if on_round:
                    on_round(target * rounds + env.iteration + 1, targets * rounds)

            labelled = data.set_label(y[:, target])
            self.boosters.append(lightgbm.train(params, labelled, rounds, callbacks=[report]))

    def predict(self, x: np.ndarray, threads: int) -> np.ndarray:
        """(R, F) -> (R, K)."""
        return np.stack([booster.predict(x, num_threads=threads) for booster in self.boosters], axis=1)

    def save(self, folder: Path) -> None:
        """One text file a target."""
        for target, booster in enumerate(self.boosters):
            (folder / f"booster-{target}.txt").write_text(booster.model_to_string(), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        paths = sorted(folder.glob("booster-*.txt"), key=lambda path: int(path.stem.split("-")[1]))
        self.boosters = [_library().Booster(model_str=path.read_text(encoding="utf-8")) for path in paths]


def _library() -> Any:
    import torch  # noqa: F401, I001  (first: it brings libgomp, which LightGBM's wheel expects from the system)
    import lightgbm

    return lightgbm
