"""How long a training step takes here: measured, for the choice of a precision and for `--dry-run`'s estimate."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from foldline import memory, scaler, trainer
from foldline.augment import augment
from foldline.recipe import TrainConfig
from foldline.resident import kept_steps, lesson, place
from foldline.state import State
from foldline.store import Dense

STEPS, TRIALS = 2, 3  # steps timed at once; the fastest of so many trials counts


def seconds_a_step(name: str, params: dict[str, Any], config: TrainConfig, dense: Dense) -> float:
    """Seconds that a training step of a network takes, on the first series of a store."""
    device = torch.device(config.device_used)
    trainer.prepare(config, device)
    taught = lesson(dense, np.arange(min(config.batch, len(dense.lengths))))
    fitted = scaler.fit("standard", dense, np.arange(min(1000, len(dense.lengths))), 0)
    fold = place([taught], fitted, kept_steps(config.margin, dense), device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = trainer.build(name, params, len(dense.names), dense.levels, fitted.targets).to(device)
    state = State(network, config, device)
    batch = augment(fold.batch(torch.arange(len(fold), device=device)), config.augment, fold)

    def step() -> None:
        memory.fitted(partial(trainer.backward, state, config, batch), state, config, batch)
        state.loss_scale.unscale_(state.optimiser)
        nn.utils.clip_grad_norm_(network.parameters(), config.clip or 1.0)
        state.loss_scale.step(state.optimiser)
        state.loss_scale.update()

    step()
    return min(_timed(step, device) for _ in range(TRIALS))


def _timed(step: Any, device: torch.device) -> float:
    began = time.perf_counter()
    for _ in range(STEPS):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - began) / STEPS
