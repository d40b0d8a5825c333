"""Gradient boosted trees, grown level by level on histograms; leaves by first and second derivatives.

Source: Chen and Guestrin 2016, https://arxiv.org/abs/1603.02754; library https://xgboost.readthedocs.io (extra
`xgboost`). One booster for each target, trained on the scored rows: (R, F) -> (R, K). Default: 300 rounds of depth 6,
absolute errors; fewer rounds where early stopping on `Watched` rows ends them. Weights are XGBoost's JSON, which it
reads back to the same bits; the number of threads changes none. Parameters: xgboost_config.py; what it shares with
other boosted trees: models/ops/boosting.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foldline.models.ops.boosting import BoostedTrees, Goal, Rows
from foldline.models.systems.xgboost_config import OWN_NAMES, Config

WATCHED = "watched"


class XGBoost(BoostedTrees[Config]):
    """A booster a target, of multiclass one for all. Rows: (R, F) float32 in, (R, K) float64 out."""

    ending = ".json"

    def _trained(self, rows: Rows, goals: Sequence[Goal]) -> Iterator[Any]:
        xgboost, params, data, weighted = _library(), self._params(rows), None, False
        held = None if rows.held is None else self._matrix(rows.held, rows.threads)
        for goal in goals:
            if data is None or weighted or goal.weight is not None:  # bins follow weights, and stay with the matrix
                data = self._matrix(rows.x, rows.threads)
            data.set_label(goal.label)
            if weighted := goal.weight is not None:
                data.set_weight(goal.weight)
            callbacks, stopping = [_reporter(goal.report)], dict[str, Any]()
            if held is not None:
                held.set_label(goal.held_label)
                callbacks.append(_stopper(goal))
                stopping = {"evals": [(held, WATCHED)], "custom_metric": _evaluation(goal)}
            yield xgboost.train(params, data, self.config.rounds, callbacks=callbacks, verbose_eval=False, **stopping)

    def _params(self, rows: Rows) -> dict[str, Any]:
        """Return XGBoost's parameters."""
        config = self.config
        names = ("learning_rate", "max_depth", "min_child_weight", "colsample_bytree", "subsample", "reg_lambda")
        params: dict[str, Any] = {name: getattr(config, name) for name in names}
        params |= {"objective": OWN_NAMES[config.objective], "disable_default_eval_metric": True}
        params |= {"tree_method": "hist", "device": config.device}
        params |= {"seed": rows.seed, "nthread": rows.threads, "verbosity": 0}
        params |= {"num_class": rows.classes} if rows.classes else {}
        params |= {"quantile_alpha": config.alpha} if config.objective == "quantile" else {}
        params |= {"huber_slope": config.alpha} if config.objective == "huber" and config.alpha is not None else {}
        power = config.tweedie_variance_power
        return params | ({} if power is None else {"tweedie_variance_power": power})

    def _matrix(self, x: np.ndarray, threads: int) -> Any:
        """Return rows (R, F) in XGBoost's own form; a gap is missing, and goes to the side that a split has for it."""
        kinds = ["c" if column in self.categorical else "float" for column in range(x.shape[1])]
        return _library().DMatrix(x, feature_types=kinds, enable_categorical=True, nthread=threads)

    def _predicted(self, booster: Any, x: np.ndarray, threads: int) -> np.ndarray:
        booster.set_param({"nthread": threads})
        found = np.asarray(booster.predict(self._matrix(x, threads)), dtype=np.float64)
        return found / found.sum(axis=1, keepdims=True) if found.ndim == 2 else found  # sums of 1 in float64, too

    def _write(self, booster: Any, path: Path) -> None:
        path.write_bytes(booster.save_raw("json"))

    def _read(self, path: Path) -> Any:
        booster = _library().Booster()
        booster.load_model(bytearray(path.read_bytes()))
        return booster


def _reporter(report: Callable[[int], None]) -> Any:
    """Return XGBoost's callback that reports a booster's rounds."""

    class Reporter(_library().callback.TrainingCallback):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            report(epoch + 1)
            return False

    return Reporter()


def _stopper(goal: Goal) -> Any:
    """Return XGBoost's callback that ends a booster and cuts it to its best round."""
    return _library().callback.EarlyStopping(
        rounds=goal.stop, metric_name="score", data_name=WATCHED, maximize=goal.higher_is_better, save_best=True
    )


def _evaluation(goal: Goal) -> Callable[[np.ndarray, Any], tuple[str, float]]:
    """Return XGBoost's evaluation of a booster: the score's name and its value."""
    return lambda predicted, _: ("score", goal.score(np.asarray(predicted, dtype=np.float64)))


def _library() -> Any:
    import xgboost

    return xgboost
