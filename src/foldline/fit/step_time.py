"""How long a training step takes here: measured, for the choice of a precision and for `--dry-run`'s estimate."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from foldline.data.store import Store
from foldline.fit import network_cell, out_of_memory, scaler, trainer
from foldline.fit.augment import augment
from foldline.fit.device_dataset import kept_steps, place
from foldline.fit.labelled_series import labelled_series
from foldline.fit.train_config import TrainConfig
from foldline.fit.training_state import State

STEPS, TRIALS = 2, 3  # steps timed at once; the fastest of so many trials counts
ENOUGH_S = 1.0  # a single step that takes so long is its own measurement
CPU_BATCH = 64  # series of a step on a CPU at most; with more than these its time grows as their number does


def seconds_a_step(name: str, params: dict[str, Any], config: TrainConfig, dense: Store) -> float:
    """Seconds that a training step of a network takes, on the first series of a store.

    On a CPU a large batch is measured in small and multiplied: a step of the gold recipe would take half a minute.
    """
    device = torch.device(config.device_used)
    trainer.prepare(config, device)
    series = min(config.batch, CPU_BATCH if device.type == "cpu" else config.batch, len(dense.lengths))
    taught = labelled_series(dense, np.arange(series))
    fitted = scaler.fit("standard", dense, np.arange(min(1000, len(dense.lengths))), 0)
    fold = place([taught], fitted, kept_steps(config.margin, dense), device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = network_cell.network_of(name, params, dense, fitted).to(device)
    state = State(network, config, device)
    batch = augment(fold.batch(torch.arange(len(fold), device=device)), config.augment, fold)

    def step() -> None:
        out_of_memory.fitted(partial(trainer.backward, state, config, batch), state, config, batch)
        state.loss_scale.unscale_(state.optimiser)
        nn.utils.clip_grad_norm_(network.parameters(), config.clip or 1.0)
        state.loss_scale.step(state.optimiser)
        state.loss_scale.update()

    step()
    once = _timed(step, device, 1)
    seconds = once if once > ENOUGH_S else min(_timed(step, device, STEPS) for _ in range(TRIALS))
    return seconds * min(config.batch, len(dense.lengths)) / series


def _timed(step: Callable[[], None], device: torch.device, steps: int) -> float:
    began = time.perf_counter()
    for _ in range(steps):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - began) / steps
