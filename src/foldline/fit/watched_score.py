"""The score that [train.watch] looks at: the competition's metric, in its own unit, of series not trained on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from foldline.data.metrics import Metric
from foldline.fit import patches, stitching
from foldline.fit.datasets import Dataset
from foldline.fit.divergence import Diverged
from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.scaler import Scaler
from foldline.fit.stitching import AnyBlock
from foldline.fit.target_transform import TargetTransform
from foldline.fit.train_config import TrainConfig
from foldline.fit.training_state import State
from foldline.fit.training_step import predict_batch


@dataclass(frozen=True)
class WatchedSeries:
    """Whole series of a fold's training part that are kept out of training. V scored rows, K targets."""

    part: LabelledSeries
    seen: LabelledSeries  # the same as the network sees them: in patches perhaps
    dataset: Dataset  # of these
    truth: np.ndarray  # (V, K) float64, in the targets' own units
    in_own_units: Callable[[np.ndarray], np.ndarray]  # of scaled predictions, (V, K)
    metric: Metric
    beside: tuple[np.ndarray | None, np.ndarray | None] = (None, None)  # (V,) weights, and groups or numbers


def watch(
    part: LabelledSeries,
    dataset: Dataset,
    scaler: Scaler,
    transform: TargetTransform,
    metric: Metric,
    seen: LabelledSeries | None = None,
) -> WatchedSeries:
    """Prepare series to be scored after each epoch.

    Args:
        dataset: of the same series, as they are predicted.
        seen: of what it was made; None: of `part`.
    """
    scored = part.weight > 0
    answers = part.store.answers(part.series)[scored]

    def in_own_units(scaled: np.ndarray) -> np.ndarray:
        return transform.inverse(scaled * scaler.y_scale + scaler.y_center, part.store, answers)

    beside = part.store.beside(metric, answers)
    return WatchedSeries(part, seen or part, dataset, part.y[scored], in_own_units, metric, beside)


def watched_score(state: State, config: TrainConfig, watched: WatchedSeries) -> float:
    """Score the network that predicts if training ends here.

    Raises:
        Diverged: the score is not finite.
    """
    network = state.predictor.eval()

    def run(block: AnyBlock, index: Tensor) -> Tensor:
        return predict_batch(network, config, block.batch(index)).cpu()

    part, scaled = watched.part, stitching.predicted(watched.dataset, run, watched.seen, config)
    if not part.store.on_series:
        scaled = patches.up(scaled, part.store, part.series, config.patches)
    scaled = scaled[part.weight > 0]
    score = watched.metric(watched.truth, watched.in_own_units(scaled), *watched.beside)
    if not math.isfinite(score):
        raise Diverged("watched score", state.counters.epoch)
    return score
