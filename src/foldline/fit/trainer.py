"""Training one network on one fold: plain tensors on the device, batches by index, one linear loop.

The loop is a generator that pauses after every step: an executor may take turns between several cells on one GPU, each
on a stream of its own, and each comes out as if it had been alone. All draws of a step (order, augmentation, dropout)
are seeded by (seed, epoch, step), so that they depend neither on the other cells nor on where a killed run was resumed.
Nothing here looks at the held-out fold.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foldline.core import interrupt
from foldline.fit import out_of_memory
from foldline.fit.augment import augment
from foldline.fit.device_dataset import Batch, DeviceDataset
from foldline.fit.divergence import Diverged, refuse_failed
from foldline.fit.precision import autocast
from foldline.fit.train_config import TrainConfig, lr_factor
from foldline.fit.training_state import State

VERSION = 2  # part of a cell's key: raise it when a change here or in what it imports changes what comes out

_END = object()
Emit = Callable[..., None]  # emit("epoch", epoch=3, of=20, loss=0.1): progress and history


def train(
    state: State,
    config: TrainConfig,
    seed: int,
    fold: DeviceDataset,
    inner: DeviceDataset | None,
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
            loss = out_of_memory.fitted(partial(backward, state, config, batch), state, config, batch)
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
            if interrupt.requested() or now - saved > config.checkpoint_s:
                refuse_failed(failed, parameters, order, config.batch, counters)
                counters.seconds, saved, began = counters.seconds + now - began, now, now
                state.save(folder)
                interrupt.stop_if_requested()
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
    """The true past, for a network that eats it: see models/ops/known_target.py."""
    return {"y": batch.y} if getattr(network, "takes_target", False) else {}


def finish_epoch(state: State, config: TrainConfig, inner: DeviceDataset | None, steps: int, emit: Emit) -> None:
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
def watched_error(state: State, config: TrainConfig, inner: DeviceDataset) -> float:
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
    for part in out_of_memory.in_parts(summed, len(inner), 4 * config.batch, inner.x.device):
        total += part
    score = float(total[0] / total[1])
    if not math.isfinite(score):
        raise Diverged("watched score", state.counters.epoch)
    return score


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
