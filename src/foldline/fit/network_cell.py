"""A network as a cell: built by its name, fitted on labelled series, saved, loaded; trainer.py has the loop.

Nothing here looks at the held-out fold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from foldline import models
from foldline.core import files
from foldline.core.chunks import chunks
from foldline.core.errors import UserError
from foldline.data import on_disk
from foldline.data.metrics import Metric
from foldline.data.store import Store
from foldline.fit import (
    batch_statistics,
    datasets,
    masked_steps,
    patches,
    ranks,
    sampling,
    step_graphs,
    stitching,
    training_step,
)
from foldline.fit.augmentation import views
from foldline.fit.batch import Batch
from foldline.fit.divergence import Diverged
from foldline.fit.labelled_series import LabelledSeries, unlabelled_series
from foldline.fit.latest_watched import latest_watched
from foldline.fit.padded_lengths import block_lengths, kept_steps
from foldline.fit.precision import autocast
from foldline.fit.pretraining import PretrainConfig
from foldline.fit.process_state import use_settings, with_settings
from foldline.fit.scaler import Scaler
from foldline.fit.stitching import AnyBlock
from foldline.fit.target_transform import PLAIN, TargetTransform
from foldline.fit.train_config import TrainConfig
from foldline.fit.trainer import Emit, train
from foldline.fit.training_state import State
from foldline.fit.watched_score import watch
from foldline.models.contract import Targets
from foldline.models.heads import joint
from foldline.models.heads.joint import JointHead
from foldline.models.ops import covariates, entities, pairs

PART_ROWS = 1 << 22  # that are predicted together, where series are of one length
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
        config, device = self.train, torch.device(self.train.device_used)
        use_settings(config, device)
        kept, held = inner_split(labelled_sets, config.watch.share, seed)
        if taught is not None:
            kept[0] = kept[0].relabelled(taught)
        inside = labelled_sets[0].series
        shown = [patches.pooled(part, config.patches, inside) for part in held]  # what is watched is scored by rows
        kept = [
            patches.pooled(part, config.patches, part.series if number else inside) for number, part in enumerate(kept)
        ]
        stores = [part.store for part in kept]
        self.lengths = block_lengths(stores, config.margin, config.windows.predicted)
        self.kept = max(kept_steps(config.margin, store) for store in stores)
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
        watched = None
        if held:
            assert self.metric is not None, "watching needs a metric"
            seen = datasets.to_predict(
                self.transform.labelled(shown[0]), self.scaler, self.lengths, self.kept, config, device
            )
            watched = watch(held[0], seen, self.scaler, self.transform, self.metric, shown[0])
        torch.manual_seed(seed)  # of the first weights; each step is seeded again (trainer.py)
        network = network_of(self.name, self.params, labelled_sets[0].store, self.scaler)
        trained = block_lengths(stores, config.margin, config.windows.length)
        batch_statistics.refuse(f"model {self.name}", network, config, trained)
        if config.graphs:
            step_graphs.refuse(network, padded=any(not block.is_full for block in fold.blocks))
        if start is not None:
            network.load_state_dict(safetensors.torch.load_file(start / "weights.safetensors"))
        own, pretext = None, None
        if masked is not None:
            store = labelled_sets[0].store
            own = masked_steps.with_numbers_head(network, store.channels, len(store.levels))
            pretext = partial(masked_steps.hide, channels=fold.channels, config=masked)
        state = State(network, config, device)
        if config.compile:
            compile_parts(network)
        if state.load(folder):
            emit("resumed", epoch=state.counters.epoch, step=state.counters.step, history=state.counters.history)
        _train_together(state, config)
        try:
            steps = train(state, config, seed, fold, watched, emit, folder, sampler, pretext)
            yield from with_settings(steps, config, device)
        except Diverged as error:
            raise UserError(error.message(self.name, kept)) from error
        self.network = without_heads_beside(state.final)
        if own is not None:
            self.network.head = own.to(device)

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

    @torch.no_grad()
    def apply(self, data: Store, series: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Predict as `predict` does, by an awake network; nothing of it or of the process changes, in any thread."""
        assert self.network is not None, "fit or load first"
        if not len(series):  # a cell that holds out nothing; not every block takes an empty batch
            value, spread = self.apply(data, np.arange(1))
            return value[:0], None if spread is None else spread[:0]
        config = self.train.patches
        if not config.used:
            return self._predict_in_parts(data, series)
        value, spread = self._predict(patches.pooled(unlabelled_series(data, series), config))
        if data.on_series:
            return value, spread
        up = partial(patches.up, store=data, series=series, config=config)
        return up(value), None if spread is None else up(spread)

    def _predict_in_parts(self, data: Store, series: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Predict series, many of one length part by part: in the same passes, but labels take no more memory."""
        whole_passes = max(1, PART_ROWS // (data.longest * stitching.PASS * self.train.batch))
        size = whole_passes * stitching.PASS * self.train.batch
        if self.train.windows.used or len(series) <= size or (data.lengths[series] != data.longest).any():
            return self._predict(unlabelled_series(data, series))
        value, spread, first = on_disk.zeros((int(data.answers_of_series[series].sum()), data.targets)), None, 0
        for part in chunks(len(series), size):
            own, own_spread = self._predict(unlabelled_series(data, series[part]))
            value[first : first + len(own)] = own
            if own_spread is not None:
                spread = on_disk.zeros(value.shape) if spread is None else spread
                spread[first : first + len(own)] = own_spread
            first += len(own)
        return value, spread

    def _predict(self, part: LabelledSeries) -> tuple[np.ndarray, np.ndarray | None]:
        """Predict series as the network sees them; returns what `predict` does."""
        assert self.network is not None, "fit or load first"
        device, data, series = torch.device(self.train.device_used), part.store, part.series
        part = self.transform.labelled(part)
        lengths, kept = self._lengths_for(data), self._kept_for(data)
        fold = datasets.to_predict(part, self.scaler, lengths, kept, self.train, device)
        found = stitching.predicted(fold, self._pass, part, self.train)
        scale, count, answers = self.scaler.y_scale, data.targets, data.answers(series)
        value = found[:, :count]
        value *= scale
        value += self.scaler.y_center
        own = self.transform.inverse(value, data, answers)
        if found.shape[1] == count:
            return own, None
        return own, self.transform.spread(value, found[:, count:] * scale, data, answers)

    def _lengths_for(self, data: Store) -> tuple[int, ...]:
        """Return the lengths of training, so that predictions do not depend on a file's other series.

        There is a longer one only where a later step is scored.
        """
        needed, windows = kept_steps(self.train.margin, data), self.train.windows
        needed = min(needed, windows.predicted) if windows.used else needed
        return self.lengths if needed <= self.lengths[-1] else (*self.lengths, needed)

    def _kept_for(self, data: Store) -> int:
        """Return how many steps of a series are predicted, likewise."""
        return max(self.kept or self.lengths[-1], kept_steps(self.train.margin, data))

    def _pass(self, block: AnyBlock, index: Tensor) -> Tensor:
        """Predict some series of a block: (b, T, K) scaled, or (b, T, 2 K) where the head estimates spreads."""
        batch, tta = block.batch(index), self.train.tta
        if not tta.used:
            return self._one_view(batch).cpu()
        return views.averaged(self._one_view, batch, tta, block.channels).cpu()

    def _one_view(self, batch: Batch) -> Tensor:
        """Predict a batch as it is, likewise."""
        assert self.network is not None
        head = self.network.head
        with autocast(self.train.precision, batch.x.device):
            hidden = self.network(batch.x, batch.static, batch.mask)
        raw = head(hidden.float(), batch.mask)  # type: ignore[operator]
        value, spread = head.predict(raw, batch.scored), head.spread(raw)  # type: ignore[union-attr, operator]
        return torch.cat([value] if spread is None else [value, spread], dim=-1)

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
        self.network = network_of(self.name, without_beside(self.params), data, self.scaler)
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


def with_known_start(targets: Targets, store: Store) -> Targets:
    """Add to a network's targets how many leading steps of them are given in this store."""
    return replace(targets, observed=store.observed)


def network_of(name: str, params: dict[str, Any], data: Store, scaler: Scaler) -> nn.Module:
    """Build a network for a store's series as a fold's scaler scales them, and show it which features hold time.

    Raises:
        UserError: see `build`; or it reads a feature that is not there.
    """
    targets = with_known_start(scaler.targets, data)
    network = build(name, params, data.channels, data.levels, targets, data.names, data.places)
    entities.set_scales(network, scaler.center.tolist(), scaler.scale.tolist())
    try:
        covariates.set_clocks(network, data.names, scaler.center.tolist(), scaler.scale.tolist())
        pairs.set_columns(network, data.names, scaler.center.tolist(), scaler.scale.tolist(), data.channels)
    except ValueError as error:
        raise UserError(f"model {name}: {error}") from error
    return network


def build(
    name: str,
    params: dict[str, Any],
    features: int,
    levels: tuple[int, ...],
    targets: Targets,
    names: Sequence[str] = (),
    places: Mapping[str, int] | None = None,
) -> nn.Module:
    """Build a network by its name in the registry and its table.

    Args:
        features: of its input.
        levels: of static columns.
        names: of the features, for networks that tell them apart.
        places: number of known values of each feature that is the place of one among them (Store.places).

    Raises:
        UserError: the model refuses its parts, for instance a head that needs a grid where the targets have none.
    """
    part = models.MODELS[name]
    more = {"names": names, "places": places or {}} if getattr(part.make, "takes_names", False) else {}
    try:
        network: nn.Module = part.make(part.config(**params), features, levels, targets, **more)
    except ValueError as error:
        raise UserError(f"model {name}: {error}") from error
    head = params.get("head")
    if isinstance(head, dict) and joint.split_table(head)[1] and not isinstance(network.head, JointHead):
        raise UserError(
            f"model {name}: its head has a form of its own, which takes no head beside it: leave out beside."
        )
    return network


def without_beside(params: dict[str, Any]) -> dict[str, Any]:
    """Return a network's table without heads on auxiliary targets: as it predicts."""
    head = params.get("head")
    return {**params, "head": joint.split_table(head)[0]} if isinstance(head, dict) else params


def without_heads_beside(network: nn.Module) -> nn.Module:
    """Drop, in place, a trained network's heads on auxiliary targets: nothing that predicts needs them."""
    if isinstance(network.head, JointHead):
        network.head = network.head.main
    return network


def compile_parts(network: nn.Module) -> None:
    """Compile, in place, the blocks that declare it (`compiles`).

    Never in torch's mode "reduce-overhead": its CUDA graphs keep gradients and outputs where their next run overwrites
    them, which breaks a batch of several passes and cells in turn. train.graphs takes whole steps, and refuses these.
    """
    for module in network.modules():
        if getattr(module, "compiles", False):
            module.compile()


def _drawn(store: Store) -> str:
    """Say what is drawn to be watched."""
    if store.units is not None:
        return "clusters of similar series (folds.similar)"
    return "series" if store.group_numbers is None else "groups"


def inner_split(
    labelled_sets: Sequence[LabelledSeries], share: float, seed: int
) -> tuple[list[LabelledSeries], list[LabelledSeries]]:
    """Draw whole series of the first set, whose score is watched; return the sets to train on, and those series.

    Series that are held together (data.group, folds.similar) stay so: whole groups are drawn. Where folds go by time,
    nothing is drawn: the latest series are watched.

    Args:
        share: of the first set's series (or groups), above 0 and below 1; 0: none.

    Raises:
        UserError: fewer than 2 of them have scored rows.
    """
    if not share:
        return list(labelled_sets), []
    first = labelled_sets[0]
    if first.spans is not None:
        kept, held = latest_watched(first, first.spans, share)
        return [first.subset(kept), *labelled_sets[1:]], [first.subset(held)]
    groups = first.store.held_together
    units = np.arange(len(first.series))  # (n,) what is drawn of each series: itself, or its group
    if groups is not None:
        units = np.unique(groups[first.series], return_inverse=True)[1]
    count = int(units.max(initial=-1)) + 1
    drawn = np.random.default_rng([seed, 1]).permutation(count)  # 1: another stream than the trainer's [seed, 2]
    owners = np.repeat(units, first.store.answers_of_series[first.series])
    counted = np.bincount(owners, first.weight, count) > 0
    scored = np.flatnonzero(counted[drawn])  # among those drawn
    if len(scored) < 2:
        raise UserError(
            f"train.watch.share = {share} needs at least 2 training {_drawn(first.store)} with "
            f"scored steps, but there is {len(scored)}. Set train.watch.share = 0."
        )
    inside = np.zeros(count, dtype=bool)
    least, most = scored[0] + 1, scored[-1]  # so that either side has scored rows
    inside[drawn[: min(max(least, round(share * count)), most)]] = True
    return [first.subset(~inside[units]), *labelled_sets[1:]], [first.subset(inside[units])]
