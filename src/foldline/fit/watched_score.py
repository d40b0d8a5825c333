"""The score that [train.watch] looks at: the competition's metric, in its own unit, of series not trained on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from foldline.data.metrics import Metric
from foldline.fit import out_of_memory
from foldline.fit.device_dataset import Block, DeviceDataset, place
from foldline.fit.divergence import Diverged
from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.scaler import Scaler
from foldline.fit.target_transform import TargetTransform
from foldline.fit.train_config import TrainConfig
from foldline.fit.training_state import State
from foldline.fit.training_step import predict_batch


@dataclass(frozen=True)
class WatchedSeries:
    """Whole series of a fold's training part that are kept out of training. V scored rows, K targets."""

    dataset: DeviceDataset
    truth: np.ndarray  # (V, K) float64, in the targets' own units
    block_of: np.ndarray  # (V,) which block of the dataset a row lies in
    in_own_units: Callable[[np.ndarray], np.ndarray]  # of scaled predictions, (V, K)
    metric: Metric
    beside: tuple[np.ndarray | None, np.ndarray | None] = (None, None)  # (V,) weights, and groups or numbers


def watch(
    part: LabelledSeries,
    scaler: Scaler,
    transform: TargetTransform,
    metric: Metric,
    lengths: tuple[int, ...],
    device: torch.device,
) -> WatchedSeries:
    """Bring series to the device, to be scored after each epoch. lengths: that they are padded to."""
    dataset, scored = place([transform.labelled(part)], scaler, lengths, device), part.weight > 0
    answers = part.store.answers(part.series)[scored]

    def in_own_units(scaled: np.ndarray) -> np.ndarray:
        return transform.inverse(scaled * scaler.y_scale + scaler.y_center, part.store, answers)

    block_of = np.repeat(dataset.block_of, part.store.answers_of_series[part.series])[scored]
    return WatchedSeries(dataset, part.y[scored], block_of, in_own_units, metric, part.store.beside(metric, answers))


def watched_score(state: State, config: TrainConfig, watched: WatchedSeries) -> float:
    """Score the network that predicts if training ends here.

    Raises:
        Diverged: the score is not finite.
    """
    network, dataset = state.predictor.eval(), watched.dataset

    def scored_rows(block: Block, index: Tensor) -> Tensor:
        batch = block.batch(index)
        return predict_batch(network, config, batch)[batch.weight > 0].cpu()

    scaled = np.empty_like(watched.truth)
    for number, block in enumerate(dataset.blocks):
        # 4 batches at once: without gradients a pass takes a fraction of the memory
        parts = out_of_memory.in_parts(partial(scored_rows, block), len(block), 4 * config.batch, dataset.device)
        scaled[watched.block_of == number] = torch.cat(list(parts)).numpy()
    score = watched.metric(watched.truth, watched.in_own_units(scaled), *watched.beside)
    if not math.isfinite(score):
        raise Diverged("watched score", state.counters.epoch)
    return score
