"""Gradient boosted trees on flat rows: one row a step, the windows come from the feature families.

Source: Ke et al. 2017, https://papers.nips.cc/paper/6907; library https://lightgbm.readthedocs.io. One booster for each
target, trained on the scored rows: (R, F) -> (R, K). Default: 300 rounds of 63 leaves, absolute errors; fewer rounds
where early stopping on `Watched` rows ends them. Weights are LightGBM's text.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from foldline.models.contract import Part


@dataclass(frozen=True, kw_only=True)
class Config:
    """[[model]] with name = "lightgbm"; fields are LightGBM's own parameters."""

    rounds: int = 300
    objective: Literal["l1", "l2", "huber", "fair", "quantile", "mape", "poisson", "gamma", "tweedie"] = "l1"
    alpha: float | None = None  # quantile: its level, required; huber: where the squared part ends
    learning_rate: float = 0.1
    num_leaves: int = 63
    min_data_in_leaf: int = 20
    feature_fraction: float = 0.8  # share of the features a tree may use
    bagging_fraction: float = 0.8  # share of the rows a tree is grown on
    lambda_l2: float = 0.0

    kind: ClassVar[str] = "rows"
    parts: ClassVar[dict[str, dict[str, Part]]] = {}

    def __post_init__(self) -> None:
        self._check_alpha()
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


@dataclass(frozen=True, kw_only=True)
class Watched:
    """Rows of series that are not trained on, for early stopping: their score decides how many trees are kept."""

    x: np.ndarray  # (W, F) float32
    y: np.ndarray  # (W, K) float64
    stop: int  # rounds without a better score after which a booster ends; it keeps the trees up to its best one
    score: Callable[[np.ndarray, np.ndarray], float]  # (truth, prediction), alike in shape -> lower is better


class LightGBM:
    """A booster a target. Rows: (R, F) float32 in, (R, K) float64 out."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.boosters: list[Any] = []

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        seed: int,
        threads: int,
        on_round: Callable[[int, int], None] | None = None,
        *,
        watched: Watched | None = None,
    ) -> None:
        """Train a booster a target on x (R, F) float32, y (R, K) float64. Same seed, threads and data: same bits.

        on_round: called with the rounds done and all rounds, over all targets; a round that early stopping saves counts
        as done.
        """
        lightgbm, params, targets = _library(), self._params(seed, threads), y.shape[1]
        data = lightgbm.Dataset(x, free_raw_data=False, params={"verbosity": -1})
        held = None if watched is None else data.create_valid(watched.x)
        for target in range(targets):
            callbacks, stopping = [self._report(on_round, target, targets)], dict[str, Any]()
            if watched is not None and held is not None:
                callbacks.append(lightgbm.early_stopping(watched.stop, verbose=False))
                params["metric"] = "None"  # else the objective's own metric may stop it, too
                stopping = {"valid_sets": [held.set_label(watched.y[:, target])], "feval": _scored_by(watched, target)}
            labelled = data.set_label(y[:, target])
            booster = lightgbm.train(params, labelled, self.config.rounds, callbacks=callbacks, **stopping)
            self.boosters.append(booster)

    def _report(self, on_round: Callable[[int, int], None] | None, target: int, targets: int) -> Callable[[Any], None]:
        """Return LightGBM's callback that counts over all targets' rounds."""
        rounds = self.config.rounds

        def report(env: Any) -> None:
            if on_round:
                on_round(target * rounds + env.iteration + 1, targets * rounds)

        return report

    def _params(self, seed: int, threads: int) -> dict[str, Any]:
        """Return LightGBM's parameters, rounds aside."""
        table = asdict(self.config)
        params: dict[str, Any] = {k: value for k, value in table.items() if k != "rounds" and value is not None}
        params |= {"bagging_freq": 1, "seed": seed, "num_threads": threads, "verbosity": -1}
        # both are needed for the same bits: the layout of histograms would else be chosen by a timing
        return params | {"deterministic": True, "force_row_wise": True}

    def predict(self, x: np.ndarray, threads: int) -> np.ndarray:
        """Predict (R, F) -> (R, K)."""
        return np.stack([booster.predict(x, num_threads=threads) for booster in self.boosters], axis=1)

    def save(self, folder: Path) -> None:
        """Write one text file a target into a folder."""
        for target, booster in enumerate(self.boosters):
            (folder / f"booster-{target}.txt").write_text(booster.model_to_string(), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        paths = sorted(folder.glob("booster-*.txt"), key=lambda path: int(path.stem.split("-")[1]))
        self.boosters = [_library().Booster(model_str=path.read_text(encoding="utf-8")) for path in paths]


def _scored_by(watched: Watched, target: int) -> Callable[[np.ndarray, Any], tuple[str, float, bool]]:
    """Return LightGBM's evaluation of one target: the score's name, its value, whether higher is better."""
    truth = watched.y[:, [target]]  # LightGBM's own copy of a label is float32

    def evaluate(predicted: np.ndarray, _: Any) -> tuple[str, float, bool]:
        return "score", watched.score(truth, predicted[:, None]), False

    return evaluate


def _library() -> Any:
    import torch  # noqa: F401, I001  (first: it brings libgomp, which LightGBM's wheel expects from the system)
    import lightgbm

    return lightgbm
