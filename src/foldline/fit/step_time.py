"""How long a training step takes here: measured, for the choice of a precision and for `--dry-run`'s estimate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from foldline.core.distinct import distinct
from foldline.data.store import Store
from foldline.fit import datasets, network_cell, patches, scaler, step_graphs
from foldline.fit.augment import augment
from foldline.fit.labelled_series import labelled_series
from foldline.fit.process_state import use_settings
from foldline.fit.train_config import TrainConfig
from foldline.fit.training_state import State
from foldline.fit.training_step import training_step

STEPS, TRIALS = 2, 3  # steps timed at once; the fastest of so many trials counts, as noise only ever adds time
ENOUGH_S = 1.0  # a single step that takes so long is its own measurement
CPU_BATCH = 64  # series of a step on a CPU at most; with more than these its time grows as their number does
SCALED_BY = 1000  # series that the scaler is fitted on: a step takes as long whatever the scale


def seconds_a_step(name: str, params: dict[str, Any], config: TrainConfig, store: Store) -> float:
    """Measure the seconds that a training step of a network takes, on series from all over a store.

    On a CPU a large batch is measured in small and multiplied: a step of the gold recipe would take half a minute.

    Raises:
        UserError: the device's memory is full.
    """
    device = torch.device(config.device_used)
    # A measurement must not change what is drawn after it: augmentation and dropout draw, too.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        use_settings(config, device)
        return _seconds_a_step(name, params, config, store, device)


def _seconds_a_step(
    name: str, params: dict[str, Any], config: TrainConfig, store: Store, device: torch.device
) -> float:
    count = len(store.lengths)
    series = min(config.batch, CPU_BATCH if device.type == "cpu" else config.batch, count)
    fitted = scaler.fit("standard", store, spread(store, SCALED_BY), 0)
    part = patches.pooled(labelled_series(store, spread(store, series)), config.patches)
    fold = datasets.to_train([part], fitted, config, 0, device)
    chosen = np.linspace(0, len(fold) - 1, min(series, len(fold))).astype(np.int64)  # of series, or their windows
    torch.manual_seed(0)
    network = network_cell.network_of(name, params, store, fitted)
    state = State(network, config, device)
    batch = [augment(part, config.augment, fold) for part in next(fold.batches(chosen, series))]
    state.network.train()
    step = partial(training_step, state, config, batch, config.lr)
    for _ in range(step_graphs.WARM_UP + 2 if config.graphs else 1):  # the first ones warm up, one captures
        step()
    once = _timed(step, device, 1)
    seconds = once if once > ENOUGH_S else min(_timed(step, device, STEPS) for _ in range(TRIALS))
    return seconds * min(config.batch, math.ceil(datasets.count_in_training(config, store, count))) / len(chosen)


def spread(store: Store, most: int) -> np.ndarray:
    """Choose series with scored answers, evenly over the store: the first ones may be of other lengths. (n,)"""
    scored = distinct(store.series_of_answer[store.scored])
    return np.asarray(scored[np.unique(np.linspace(0, len(scored) - 1, min(most, len(scored))).astype(np.int64))])


def _timed(step: Callable[[], object], device: torch.device, steps: int) -> float:
    began = time.perf_counter()
    for _ in range(steps):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)  # a GPU's work is only queued by then
    return (time.perf_counter() - began) / steps
