"""Gradient boosted trees on flat rows: one row a step, the windows come from the feature families.

Source: Ke et al. 2017, https://papers.nips.cc/paper/6907; library https://lightgbm.readthedocs.io. One booster for each
target, trained on the scored rows: (R, F) -> (R, K). Default: 300 rounds of 63 leaves, absolute errors; fewer rounds
where early stopping on `Watched` rows ends them. Weights are LightGBM's text. Parameters: lightgbm_config.py.

LightGBM takes a gap in a feature for 0 where training has none. Such a gap gets the median of training instead.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foldline.models.contract import Kind
from foldline.models.systems.lightgbm_config import Config, check_kind

MIDDLES = "middles.json"
MOST_ROWS = 1 << 17  # of which medians are taken
ROWS_AT_ONCE = 1 << 16
HEAD = 4096  # characters, the first of a booster's text, that name its objective


@dataclass(frozen=True, kw_only=True)
class Watched:
    """Rows of series that are not trained on, for early stopping: their score decides how many trees are kept."""

    x: np.ndarray  # (W, F) float32
    y: np.ndarray  # (W, K) float64
    stop: int  # rounds without a better score after which a booster ends; it keeps the trees up to its best one
    # (truth, prediction), alike in shape: (W, 1) of each booster's target, of multiclass (W, K). cross_entropy is not
    # scored by it, but each class by its own cross entropy: one class alone has no score.
    score: Callable[[np.ndarray, np.ndarray], float]
    higher_is_better: bool = False
    # Maps predictions to the unit of y, where boosters learn on another scale: (W, k) of some of the K columns.
    in_own_units: Callable[[np.ndarray, slice], np.ndarray] = lambda values, columns: values


class LightGBM:
    """A booster a target, of multiclass one for all. Rows: (R, F) float32 in, (R, K) float64 out."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.boosters: list[Any] = []
        self.middles: np.ndarray | None = (
            None  # (F,) of features without a gap in training, which are filled; others NaN
        )
        self.sums_to_one = False  # whether predictions are divided by their sum over the boosters

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        seed: int,
        threads: int,
        on_round: Callable[[int, int], None] | None = None,
        *,
        watched: Watched | None = None,
        weight: np.ndarray | None = None,
        kind: Kind = "regression",
        categorical: Sequence[int] = (),
    ) -> None:
        """Train a booster a target on x (R, F) float32, y (R, K) float64. Same seed, threads and data: same bits.

        Args:
            on_round: called with the rounds done and all rounds, over all boosters; a round that early stopping saves
                counts as done.
            weight: (R,) of each row, above 0; only ratios matter. Equal ones, whatever their size, are none.
            kind: of the targets; y as in models/contract.py.
            categorical: columns of x that are codes of categories, 0 for unknown.

        Raises:
            ValueError: the objective does not serve this kind.
        """
        check_kind(self.config, kind, y.shape[1])
        lightgbm, params = _library(), self._params(seed, threads)
        if self.config.objective == "multiclass":
            params["num_class"] = y.shape[1]
        self.sums_to_one = self.config.objective == "cross_entropy"
        labels = list(self._labels(y))
        self.middles = _middles(x)
        data = lightgbm.Dataset(
            x, free_raw_data=False, params={"verbosity": -1}, categorical_feature=list(categorical) or "auto"
        )
        held, weighted = None if watched is None else data.create_valid(self._filled(watched.x)), False
        for number, label in enumerate(labels):
            callbacks, stopping = [self._report(on_round, number, len(labels))], dict[str, Any]()
            if watched is not None and held is not None:
                callbacks.append(lightgbm.early_stopping(watched.stop, verbose=False))
                params["metric"] = "None"  # else the objective's own metric may stop it, too
                columns = slice(None) if self.config.objective == "multiclass" else slice(number, number + 1)
                held.set_label(next(self._labels(watched.y[:, columns])))
                stopping = {"valid_sets": [held], "feval": _scored_by(watched, columns, own=self.sums_to_one)}
            rows = self._row_weights(label, weight)
            data.set_label(label).set_weight(rows)
            if rows is None and weighted:
                data.set_field("weight", None)  # set_weight(None) keeps those of the booster before
            weighted = rows is not None
            self.boosters.append(lightgbm.train(params, data, self.config.rounds, callbacks=callbacks, **stopping))

    def _labels(self, y: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the labels (R,) of each booster."""
        if self.config.objective == "multiclass":
            yield y.argmax(axis=1).astype(np.float64)
        else:
            yield from y.T

    def _row_weights(self, label: np.ndarray, weight: np.ndarray | None) -> np.ndarray | None:
        """Return the weights (R,) of a booster's rows, those of classes included, their mean 1; None: all alike.

        The leaves of l1 and quantile depend on the size of weights, even of equal ones.
        """
        weights = np.ones(len(label)) if weight is None else np.asarray(weight, dtype=np.float64)
        if self.config.objective == "rmspe":
            if not label.all():
                raise ValueError("objective = 'rmspe' needs targets other than 0.")
            weights = weights / np.square(label)
        if not (len(weights) == len(label) and np.isfinite(weights).all() and (weights > 0).all()):
            raise ValueError(f"weight must hold a finite number above 0 for each of the {len(label)} rows.")
        if self.config.balanced or self.config.class_weights:
            classes = (label > 0.5 if self.config.objective == "binary" else label).astype(np.int64)
            of_class = np.asarray(self.config.class_weights)
            if self.config.balanced:
                sums = np.bincount(classes, weights)
                of_class = np.divide(1, sums, out=np.zeros_like(sums), where=sums > 0)
            weights = weights * of_class[classes]
        mean_one = weights / weights.mean()
        return None if np.allclose(mean_one, 1, rtol=0, atol=1e-9) else mean_one

    def _report(self, on_round: Callable[[int, int], None] | None, number: int, count: int) -> Callable[[Any], None]:
        """Return LightGBM's callback that counts over all boosters' rounds."""
        rounds = self.config.rounds

        def report(env: Any) -> None:
            if on_round:
                on_round(number * rounds + env.iteration + 1, count * rounds)

        return report

    def _params(self, seed: int, threads: int) -> dict[str, Any]:
        """Return LightGBM's parameters, without what is not one of them."""
        table, ours = asdict(self.config), ("rounds", "balanced", "class_weights", "categories")
        params: dict[str, Any] = {k: value for k, value in table.items() if k not in ours and value is not None}
        params |= {"objective": "l2"} if self.config.objective == "rmspe" else {}
        params |= {"bagging_freq": 1, "seed": seed, "num_threads": threads, "verbosity": -1}
        # both are needed for the same bits: the layout of histograms would else be chosen by a timing
        return params | {"deterministic": True, "force_row_wise": True}

    def predict(self, x: np.ndarray, threads: int) -> np.ndarray:
        """Predict (R, F) -> (R, K)."""
        x = self._filled(x)
        found = [np.asarray(booster.predict(x, num_threads=threads)) for booster in self.boosters]
        if found[0].ndim == 2:  # one booster of all classes
            return found[0]
        together = np.stack(found, axis=1)
        return together / together.sum(axis=1, keepdims=True) if self.sums_to_one else together

    def _filled(self, x: np.ndarray) -> np.ndarray:
        """Fill, in a copy, gaps of features that had none in training: no split knows a side for them, 0 would be one.

        x: (R, F); what is missing in training too stays so.
        """
        if self.middles is None:
            return x
        complete = np.flatnonzero(~np.isnan(self.middles))
        lacking = [column for column in complete if np.isnan(x[:, column]).any()]
        if lacking:
            x = x.copy()
        for column in lacking:
            x[np.isnan(x[:, column]), column] = self.middles[column]
        return x

    def save(self, folder: Path) -> None:
        """Write one text file a booster into a folder, and the middles of complete features."""
        assert self.middles is not None, "fit or load first"
        middles = [None if math.isnan(value) else value for value in self.middles.tolist()]
        (folder / MIDDLES).write_text(json.dumps({"middles": middles}), encoding="utf-8")
        for number, booster in enumerate(self.boosters):
            (folder / f"booster-{number}.txt").write_text(booster.model_to_string(), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        paths = sorted(folder.glob("booster-*.txt"), key=lambda path: int(path.stem.split("-")[1]))
        texts = [path.read_text(encoding="utf-8") for path in paths]
        if (folder / MIDDLES).exists():  # older versions left gaps to LightGBM
            middles = json.loads((folder / MIDDLES).read_text(encoding="utf-8"))["middles"]
            self.middles = np.array(middles, dtype=np.float64)
        self.sums_to_one = any("\nobjective=cross_entropy\n" in text[:HEAD] for text in texts)
        self.boosters = [_library().Booster(model_str=text) for text in texts]


def _middles(x: np.ndarray) -> np.ndarray:
    """Return the median of each feature of x (R, F), of evenly spaced rows if they are many; NaN where it has gaps."""
    gaps = np.zeros(x.shape[1], dtype=bool)
    for first in range(0, len(x), ROWS_AT_ONCE):
        gaps |= np.isnan(x[first : first + ROWS_AT_ONCE]).any(axis=0)
    rows = np.arange(min(len(x), MOST_ROWS)) * len(x) // min(len(x), MOST_ROWS)
    return np.where(gaps, np.nan, np.median(x[rows].astype(np.float64), axis=0))


def _scored_by(watched: Watched, columns: slice, own: bool) -> Callable[[np.ndarray, Any], tuple[str, float, bool]]:
    """Return LightGBM's evaluation of a booster: the score's name, its value, whether higher is better.

    columns: of y that it predicts; own: cross entropy, not the score.
    """
    truth = np.ascontiguousarray(watched.y[:, columns])  # not rounded: LightGBM's own copy of a label is float32

    def evaluate(predicted: np.ndarray, _: Any) -> tuple[str, float, bool]:
        predicted = watched.in_own_units(predicted.reshape(truth.shape), columns)
        if own:
            return "cross entropy", cross_entropy(truth, predicted), False
        return "score", watched.score(truth, predicted), watched.higher_is_better

    return evaluate


def cross_entropy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean binary cross entropy of shares, in nats; probabilities are kept 1e-15 off 0 and 1."""
    p = predicted.clip(1e-15, 1 - 1e-15)
    return float(-(truth * np.log(p) + (1 - truth) * np.log1p(-p)).mean())


def _library() -> Any:
    import torch  # noqa: F401, I001  (first: it brings libgomp, which LightGBM's wheel expects from the system)
    import lightgbm

    return lightgbm
