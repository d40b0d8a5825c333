"""How long a network's training steps and predictions take here: measured, for a choice of precision and estimates."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from foldline.data.store import Store
from foldline.fit import pass_time
from foldline.fit.epoch_shapes import Shape, epoch_s, shapes
from foldline.fit.network_probe import NetworkProbe
from foldline.fit.pass_time import Clock, PassTime, Size
from foldline.fit.pretraining import PretrainConfig
from foldline.fit.process_state import use_settings
from foldline.fit.stitching import PASS
from foldline.fit.train_config import TrainConfig


def seconds_a_step(name: str, params: dict[str, Any], config: TrainConfig, store: Store) -> float:
    """Measure the seconds that a training step of a network takes: the mean over an epoch of all series of a store.

    Raises:
        UserError: the device's memory is full.
    """
    every = shapes(config, store, np.arange(len(store.lengths)))
    with _as_configured(config):
        measured = _training(NetworkProbe(name, params, config, store, every), time.perf_counter)
    count = sum(shape.count for shape in every)
    batch = min(config.batch, count)
    return epoch_s(measured, every, int(batch)) / math.ceil(count / batch)


@dataclass(frozen=True)
class NetworkTime:
    """How long passes of a network take."""

    training: PassTime
    predicting: PassTime  # of one view of each series


def of_network(
    name: str,
    params: dict[str, Any],
    config: TrainConfig,
    store: Store,
    every: list[Shape],
    masked: PretrainConfig | None = None,
    clock: Clock = time.perf_counter,
) -> NetworkTime:
    """Measure training steps and predictions of a network, on series from all over a store.

    Args:
        every: shapes of the series that it is trained on.
        masked: it learns inputs that are hidden.

    Raises:
        UserError: the device's memory is full.
    """
    with _as_configured(config):
        probe = NetworkProbe(name, params, config, store, every, masked)
        return NetworkTime(_training(probe, clock), _predicting(probe, clock))


@contextmanager
def _as_configured(config: TrainConfig) -> Iterator[None]:
    """Set the process as for training; a measurement must not change what is drawn after it: dropout draws, too."""
    device = torch.device(config.device_used)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        use_settings(config, device)
        yield


def _training(probe: NetworkProbe, clock: Clock) -> PassTime:
    largest = _largest(probe, probe.config.batch)
    if probe.device.type != "cpu":  # a whole step: it must fit the memory, and takes a moment
        return pass_time.measure(probe.train, largest, clock=clock, first=largest)
    return pass_time.measure(probe.train, largest, probe.quadratic, clock)


def _predicting(probe: NetworkProbe, clock: Clock) -> PassTime:
    largest = _largest(probe, PASS * probe.config.batch)
    return pass_time.measure(probe.predict, largest, probe.quadratic, clock)


def _largest(probe: NetworkProbe, count: int) -> Size:
    return Size(max(1, min(count, math.ceil(probe.shape.count))), probe.shape.steps)
