"""A network as a cell: fitted on labelled series, saved, loaded.

network_build.py builds it, trainer.py has the loop, network_predictor.py predicts.
Nothing here looks at the held-out fold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn

from foldline.core import files
from foldline.core.errors import UserError
from foldline.data.metrics import Metric
from foldline.data.store import Store
from foldline.fit import (
    batch_statistics,
    datasets,
    masked_steps,
    network_build,
    patches,
    ranks,
    sampling,
    step_graphs,
    training_step,
    watched_split,
)
from foldline.fit.datasets import Dataset
from foldline.fit.divergence import Diverged
from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.network_predictor import NetworkPredictor
from foldline.fit.padded_lengths import block_lengths, kept_steps
from foldline.fit.pretraining import PretrainConfig
from foldline.fit.process_state import use_settings, with_settings
from foldline.fit.scaler import Scaler
from foldline.fit.target_transform import PLAIN, TargetTransform
from foldline.fit.train_config import TrainConfig
from foldline.fit.trainer import Emit, train
from foldline.fit.training_state import State
from foldline.fit.watched_score import WatchedSeries, watch

CROPPED = " of "  # in the metadata of weights: lengths of windows, and of series. One entry: safetensors shuffles them


class NetworkCell:
    """A network with its fold's scaler and transform of the targets: fit, predict, save, load."""

    def __init__(
        self,
        name: str,
        params: dict[str, Any],
        train: TrainConfig,
        scaler: Scaler,
        metric: Metric | None = None,
        transform: TargetTransform = PLAIN,
    ) -> None:
        """Make it, not fitted yet.

        Args:
            scaler: of features and of transformed targets.
            metric: what [train.watch] scores by; only needed where it keeps series out of training.
        """
        self.name, self.params, self.train, self.metric = name, params, train, metric
        self.scaler, self.transform = replace(scaler, fill=train.fill), transform
        self.network: nn.Module | None = None
        # Lengths that it predicts series at, or windows of them, ascending: each is padded to the next one.
        self.lengths: tuple[int, ...] = ()
        self.kept = 0  # steps of a series that training saw, the rest was cropped; 0: the last of these lengths
        self.at_once = 1  # passes side by side on a CPU that predict; their number changes no bit

    def fit(
        self,
        labelled_sets: Sequence[LabelledSeries],
        seed: int,
        emit: Emit,
        folder: Path,
        start: Path | None = None,
        masked: PretrainConfig | None = None,
        taught: np.ndarray | None = None,
    ) -> Iterator[None]:
        """Fit on labelled series and on nothing else; pause after every step.

        Args:
            labelled_sets: the fold's series, and pseudo-labelled ones; [train.watch] keeps series of the first set out.
            folder: where checkpoints go; training is resumed from one that is there.
            start: folder of a pre-trained cell whose weights are the first ones; None: they are drawn from the seed.
            masked: it learns no target, but to tell inputs that are hidden; its head stays as it was drawn.
            taught: (A, K) labels of the first set's store to learn instead of its own; what is watched keeps its own.

        Raises:
            UserError: training diverged, the device's memory is full, or the model refuses its parts.
            KeyboardInterrupt: interrupted; a checkpoint was written.
        """
        config, device, store = self.train, torch.device(self.train.device_used), labelled_sets[0].store
        use_settings(config, device)
        kept, held = watched_split.inner_split(labelled_sets, config.watch.share, seed)
        if taught is not None:
            kept[0] = kept[0].relabelled(taught)
        inside = labelled_sets[0].series
        shown = [patches.pooled(part, config.patches, inside) for part in held]  # what is watched is scored by rows
        kept = [
            patches.pooled(part, config.patches, part.series if number else inside) for number, part in enumerate(kept)
        ]
        self._take_lengths([part.store for part in kept])
        learned = [self.transform.labelled(part) for part in kept]
        fold = datasets.to_train(
            sampling.reweighed(learned, config.sample),
            self.scaler,
            config,
            seed,
            device,
            lambda sentence: emit("note", text=sentence),
        )
        sampler = sampling.sampler(learned, fold, config.sample, config.epochs)
        watched = self._watched(held[0], shown[0]) if held else None
        network = self._first_network(store, [part.store for part in kept], fold, seed, start)
        own, pretext = None, None
        if masked is not None:
            own = masked_steps.with_numbers_head(network, store.channels, len(store.levels))
            pretext = partial(masked_steps.hide, channels=fold.channels, config=masked)
        state = State(network, config, device)
        if config.compile:
            network_build.compile_parts(network)
        if state.load(folder):
            emit("resumed", epoch=state.counters.epoch, step=state.counters.step, history=state.counters.history)
        _train_together(state, config)
        try:
            steps = train(state, config, seed, fold, watched, emit, folder, sampler, pretext)
            yield from with_settings(steps, config, device)
        except Diverged as error:
            raise UserError(error.message(self.name, kept)) from error
        self.network = network_build.without_heads_beside(state.final)
        if own is not None:
            self.network.head = own.to(device)

    def _take_lengths(self, stores: Sequence[Store]) -> None:
        """Keep the lengths of the series to train on: those that any series is predicted at later."""
        self.lengths = block_lengths(stores, self.train.margin, self.train.windows.predicted)
        self.kept = max(kept_steps(self.train.margin, store) for store in stores)

    def _watched(self, part: LabelledSeries, shown: LabelledSeries) -> WatchedSeries:
        """Make what [train.watch] scores. shown: `part` as the network sees it."""
        assert self.metric is not None, "watching needs a metric"
        learned, device = self.transform.labelled(shown), torch.device(self.train.device_used)
        seen = datasets.to_predict(learned, self.scaler, self.lengths, self.kept, self.train, device)
        return watch(part, seen, self.scaler, self.transform, self.metric, shown)

    def _first_network(
        self, store: Store, stores: Sequence[Store], fold: Dataset, seed: int, start: Path | None
    ) -> nn.Module:
        """Build the network with its first weights, those in the folder `start` if there is one.

        Args:
            store: of the fold's own series. stores: of all sets to train on, and `fold` their dataset.

        Raises:
            UserError: the model refuses its parts, batches like these, or train.graphs.
        """
        config = self.train
        torch.manual_seed(seed)  # of the first weights; each step is seeded again (trainer.py)
        network = network_build.network_of(self.name, self.params, store, self.scaler)
        trained = block_lengths(stores, config.margin, config.windows.length)
        batch_statistics.refuse(f"model {self.name}", network, config, trained)
        if config.graphs:
            step_graphs.refuse(network, padded=any(not block.is_full for block in fold.blocks))
        if start is not None:
            network.load_state_dict(safetensors.torch.load_file(start / "weights.safetensors"))
        return network

    def predict(self, data: Store, series: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Predict every answer of some series: (a, K) float64 in the targets' own units, and its spread or None.

        Cropped rows get the prediction of the last kept one. The spread, (a, K), is the expected absolute error, where
        the head estimates it.
        """
        use_settings(self.train, torch.device(self.train.device_used))
        self.wake()
        return self.apply(data, series)

    def wake(self) -> None:
        """Bring the network to its device, to predict; once before `apply`."""
        assert self.network is not None, "fit or load first"
        self.network.to(torch.device(self.train.device_used)).eval()

    def apply(self, data: Store, series: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Predict as `predict` does, by an awake network; nothing of it or of the process changes, in any thread."""
        return self.predictor.apply(data, series)

    @property
    def predictor(self) -> NetworkPredictor:
        """What predicts with the network as it is now."""
        assert self.network is not None, "fit or load first"
        how = (self.lengths, self.kept, self.at_once)
        return NetworkPredictor(self.network, self.train, self.scaler, self.transform, *how)

    def save(self, folder: Path) -> None:
        """Write weights.safetensors; its metadata holds the lengths that series are padded to, and cropped at."""
        assert self.network is not None, "fit or load first"
        steps = " ".join(map(str, self.lengths))
        if self.train.windows.used:  # else series are cropped at the last one of these
            steps += f"{CROPPED}{self.kept}"
        tensors = {name: value.cpu().contiguous() for name, value in self.network.state_dict().items()}
        with files.atomic(folder / "weights.safetensors") as stream:
            stream.write(safetensors.torch.save(tensors, metadata={"steps": steps}))

    def load(self, folder: Path, data: Store) -> None:
        """Read what `save` wrote. data: any series with the same features."""
        with safetensors.safe_open(folder / "weights.safetensors", framework="pt") as stored:
            steps, _, kept = stored.metadata()["steps"].partition(CROPPED)
            self.lengths, self.kept = tuple(map(int, steps.split())), int(kept or 0)
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  (no mapping)
        params = network_build.without_beside(self.params)
        self.network = network_build.network_of(self.name, params, data, self.scaler)
        self.network.load_state_dict(tensors)


def _train_together(state: State, config: TrainConfig) -> None:
    """Let all processes of train.processes train, from the same checkpoint on.

    Raises:
        UserError: they don't see the same.
    """
    together, place = ranks.of(config.processes), (state.counters.epoch, state.counters.step)
    first = together.from_first(place)
    if together.any(place != first)[0]:
        raise UserError(
            f"train.processes = {config.processes}: the processes see different checkpoints of a cell. runs/ must be "
            "the same folder on all nodes."
        )
    training_step.train_together(state, config, together)
