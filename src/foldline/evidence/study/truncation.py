"""How much of the past a system uses: its error when it begins anew k steps before each answer.

Source: Miller & Hardt 2019, https://arxiv.org/abs/1805.10369 (section 4). Only of systems that look back and nowhere
else: cut, they are a feed-forward net on their last k inputs. Features are made before the cut, so one that sums up the
past (family `integral`) brings it along; `./run.sh bench truncation` has none of those.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foldline.experiment.preparation import Prepared
from foldline.fit import trainer
from foldline.fit.device_dataset import place
from foldline.fit.labelled_series import labelled_series
from foldline.fit.network_cell import NetworkCell
from foldline.models import MODELS
from foldline.models.probes import truncated
from foldline.run import cells
from foldline.run.cells import ModelConfig

HISTORY = (1, 2, 5, 10, 20, 40)  # k; all steps of a series come last
SERIES, TOGETHER = 64, 1024  # held-out series that it is measured on; windows that go through the network at once


@dataclass(frozen=True, kw_only=True)
class TruncationPoint:
    """Held-out scored steps, each answered from the last `steps` inputs."""

    steps: int  # k
    error: float  # mean absolute error, in the target's unit
    distance: float  # mean absolute distance to the whole system's answers, likewise


def looks_back(model: ModelConfig) -> bool:
    """Whether it declares that it looks back, without end, and never ahead."""
    config = MODELS[model.name].config(**model.params)
    return getattr(config, "reach", None) == (math.inf, 0)


@torch.no_grad()
def curve(prepared: Prepared) -> list[TruncationPoint]:
    """Of a system's first cell, which is finished; the last one is cut nowhere: its distance is 0."""
    cell = prepared.plan[0]
    device = torch.device(cell.model.train.device_used)
    trainer.prepare(cell.model.train, device)
    estimator = cells.load(cell, prepared.train)
    assert isinstance(estimator, NetworkCell) and estimator.network is not None, "a study's systems are networks"
    held = np.flatnonzero(prepared.folds.assignment == cell.fold)[:SERIES]
    fold = place([labelled_series(prepared.train, held)], estimator.scaler, estimator.steps, device)
    run = partial(_answers, estimator.network.to(device).eval(), fold.static)
    whole, scale = run(fold.x), torch.from_numpy(estimator.scaler.y_scale).to(fold.y)

    def apart(one: Tensor, other: Tensor) -> float:
        return float(((one - other).abs() * scale)[fold.weight > 0].mean())

    cuts = []
    for steps in (*(k for k in HISTORY if k < estimator.steps), estimator.steps):
        found = truncated(run, fold.x, steps)
        cuts.append(TruncationPoint(steps=steps, error=apart(found, fold.y), distance=apart(found, whole)))
    return cuts


def _answers(network: nn.Module, static: Tensor, x: Tensor) -> Tensor:
    """(N windows, k, F), as many of each series, -> predictions (N windows, k, K), scaled. static: (N, S)."""
    head: Any = network.head
    statics = static.repeat_interleave(len(x) // len(static), dim=0)
    parts = [slice(first, first + TOGETHER) for first in range(0, len(x), TOGETHER)]
    raw = torch.cat([head(network(x[part], statics[part], None).float()) for part in parts])
    found: Tensor = head.predict(raw, torch.ones_like(raw[..., 0], dtype=torch.bool))
    return found
