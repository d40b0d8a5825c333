"""Measure how much of the past a system uses: its error when it sees only the last k steps before each prediction.

Source: Miller & Hardt 2019, https://arxiv.org/abs/1805.10369 (section 4). Only causal systems are measured: truncated,
they are a feed-forward network on their last k inputs. Features are computed before the truncation, so a feature that
sums up the past (family `integral`) still carries it; `./run.sh bench truncation` uses no such feature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foldline.core.chunks import chunks
from foldline.data.store import Store
from foldline.experiment.preparation import PreparedExperiment
from foldline.fit.device_block import place_block
from foldline.fit.labelled_series import labelled_series
from foldline.fit.network_cell import NetworkCell
from foldline.fit.process_state import use_settings
from foldline.fit.train_config import TrainConfig
from foldline.models import MODELS
from foldline.models.probes import truncated
from foldline.run.cell_training import load_estimator
from foldline.run.cells import ModelConfig

HISTORY = (1, 2, 5, 10, 20, 40)  # k; the whole series is added as the last
SERIES, WINDOWS = 64, 1024  # held-out series that are measured; windows that the network takes at once


@dataclass(frozen=True, kw_only=True)
class TruncationPoint:
    """Errors on held-out scored steps, each predicted from the last `steps` inputs."""

    steps: int  # k
    error: float  # mean absolute error, in the target's unit
    distance: float  # mean absolute distance to the untruncated predictions, in the same unit


def applies(store: Store, train: TrainConfig) -> bool:
    """Whether errors can be followed step by step: of numbers at every step, in series that are seen whole, by rows."""
    whole = not (train.windows.used or train.patches.used)
    return bool(store.task.kind == "regression" and not store.on_series and whole)


def is_causal(model: ModelConfig) -> bool:
    """Whether a model declares that it uses all past steps and no future one."""
    config = MODELS[model.name].config(**model.params)
    return getattr(config, "reach", None) == (math.inf, 0)


@torch.no_grad()
def curve(prepared: PreparedExperiment) -> list[TruncationPoint]:
    """Measure a system's first cell, which is finished. The last point is not truncated: its distance is 0."""
    cell = prepared.plan[0]
    device = torch.device(cell.model.train.device_used)
    use_settings(cell.model.train, device)
    estimator = load_estimator(cell, prepared.train)
    assert isinstance(estimator, NetworkCell) and estimator.network is not None, "a study's systems are networks"
    held = prepared.folds.held_out(cell.fold)[:SERIES]
    kept = estimator.lengths[-1]
    part, transform, scaler = labelled_series(prepared.train, held), estimator.transform, estimator.scaler
    fold = place_block([transform.labelled(part)], scaler, kept, device)
    answers = prepared.train.answers(held)[part.weight > 0]
    run = partial(_predict, estimator.network.to(device).eval(), fold.static)
    whole = run(fold.x)

    def in_own_units(scaled: Tensor) -> np.ndarray:
        """Map (N, T, K) to the scored answers' values, (a, K)."""
        values = scaled[fold.weight > 0].cpu().numpy().astype(np.float64)
        return transform.inverse(values * scaler.y_scale + scaler.y_center, prepared.train, answers)

    def mean_distance(one: Tensor, other: Tensor) -> float:
        return float(np.abs(in_own_units(one) - in_own_units(other)).mean())

    points = []
    for steps in (*(k for k in HISTORY if k < kept), kept):
        found = truncated(run, fold.x, steps)
        points.append(
            TruncationPoint(steps=steps, error=mean_distance(found, fold.y), distance=mean_distance(found, whole))
        )
    return points


def _predict(network: nn.Module, static: Tensor, x: Tensor) -> Tensor:
    """(N windows, k, F), equally many of each series, -> (N windows, k, K) scaled predictions. static: (N, S)."""
    head: Any = network.head
    statics = static.repeat_interleave(len(x) // len(static), dim=0)
    raw = torch.cat([head(network(x[part], statics[part], None).float()) for part in chunks(len(x), WINDOWS)])
    found: Tensor = head.predict(raw, torch.ones_like(raw[..., 0], dtype=torch.bool))
    return found
