"""Training one network on one fold: plain tensors on the device, batches by index, one linear loop.

The loop is a generator that pauses after every step: an executor may take turns between several cells on one GPU, each
on a stream of its own, and each comes out as if it had been alone. All draws of a step (order, augmentation, dropout)
are seeded by (seed, epoch, step), so that they depend neither on the other cells nor on where a killed run was resumed.
Nothing here looks at the held-out fold.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

import models
from foldline import files, interrupt, memory
from foldline.augment import augment
from foldline.divergence import Diverged, refuse_failed
from foldline.errors import UserError
from foldline.precision import autocast
from foldline.recipe import TrainConfig, lr_factor
from foldline.resident import Batch, Lesson, Resident, kept_steps, place
from foldline.scaler import Scaler
from foldline.state import State
from foldline.store import Dense
from models import covariates
from models.base import Targets

VERSION = 2  # part of a cell's key: raise it when a change here or in what it imports changes what comes out

_END = object()
Emit = Callable[..., None]  # emit("epoch", epoch=3, of=20, loss=0.1): progress and history


class NetworkCell:
    """A network with its fold's scaler: fit, predict, save, load."""

    def __init__(self, name: str, params: dict[str, Any], train: TrainConfig, scaler: Scaler) -> None:
        self.name, self.params, self.train, self.scaler = name, params, train, scaler
        self.network: nn.Module | None = None
        self.steps = 0  # T it was fitted on, after cropping

    def fit(
        self, lessons: Sequence[Lesson], seed: int, emit: Emit, folder: Path, start: Path | None = None
    ) -> Iterator[None]:
        """Fit on the lessons and on nothing else; pauses after every step.

        Args:
            lessons: the first one's series are the ones to watch, if [train.watch] asks for it.
            folder: where checkpoints go; one that is there already is gone on from.
            start: folder of a pre-trained cell whose weights are the first ones; none: drawn from the seed.
        """
        config, device = self.train, torch.device(self.train.device_used)
        prepare(config, device)
        taught, watched = inner_split(lessons, config.watch.share, seed)
        self.steps = max(kept_steps(config.margin, lesson.dense) for lesson in lessons)
        fold = place(taught, self.scaler, self.steps, device)
        inner = place(watched, self.scaler, self.steps, device) if watched else None
        torch.manual_seed(seed)
        network = self._build(lessons[0].dense).to(device)
        if start is not None:
            network.load_state_dict(safetensors.torch.load_file(start / "weights.safetensors"))
        state = State(network, config, device)
        if config.compile:
            compile_parts(network, device)
        if state.load(folder):
            emit("resumed", epoch=state.counters.epoch, step=state.counters.step, history=state.counters.history)
        try:
            yield from on_own_stream(train(state, config, seed, fold, inner, emit, folder), device)
        except Diverged as error:
            raise UserError(error.told(self.name, taught)) from error
        self.network = state.final

    @torch.no_grad()
    def predict(self, data: Dense, series: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """(n, T, K) float64 predictions, and their spread where the head has one, in the target's own unit.

        The last kept step is repeated over cropped ones.
        """
        assert self.network is not None, "fit or load first"
        if not len(series):  # a cell that holds out nothing; not every block takes a batch of none
            value, spread = self.predict(data, np.arange(1))
            return value[:0], None if spread is None else spread[:0]
        device = torch.device(self.train.device_used)
        prepare(self.train, device)
        self.network.to(device).eval()
        # T is that of training, whatever else is in the file: more only where a step is scored that training has not.
        steps = min(max(self.steps, kept_steps(self.train.margin, data)), data.x.shape[1])
        blank = np.broadcast_to(0.0, (len(series), data.x.shape[1], len(self.scaler.y_center)))  # takes no memory
        asked = Lesson(data, series, blank, data.scored[series].astype(np.float32))
        fold = place([asked], self.scaler, steps, device)
        spreads: list[Tensor] = []

        def predicted(index: Tensor) -> Tensor:
            raw, batch = self._raw(fold, index)
            head: Any = self.network.head  # type: ignore[union-attr]
            value: Tensor = head.predict(raw, batch.weight > 0).cpu()
            spread = head.spread(raw)
            spreads.extend([] if spread is None else [spread.cpu()])
            return value

        values = list(memory.in_parts(predicted, len(series), 4 * self.train.batch, device))
        value = _uncropped(values, data.x.shape[1]) * self.scaler.y_scale + self.scaler.y_center
        return value, _uncropped(spreads, data.x.shape[1]) * self.scaler.y_scale if spreads else None

    def _raw(self, fold: Resident, index: Tensor) -> tuple[Tensor, Batch]:
        assert self.network is not None
        batch = fold.batch(index)
        with autocast(self.train.precision, fold.x.device):
            hidden = self.network(batch.x, batch.static, batch.mask)
        return self.network.head(hidden.float()), batch  # type: ignore[operator]

    def save(self, folder: Path) -> None:
        """weights.safetensors; its metadata holds `steps`."""
        assert self.network is not None, "fit or load first"
        tensors = {name: value.cpu().contiguous() for name, value in self.network.state_dict().items()}
        with files.atomic(folder / "weights.safetensors") as stream:
            stream.write(safetensors.torch.save(tensors, metadata={"steps": str(self.steps)}))

    def load(self, folder: Path, data: Dense) -> None:
        """Read what `save` wrote; `data` tells the number of features."""
        with safetensors.safe_open(folder / "weights.safetensors", framework="pt") as stored:
            self.steps = int(stored.metadata()["steps"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  (no mapping)
        self.network = self._build(data)
        self.network.load_state_dict(tensors)

    def _build(self, data: Dense) -> nn.Module:
        return network_of(self.name, self.params, data, self.scaler)


def network_of(name: str, params: dict[str, Any], data: Dense, scaler: Scaler) -> nn.Module:
    """A network for the series of a store, as a fold's scaler leaves them; it knows where the time stands in x.

    Raises:
        UserError: see `build`; or it reads a feature that is not there.
    """
    network = build(name, params, data.channels, data.levels, data.known_in(scaler.targets))
    try:
        covariates.tell(network, data.names, scaler.center.tolist(), scaler.scale.tolist())
    except ValueError as error:
        raise UserError(f"model {name}: {error}") from error
    return network


def build(name: str, params: dict[str, Any], features: int, levels: tuple[int, ...], targets: Targets) -> nn.Module:
    """A network by its name in the registry and its table.

    Raises:
        UserError: the model refuses its parts, for instance a head that needs a grid where the targets have none.
    """
    part = models.MODELS[name]
    try:
        network: nn.Module = part.make(part.config(**params), features, levels, targets)
    except ValueError as error:
        raise UserError(f"model {name}: {error}") from error
    return network


def compile_parts(network: nn.Module, device: torch.device) -> None:
    """Compile, in place, the blocks that say they gain by it; on a GPU with CUDA graphs inside."""
    for module in network.modules():
        if getattr(module, "compiles", False):
            module.compile(mode="reduce-overhead" if device.type == "cuda" else "default")


def train(
    state: State,
    config: TrainConfig,
    seed: int,
    fold: Resident,
    inner: Resident | None,
    emit: Emit,
    folder: Path,
) -> Iterator[None]:
    """From where `state` stands to the last epoch; pauses after every step.

    Args:
        fold: what is learnt from. inner: series whose score [train.watch] looks at.
        folder: a checkpoint is written there every config.checkpoint_s seconds and at an interrupt.

    Raises:
        Diverged: a loss, a weight or a watched score is not finite.
        UserError: the device's memory is full.
        KeyboardInterrupt: interrupted; the step was finished and a checkpoint written.
    """
    network, counters, device = state.network, state.counters, fold.x.device
    per_epoch = math.ceil(len(fold) / config.batch)
    saved = began = time.perf_counter()
    parameters, steps = list(network.parameters()), config.epochs * per_epoch
    failed = torch.full((), -1, device=device)  # first step of the epoch whose loss was not finite
    while counters.epoch < config.epochs and not _stops(config, counters.epoch, counters.best_epoch):
        order = shuffled(len(fold), seed, counters.epoch).to(device)
        for step in range(counters.step, per_epoch):
            reseed(device, seed, counters.epoch, step)
            rate = config.lr * counters.rate * lr_factor(config, counters.epoch * per_epoch + step, steps)
            network.train()
            index = order[step * config.batch : (step + 1) * config.batch]
            batch = augment(fold.batch(index), config.augment, fold)
            loss = memory.fitted(partial(backward, state, config, batch), state, config, batch)
            failed = torch.where((failed < 0) & ~loss.isfinite(), step, failed)
            state.loss_scale.unscale_(state.optimiser)
            if config.clip:
                nn.utils.clip_grad_norm_(parameters, config.clip)
            for group in state.optimiser.param_groups:
                group["lr"] = rate
            state.loss_scale.step(state.optimiser)
            state.loss_scale.update()
            weight = batch.weight.sum()
            state.total += torch.stack([loss * weight, weight])
            if config.ema:
                state.average()
            counters.step, now = step + 1, time.perf_counter()
            emit("progress", done=counters.epoch + (step + 1) / per_epoch, of=config.epochs)
            if interrupt.asked() or now - saved > config.checkpoint_s:
                refuse_failed(failed, parameters, order, config.batch, counters)
                counters.seconds, saved, began = counters.seconds + now - began, now, now
                state.save(folder)
                interrupt.obey()
            yield
        refuse_failed(failed, parameters, order, config.batch, counters)
        counters.seconds, began = counters.seconds + time.perf_counter() - began, time.perf_counter()
        finish_epoch(state, config, inner, steps, emit)
    state.save(folder)


def backward(state: State, config: TrainConfig, batch: Batch) -> Tensor:
    """The batch's loss, its gradients left in the parameters; in parts, if memory wants that."""
    state.optimiser.zero_grad(set_to_none=True)
    whole = batch.weight.sum().clamp(min=1e-6)
    total = torch.zeros((), device=batch.x.device)
    for part in batch.parts(state.counters.micro or config.micro):
        with autocast(config.precision, batch.x.device):
            hidden = state.network(part.x, part.static, part.mask, **_forcing(state.network, part))
        head: Any = state.network.head
        loss = head.loss(head(hidden.float()), part.y, part.weight, part.mask) * (part.weight.sum() / whole)
        state.loss_scale.scale(loss).backward()
        total += loss.detach()
    return total


def _forcing(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """The true past, for a network that eats it: see models/observed.py."""
    return {"y": batch.y} if getattr(network, "takes_target", False) else {}


def finish_epoch(state: State, config: TrainConfig, inner: Resident | None, steps: int, emit: Emit) -> None:
    """Average, look at the watched score, keep the best, tell the history. steps: of the whole training."""
    counters = state.counters
    last = (counters.epoch + 1) * steps // config.epochs - 1
    rate = config.lr * counters.rate * lr_factor(config, last, steps)
    if config.average and counters.epoch >= config.epochs - config.average:
        state.average()
    loss, weight = state.total.tolist()
    counters.epoch, counters.step = counters.epoch + 1, 0
    row = {"epoch": counters.epoch, "loss": loss / max(weight, 1e-6), "lr": rate}
    if inner is not None:
        row["watched"] = score = watched_error(state, config, inner)
        if score < counters.best_score:
            counters.best_score, counters.best_epoch = score, counters.epoch
            if state.best is not None:
                state.best.load_state_dict(state.predictor.state_dict())
        waited = counters.epoch - max(counters.best_epoch, counters.lowered)
        if config.schedule == "plateau" and waited >= config.watch.patience:
            counters.rate, counters.lowered = counters.rate * config.watch.factor, counters.epoch
    row["time.epoch_s"] = counters.seconds
    counters.history.append(row)
    counters.seconds = 0.0
    state.total.zero_()
    emit("epoch", **row)


@torch.no_grad()
def watched_error(state: State, config: TrainConfig, inner: Resident) -> float:
    """Mean absolute error, in scaled units, of series that are not trained on."""
    network = state.predictor.eval()
    head: Any = network.head

    def summed(index: Tensor) -> Tensor:
        batch = inner.batch(index)
        with autocast(config.precision, inner.x.device):
            hidden = network(batch.x, batch.static, batch.mask)
        error = (head.predict(head(hidden.float()), batch.weight > 0) - batch.y).abs().mean(dim=-1)
        return torch.stack([(error * batch.weight).sum(), batch.weight.sum()])

    total = torch.zeros(2, device=inner.x.device)
    for part in memory.in_parts(summed, len(inner), 4 * config.batch, inner.x.device):
        total += part
    score = float(total[0] / total[1])
    if not math.isfinite(score):
        raise Diverged("watched score", state.counters.epoch)
    return score


def inner_split(lessons: Sequence[Lesson], share: float, seed: int) -> tuple[list[Lesson], list[Lesson]]:
    """What to train on, and whole series of the first lesson, drawn by the seed, whose score may be watched."""
    if not share:
        return list(lessons), []
    first, count = lessons[0], len(lessons[0].series)
    drawn = np.random.default_rng([seed, 1]).permutation(count)
    scored = np.flatnonzero(first.weight[drawn].any(axis=1))  # among those drawn
    if len(scored) < 2:
        raise UserError(
            f"train.watch.share = {share} needs at least 2 training series with scored steps, but there is "
            f"{len(scored)}. Set train.watch.share = 0."
        )
    inside = np.zeros(count, dtype=bool)
    least, most = scored[0] + 1, scored[-1]  # so that there is something to score on either side
    inside[drawn[: min(max(least, round(share * count)), most)]] = True
    kept, out = (
        Lesson(first.dense, first.series[part], first.y[part], first.weight[part]) for part in (~inside, inside)
    )
    return [kept, *lessons[1:]], [out]


def shuffled(count: int, seed: int, epoch: int) -> Tensor:
    """(count,) int64: the order of the series in an epoch."""
    return torch.from_numpy(np.random.default_rng([seed, 2, epoch]).permutation(count))


def reseed(device: torch.device, *numbers: int) -> None:
    """Seed torch's generator of the device by a few numbers."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def prepare(config: TrainConfig, device: torch.device) -> None:
    """Threads, and the operations that may be used. On the CPU the latter need no switch: it would cost seconds."""
    torch.set_num_threads(config.threads)
    if device.type != "cpu":
        torch.use_deterministic_algorithms(config.is_deterministic, warn_only=True)
        torch.backends.cudnn.benchmark = not config.is_deterministic


def _stops(config: TrainConfig, epoch: int, best_epoch: int) -> bool:
    return config.watch.stop > 0 and epoch - best_epoch >= config.watch.stop


def on_own_stream(steps: Iterator[None], device: torch.device) -> Iterator[None]:
    """On a GPU each cell's steps are queued on a stream of their own, so that cells that take turns overlap there."""
    if device.type != "cuda":
        yield from steps
        return
    torch.cuda.synchronize(device)  # what was placed by now is seen by the new stream
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    while True:
        with torch.cuda.stream(stream):
            if next(steps, _END) is _END:
                break
        yield
    stream.synchronize()


def _uncropped(parts: list[Tensor], steps: int) -> np.ndarray:
    """(n, T, K) float64 with the last kept step repeated up to `steps`."""
    kept = torch.cat(parts).numpy().astype(np.float64)
    return np.pad(kept, ((0, 0), (0, steps - kept.shape[1]), (0, 0)), mode="edge")
