"""Training steps on any device: a tiny network with its data set, and some steps of it as the trainer makes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lab import INSIDE, PARAMS, TRAIN, small_store
from torch import Tensor

from foldline.data.store import Store
from foldline.fit import datasets, labelled_series, network_build, scaler, trainer
from foldline.fit.augment import augment
from foldline.fit.batch import Batch
from foldline.fit.datasets import Dataset
from foldline.fit.process_state import use_settings
from foldline.fit.train_config import TrainConfig
from foldline.fit.training_state import State
from foldline.fit.training_step import training_step


@dataclass
class Lesson:
    """A network before its first step, and what it learns from."""

    state: State
    config: TrainConfig
    fold: Dataset

    def batches(self, epoch: int = 0) -> Iterator[list[Batch]]:
        """The batches of an epoch, augmented."""
        order = trainer.shuffled(self.fold.block_of, self.config.batch, 0, epoch)
        for step, parts in enumerate(self.fold.batches(order, self.config.batch)):
            trainer.reseed(self.fold.device, 0, epoch, step)
            yield [augment(part, self.config.augment, self.fold) for part in parts]

    def step(self, batch: list[Batch]) -> Tensor:
        """Take one training step; the loss before it, ()."""
        self.state.network.train()
        return training_step(self.state, self.config, batch, self.config.lr)

    def weights(self) -> dict[str, Tensor]:
        """The network's weights, on the CPU."""
        return {name: value.detach().cpu().clone() for name, value in self.state.network.state_dict().items()}


def full_store(series: int = 12, steps: int = 6) -> Store:
    """Series of one length: none is padded."""
    data = small_store(series=series * steps, steps=steps)
    longest = np.flatnonzero(data.lengths == steps)
    rows = data.rows(longest)
    return Store(
        **{
            **{name: getattr(data, name) for name in Store.__dataclass_fields__},
            "x": np.asarray(data.x)[rows],
            "y": np.asarray(data.y)[rows],
            "scored": data.scored[rows],
            "known": data.known[rows],
            "lengths": data.lengths[longest],
            "static": data.static[longest],
        }
    )


def lesson(
    device: torch.device,
    train: TrainConfig = TRAIN,
    name: str = "hybrid",
    params: dict[str, Any] = PARAMS,
    data: Store | None = None,
    series: np.ndarray = INSIDE,
) -> Lesson:
    """Make a network and its data set on a device, and set the process as a cell does."""
    data = small_store(static=True) if data is None else data
    use_settings(train, device)
    fitted = scaler.fit("robust", data, series, 0)
    fold = datasets.to_train([labelled_series.labelled_series(data, series)], fitted, train, 0, device)
    torch.manual_seed(0)
    return Lesson(State(network_build.network_of(name, params, data, fitted), train, device), train, fold)
