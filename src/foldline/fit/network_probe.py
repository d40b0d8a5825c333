"""Passes of a network over series of a store, of any size up to the real one: what an estimate of its time measures.

Series are taken from those that most steps are in; shorter ones are evenly chosen steps of them, so that known starts
and scored steps keep their shares, and more than fit into a moment's memory are copies.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foldline.core.distinct import distinct
from foldline.data.store import Store
from foldline.fit import datasets, masked_steps, network_build, patches, scaler, step_graphs
from foldline.fit.augment import augment
from foldline.fit.batch import Batch
from foldline.fit.counted_work import grows_faster
from foldline.fit.epoch_shapes import Shape
from foldline.fit.labelled_series import labelled_series
from foldline.fit.pass_time import Size
from foldline.fit.pretraining import PretrainConfig
from foldline.fit.train_config import TrainConfig
from foldline.fit.trainer import reseed
from foldline.fit.training_state import State
from foldline.fit.training_step import predict_batch, training_step, weight_of

MOST_ROWS = 1 << 19  # of the series that passes are made of: some 100 MB with 50 features
SCALED_BY = 1 << 16  # rows that the scaler is fitted on: a pass takes as long whatever the scale
MOST_SERIES = 64


class NetworkProbe:
    """A network as it is before its first step, and some series to run it on."""

    def __init__(
        self,
        name: str,
        params: dict[str, Any],
        config: TrainConfig,
        store: Store,
        every: list[Shape],
        masked: PretrainConfig | None = None,
    ) -> None:
        """Make it on the device of the config.

        Args:
            every: shapes of the series (epoch_shapes.py).
            masked: it learns inputs that are hidden (masked_steps.py).

        Raises:
            UserError: the device's memory is full.
        """
        self.config, self.device = config, torch.device(config.device_used)
        fitted = scaler.fit("standard", store, spread(store, SCALED_BY), 0)
        self.shape = max(every, key=lambda shape: shape.steps * shape.count)
        chosen = spread(store, MOST_ROWS, MOST_SERIES, self._of_shape(every, patches.steps(store, config.patches)))
        part = patches.pooled(labelled_series(store, chosen), config.patches)
        self.fold = datasets.to_train([part], fitted, config, 0, self.device)
        count = min(MOST_SERIES, max(1, MOST_ROWS // self.shape.steps), len(self.fold))
        index = np.linspace(0, len(self.fold) - 1, count).astype(np.int64)
        self.base = max(next(self.fold.batches(index, count)), key=lambda batch: batch.x.shape[0] * batch.x.shape[1])
        torch.manual_seed(0)
        network = network_build.network_of(name, params, store, fitted)
        self.pretext = None
        if masked is not None:
            masked_steps.with_numbers_head(network, store.channels, len(store.levels))
            self.pretext = partial(masked_steps.hide, channels=self.fold.channels, config=masked)
        self.state = State(network, config, self.device)
        self._captured: set[Size] = set()  # of train.graphs

    def _of_shape(self, every: list[Shape], steps: np.ndarray) -> np.ndarray:
        """Return which series are of the chosen shape, (N,) bool; those longer than the last one are cropped or cut.

        steps: (N,) of each series.
        """
        shorter = max((shape.steps for shape in every if shape.steps < self.shape.steps), default=0)
        last = self.shape.steps == max(shape.steps for shape in every)
        return np.asarray((steps > shorter) & ((steps <= self.shape.steps) | last))

    @property
    def quadratic(self) -> bool:
        """Whether its work may grow with the square of a series' steps."""
        network = self.state.network.eval()
        return grows_faster(lambda steps: predict_batch(network, self.config, self.batch(Size(2, steps))))

    def batch(self, size: Size) -> Batch:
        """Return series of so many steps, from those there are, the shortest and the longest among them."""
        have, steps = self.base.x.shape[:2]
        series = torch.arange(size.items, device=self.device) % have
        if size.items < have:
            series = torch.linspace(0, have - 1, size.items, device=self.device).round().long()
        if self.base.mask is not None:
            series = self.base.mask.sum(dim=1).argsort()[series]
        step = torch.linspace(0, steps - 1, size.length, device=self.device).round().long()
        tensors = {name: value for name, value in vars(self.base).items() if isinstance(value, Tensor)}
        cut: dict[str, Any] = {name: value[series.to(value.device)] for name, value in tensors.items()}
        for name in ("x", "mask", "y", "weight", "scored", "known", "auxiliary"):
            if name in cut and cut[name].shape[1] == steps:
                cut[name] = cut[name].index_select(1, step)
        cut["mask"], cut["lengths"] = self._mask(cut.get("mask"), size)
        return replace(self.base, **cut)

    def _mask(self, mask: Tensor | None, size: Size) -> tuple[Tensor | None, Tensor | None]:
        """Return which steps are real, and how many: said wherever some series of the shape is shorter."""
        if self.shape.is_full:
            return None, None
        if mask is None:
            mask = torch.ones(*size, dtype=torch.bool, device=self.device)
        return mask, mask.sum(dim=1).cpu()

    def train(self, size: Size) -> None:
        """Take a training step, as the trainer does."""
        self.state.network.train()
        if self.state.graphs is not None and size not in self._captured:  # the first steps of a size are none
            self._captured.add(size)
            for _ in range(step_graphs.WARM_UP):
                self.train(size)
        reseed(self.device, *size)
        batch = augment(self.batch(size), self.config.augment, self.fold)
        batch = batch if self.pretext is None else self.pretext(batch)
        loss = training_step(self.state, self.config, [batch], self.config.lr)
        self.state.add_loss(loss, weight_of([batch]))
        self._wait()

    def predict(self, size: Size) -> None:
        """Predict series, one view of each."""
        predict_batch(self.state.network.eval(), self.config, self.batch(size)).cpu()

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # a GPU's work is only queued by then


def spread(store: Store, rows: int, most: int | None = None, among: np.ndarray | None = None) -> np.ndarray:
    """Choose series with scored answers, evenly over the store: the first ones may be of other lengths. (n,)

    Args:
        rows: that they may have together, at least one series; by the longest.
        most: how many at most; None: any number.
        among: (N,) bool, series to choose from, if they have answers; None: all.
    """
    scored = distinct(store.series_of_answer[store.scored])
    if among is not None and among[scored].any():
        scored = scored[among[scored]]
    count = max(1, min(len(scored), rows // max(1, int(store.lengths[scored].max())), most or len(scored)))
    return np.asarray(scored[np.unique(np.linspace(0, len(scored) - 1, count).astype(np.int64))])
