"""Gradient boosted trees whose nodes at a depth all ask the same, with statistics of the target for categories.

Source: Prokhorenkova et al. 2018, https://arxiv.org/abs/1706.09516; library https://catboost.ai (extra `catboost`). One
booster for each target, trained on the scored rows: (R, F) -> (R, K). Default: 300 rounds of depth 6, absolute errors;
fewer where early stopping on `Watched` rows ends them. Parameters: catboost_config.py; what it shares with other
boosted trees: models/ops/boosting.py.

A category is replaced by the mean target of rows before its own in an order that is drawn from the seed; that and what
a tree is grown on depend on the order of rows, which is that of the store.

Weights are CatBoost's own format, cbm: of its JSON it reads leaves back with other last bits. Nothing in it can run: it
is a FlatBuffers table, which CatBoost verifies before it uses it.
"""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foldline.models.ops.boosting import BoostedTrees, Goal, Rows
from foldline.models.systems.catboost_config import Config

MISSING = -1  # code of a gap in a category
BY_CHANCE = ("train_finish_time", "model_guid")  # of what a model says about itself: other bytes in each training


@dataclass(frozen=True)
class Constant:
    """A booster of targets that are all alike, which CatBoost refuses."""

    value: float  # of multiclass the number of the class


class CatBoost(BoostedTrees[Config]):
    """A booster a target, of multiclass one for all. Rows: (R, F) float32 in, (R, K) float64 out."""

    ending = ".cbm"

    def _trained(self, rows: Rows, goals: Sequence[Goal]) -> Iterator[Any]:
        for goal in goals:
            kept = goal.label.astype(np.float32)  # as CatBoost keeps them
            if (kept == kept[0]).all():
                goal.report(self.config.rounds)
                yield Constant(float(goal.label[0]))
            else:
                yield self._booster(rows, goal)

    def _booster(self, rows: Rows, goal: Goal) -> Any:
        """Train a booster, which keeps the trees up to its best round where rows are watched."""
        params, start, on_cpu = self._params(rows), self._start(goal), self.config.device == "cpu"
        progress, fitting = _Progress(self, goal), dict[str, Any]()
        if rows.held is not None:
            # The metric only hands predictions over: labels are of training, which has all classes that CatBoost knows.
            label = np.resize(goal.label, len(rows.held))
            fitting["eval_set"] = self._pool(rows.held, rows.threads, label, start=start)
            params |= {"eval_metric": _metric(progress), "use_best_model": False}
        if on_cpu:  # CatBoost has no callbacks on a GPU
            fitting["callbacks"] = [progress]
        model = _library().CatBoost(params)
        with (
            warnings.catch_warnings()
        ):  # that a metric is no method: else it would be compiled, and refused with a page
            warnings.simplefilter("ignore", UserWarning)
            model.fit(self._pool(rows.x, rows.threads, goal.label, goal.weight, start), **fitting)
        if not on_cpu:
            goal.report(self.config.rounds)
        if progress.best:
            model.shrink(progress.best)
        scale, bias = model.get_scale_and_bias()
        if start:
            model.set_scale_and_bias(scale, bias + start)
        for name in BY_CHANCE:
            del model.get_metadata()[name]
        return model

    def _params(self, rows: Rows) -> dict[str, Any]:
        """Return CatBoost's parameters."""
        config = self.config
        names = ("learning_rate", "depth", "l2_leaf_reg", "random_strength", "subsample")
        params: dict[str, Any] = {name: getattr(config, name) for name in names}
        params |= {"iterations": config.rounds, "loss_function": config.own_objective}
        params |= {"bootstrap_type": "Bernoulli", "task_type": "CPU" if config.device == "cpu" else "GPU"}
        params |= {"rsm": config.rsm} if config.device == "cpu" else {}
        # no folder catboost_info, no line of print
        params |= {"allow_writing_files": False, "logging_level": "Silent"}
        return params | {"random_seed": rows.seed, "thread_count": rows.threads}

    def _start(self, goal: Goal) -> float:
        """Return the raw prediction that trees begin from, where CatBoost itself would begin from 0."""
        if self.objective == "huber":
            return float(np.float32(np.median(goal.label)))  # as CatBoost keeps it
        if self.objective in ("poisson", "tweedie"):
            return float(np.float32(np.log(np.average(goal.label, weights=goal.weight))))
        return 0.0

    def _pool(
        self,
        x: np.ndarray,
        threads: int,
        label: np.ndarray | None = None,
        weight: np.ndarray | None = None,
        start: float = 0.0,
    ) -> Any:
        """Return rows (R, F) in CatBoost's own form. It takes categories as texts only, behind all numbers."""
        catboost, data = _library(), x
        if self.categorical:
            numbers = [column for column in range(x.shape[1]) if column not in self.categorical]
            codes = x[:, list(self.categorical)]
            texts = np.where(np.isnan(codes), MISSING, codes).astype(np.int64).astype(np.bytes_).astype(object)
            data = catboost.FeaturesData(
                num_feature_data=np.ascontiguousarray(x[:, numbers]) if numbers else None, cat_feature_data=texts
            )
        baseline = np.full(len(x), start) if start else None
        return catboost.Pool(data, label, weight=weight, baseline=baseline, thread_count=threads)

    def _predicted(self, booster: Any, x: np.ndarray, threads: int) -> np.ndarray:
        if isinstance(booster, Constant):
            return self._constant(booster, len(x))
        pool = self._pool(x, threads)
        raw = np.asarray(booster.predict(pool, prediction_type="RawFormulaVal", thread_count=threads))
        return self.linked(raw.T if raw.ndim == 2 else raw[None], np.asarray(booster.classes_))

    def _constant(self, booster: Constant, count: int) -> np.ndarray:
        if self.objective == "multiclass":
            return np.tile(np.eye(self.targets)[int(booster.value)], (count, 1))
        return np.full(count, booster.value)

    def linked(self, raw: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Turn raw values (k, R) into predictions (R,), of multiclass (R, K). classes: the k that training has."""
        if self.objective == "multiclass":
            shares = np.exp(raw - raw.max(axis=0))
            found = np.zeros((raw.shape[1], self.targets))
            found[:, classes.astype(np.int64)] = (shares / shares.sum(axis=0)).T
            return found
        if self.objective in ("binary", "cross_entropy"):
            return np.asarray(0.5 * (1 + np.tanh(0.5 * raw[0])))
        return np.asarray(np.exp(raw[0]) if self.objective in ("poisson", "tweedie") else raw[0])

    def _write(self, booster: Any, path: Path) -> None:
        if isinstance(booster, Constant):
            path.with_suffix(".json").write_text(json.dumps({"constant": booster.value}), encoding="utf-8")
        else:
            booster.save_model(str(path), format="cbm")

    def _read(self, path: Path) -> Any:
        if path.suffix == ".json":
            return Constant(json.loads(path.read_text(encoding="utf-8"))["constant"])
        return _library().CatBoost().load_model(blob=path.read_bytes())


class _Progress:
    """CatBoost's callback: it reports rounds, scores watched rows after each, and ends a booster."""

    def __init__(self, trees: CatBoost, goal: Goal) -> None:
        self.trees, self.goal, self.classes = trees, goal, np.unique(goal.label)
        self.raw = np.empty((0, 0))  # (k, W) of watched rows after the latest round
        self.best, self.score = 0, 0.0  # rounds of the best score, and that; 0: none yet

    def after_iteration(self, info: Any) -> bool:
        """Say whether training goes on after this round."""
        self.goal.report(info.iteration)
        if not self.raw.size:
            return True
        score = self.goal.score(self.trees.linked(self.raw, self.classes))
        better = score > self.score if self.goal.higher_is_better else score < self.score
        if not self.best or better:
            self.best, self.score = info.iteration, score
        return bool(info.iteration - self.best < self.goal.stop)


def _metric(progress: _Progress) -> Any:
    """Return a metric that hands over predictions: CatBoost calls it for training rows, then for watched ones."""

    def evaluate(raw: Any, label: Any, weight: Any) -> tuple[float, float]:
        progress.raw = np.array([np.asarray(column) for column in raw])
        return 0.0, 1.0

    class Metric:
        def is_max_optimal(self) -> bool:
            return False

        def get_final_error(self, error: float, weight: float) -> float:
            return error

    # No method, which would be compiled; a partial alone is to become one in later versions of Python.
    Metric.evaluate = staticmethod(functools.partial(evaluate))  # type: ignore[attr-defined]
    return Metric()


def _library() -> Any:
    import catboost

    return catboost
