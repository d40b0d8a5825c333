"""Gradient boosted trees on flat rows: one row a step, the windows come from the feature families.

Source: Ke et al. 2017, https://papers.nips.cc/paper/6907; library https://lightgbm.readthedocs.io. One booster for each
target, trained on the scored rows: (R, F) -> (R, K). Default: 300 rounds of 63 leaves, absolute errors; fewer rounds
where early stopping on `Watched` rows ends them. Weights are LightGBM's text. Parameters: lightgbm_config.py; what it
shares with other boosted trees: models/ops/boosting.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from foldline.models.ops import stored_lightgbm
from foldline.models.ops.boosting import BoostedTrees, Goal, Rows
from foldline.models.systems.lightgbm_config import Config

HEAD = 4096  # characters, the first of a booster's text, that name its objective


class LightGBM(BoostedTrees[Config]):
    """A booster a target, of multiclass one for all. Rows: (R, F) float32 in, (R, K) float64 out."""

    ending = ".txt"

    def _trained(self, rows: Rows, goals: Sequence[Goal]) -> Iterator[Any]:
        lightgbm, params, weighted = _library(), self._params(rows), False
        quiet, codes = {"verbosity": -1}, list(rows.categorical) or "auto"
        data = lightgbm.Dataset(rows.x, free_raw_data=False, params=quiet, categorical_feature=codes)
        held = None if rows.held is None else data.create_valid(rows.held)
        for goal in goals:
            callbacks, stopping = [_reports(goal.report)], dict[str, Any]()
            if held is not None:
                callbacks.append(lightgbm.early_stopping(goal.stop, verbose=False))
                params["metric"] = "None"  # else the objective's own metric may stop it, too
                held.set_label(goal.held_label)
                stopping = {"valid_sets": [held], "feval": _evaluation(goal)}
            data.set_label(goal.label).set_weight(goal.weight)
            if goal.weight is None and weighted:
                data.set_field("weight", None)  # set_weight(None) keeps those of the booster before
            weighted = goal.weight is not None
            yield lightgbm.train(params, data, self.config.rounds, callbacks=callbacks, **stopping)

    def _params(self, rows: Rows) -> dict[str, Any]:
        """Return LightGBM's parameters, without what is not one of them."""
        table, ours = asdict(self.config), ("rounds", "balanced", "class_weights", "categories")
        params: dict[str, Any] = {k: value for k, value in table.items() if k not in ours and value is not None}
        params |= {"objective": "l2"} if self.config.objective == "rmspe" else {}
        params |= {"num_class": rows.classes} if rows.classes else {}
        params |= {"bagging_freq": 1, "seed": rows.seed, "num_threads": rows.threads, "verbosity": -1}
        # both are needed for the same bits: the layout of histograms would else be chosen by a timing
        return params | {"deterministic": True, "force_row_wise": True}

    def _predicted(self, booster: Any, x: np.ndarray, threads: int) -> np.ndarray:
        return np.asarray(booster.predict(x, num_threads=threads))

    def _write(self, booster: Any, path: Path) -> None:
        path.write_text(booster.model_to_string(), encoding="utf-8")

    def _read(self, path: Path) -> Any:
        text = path.read_text(encoding="utf-8")
        if "\nobjective=cross_entropy\n" in text[:HEAD]:  # older versions say it nowhere else
            self.objective = "cross_entropy"
        return stored_lightgbm.booster(text)


def _reports(report: Callable[[int], None]) -> Callable[[Any], None]:
    """Return LightGBM's callback that reports a booster's rounds."""
    return lambda env: report(env.iteration + 1)


def _evaluation(goal: Goal) -> Callable[[np.ndarray, Any], tuple[str, float, bool]]:
    """Return LightGBM's evaluation of a booster: the score's name, its value, whether higher is better."""
    return lambda predicted, _: ("score", goal.score(predicted), goal.higher_is_better)


def _library() -> Any:
    import torch  # noqa: F401, I001  (first: it brings libgomp, which LightGBM's wheel expects from the system)
    import lightgbm

    return lightgbm
