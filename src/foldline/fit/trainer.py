"""Training one network on one fold: plain tensors on the device, batches by index, one linear loop.

The loop is a generator that pauses after every step: an executor may take turns between several cells on one GPU, and
each comes out as if it had been alone. All draws of a step (order, augmentation, dropout) are seeded by (seed, epoch,
step), so that they depend neither on the other cells nor on where a killed run was resumed. Nothing here looks at the
held-out fold.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from foldline.core import interrupt
from foldline.core.chunks import chunks
from foldline.fit.augment import augment
from foldline.fit.batch import Batch
from foldline.fit.datasets import Dataset
from foldline.fit.divergence import refuse_failed
from foldline.fit.out_of_memory import STEP_IS_TOO_MUCH, reporting_full_memory
from foldline.fit.sampling import Sampler
from foldline.fit.train_config import TrainConfig, lr_factor
from foldline.fit.training_state import Counters, State
from foldline.fit.training_step import training_step, weight_of
from foldline.fit.watched_score import WatchedSeries, watched_score

VERSION = 5  # part of a cell's key: raise it when a change here or in what it imports changes what comes out

NEAR_BYTES = (
    8 << 20
)  # of features of neighbours that stay together (train.shuffle = "blocks"): a disk's seek is nothing
NEAR_BLOCKS = 16  # of these that are shuffled with each other: 128 MiB, which any machine keeps in memory
POOL = 16  # batches whose series are sorted by length: few enough that long series come at any time of an epoch

Emit = Callable[..., None]  # emit("epoch", epoch=3, of=20, loss=0.1): progress and history


def train(
    state: State,
    config: TrainConfig,
    seed: int,
    fold: Dataset,
    watched: WatchedSeries | None,
    emit: Emit,
    folder: Path,
    sampler: Sampler | None = None,
    pretext: Callable[[Batch], Batch] | None = None,
) -> Iterator[None]:
    """Train from where `state` stands to the last epoch; pause after every step.

    Args:
        fold: series, or windows of them, to train on.
        watched: series whose score [train.watch] looks at; None: nothing is watched.
        folder: a checkpoint is written there every config.checkpoint_s seconds and at an interrupt.
        sampler: draws the series of each epoch; None: each epoch has all of them, once.
        pretext: makes of an augmented batch what is learned instead of its targets; None: these are.

    Raises:
        Diverged: a loss, a weight or a watched score is not finite.
        UserError: the device's memory is full.
        KeyboardInterrupt: interrupted; the step was finished and a checkpoint written.
    """
    counters, ranks, device = state.counters, state.ranks, fold.device
    per_epoch = math.ceil(len(fold) / config.batch)
    steps = config.epochs * per_epoch
    near = max(1, NEAR_BYTES // fold.bytes_each) if config.shuffle == "blocks" else 0
    saved = began = time.perf_counter()
    while counters.epoch < config.epochs and not _stops_early(config, counters):
        fold = fold.of_epoch(seed, counters.epoch)
        chosen = np.arange(len(fold)) if sampler is None else sampler.of_epoch(seed, counters.epoch)
        order = chosen[shuffled(fold.block_of[chosen], config.batch, seed, counters.epoch, near)]
        failed = torch.full((), -1, device=device)  # first step whose loss was not finite; read once an epoch
        batches = fold.batches(order, config.batch, counters.step)
        for step in range(counters.step, per_epoch):
            # Each step has a seed of its own: one generator's state would depend on the cells that take turns here.
            reseed(device, seed, counters.epoch, step)
            state.network.train()
            with reporting_full_memory(STEP_IS_TOO_MUCH):
                batch = [augment(part, config.augment, fold) for part in next(batches)]
                batch = batch if pretext is None else [pretext(part) for part in batch]
            if not ranks.alone:  # all have augmented alike; dropout draws for each process's own series
                reseed(device, seed, counters.epoch, step, ranks.rank)
            loss = training_step(state, config, batch, _rate(config, counters, step, steps))
            failed = failed.masked_fill((failed < 0) & ~loss.isfinite(), step)
            state.add_loss(loss, weight_of(batch))
            counters.step, now = step + 1, time.perf_counter()
            emit("progress", done=counters.epoch + (step + 1) / per_epoch, of=config.epochs)
            stop, due = ranks.any(interrupt.requested(), now - saved > config.checkpoint_s)
            if stop or due:
                refuse_failed(failed, state.parameters, fold.series_of(order), config.batch, counters)
                counters.seconds, saved, began = counters.seconds + now - began, now, now
                _save(state, folder)
                if stop and not ranks.alone:
                    interrupt.request()  # whichever process was told to
                interrupt.stop_if_requested()
            yield
        refuse_failed(failed, state.parameters, fold.series_of(order), config.batch, counters)
        counters.seconds, began = counters.seconds + time.perf_counter() - began, time.perf_counter()
        with reporting_full_memory(STEP_IS_TOO_MUCH):
            finish_epoch(state, config, watched, steps, emit)
    _save(state, folder)


def _save(state: State, folder: Path) -> None:
    """Write a checkpoint, once for all processes that train together."""
    if state.ranks.first:
        state.save(folder)


def _stops_early(config: TrainConfig, counters: Counters) -> bool:
    return config.watch.stop > 0 and counters.epoch - counters.best_epoch >= config.watch.stop


def _rate(config: TrainConfig, counters: Counters, step: int, steps: int) -> float:
    """Learning rate at a step of the running epoch. steps: of the whole training."""
    return config.lr * counters.rate * lr_factor(config, counters.epoch * steps // config.epochs + step, steps)


def finish_epoch(state: State, config: TrainConfig, watched: WatchedSeries | None, steps: int, emit: Emit) -> None:
    """Average the weights, look at the watched score, and write the epoch's row of the history.

    steps: of the whole training.
    """
    counters = state.counters
    rate = _rate(config, counters, steps // config.epochs - 1, steps)  # of the epoch's last step
    # Where training may stop early, each epoch may be among the last ones: the state keeps those.
    if config.average and (config.watch.stop or counters.epoch >= config.epochs - config.average):
        state.average()
    loss, weight = state.total.tolist()
    counters.epoch, counters.step = counters.epoch + 1, 0
    row = {"epoch": counters.epoch, "loss": loss / max(weight, 1e-6), "lr": rate}  # no scored step: a loss of 0
    if watched is not None:
        # One process scores for all: the last bit of another one's score might end its training elsewhere.
        row["watched"] = state.ranks.from_first(watched_score(state, config, watched) if state.ranks.first else 0.0)
        _follow_score(state, config, watched, row["watched"])
    row["time.epoch_s"] = counters.seconds
    counters.history.append(row)
    counters.seconds = 0.0
    state.total.zero_()
    emit("epoch", **row)


def _follow_score(state: State, config: TrainConfig, watched: WatchedSeries, score: float) -> None:
    """Keep the weights of the best epoch; lower the rate of the plateau schedule where the score stands still."""
    counters = state.counters
    if counters.best_score is None or watched.metric.is_better(score, counters.best_score):
        counters.best_score, counters.best_epoch = score, counters.epoch
        if state.best is not None:
            state.best.load_state_dict(state.predictor.state_dict())
    waited = counters.epoch - max(counters.best_epoch, counters.lowered)
    if config.schedule == "plateau" and waited >= config.watch.patience:
        counters.rate, counters.lowered = counters.rate * config.watch.factor, counters.epoch


def shuffled(blocks: np.ndarray, batch: int, seed: int, epoch: int, near: int = 0) -> np.ndarray:
    """Draw the order of the series in an epoch, (N,) int64, such that most batches are padded to one or two lengths.

    Among each `POOL` batches of a random order those of like length are put together, and the batches shuffled again:
    what a batch holds stays random. With one block it is the random order itself.

    Args:
        blocks: (N,) block of each series, the shortest first.
        near: neighbours that stay nearly together, because they are read from a disk; 0: none.
    """
    rng = np.random.default_rng([seed, 2, epoch])
    order = _near_each_other(len(blocks), near, rng) if near else rng.permutation(len(blocks))
    if (blocks == blocks[0]).all():
        return order
    for pool in chunks(len(order), POOL * batch):
        kept = order[pool]
        kept = kept[np.argsort(blocks[kept], kind="stable")]
        whole = len(kept) // batch * batch  # what is left, at the end of the epoch, makes a smaller batch
        order[pool] = np.concatenate([rng.permutation(kept[:whole].reshape(-1, batch)).ravel(), kept[whole:]])
    return order


def _near_each_other(count: int, near: int, rng: np.random.Generator) -> np.ndarray:
    """Draw an order of 0 .. count - 1, (count,) int64: runs of `near` neighbours in any order, some of them mixed."""
    runs = list(chunks(count, near))
    order = np.concatenate([np.arange(count)[runs[place]] for place in rng.permutation(len(runs))])
    for mixed in chunks(count, NEAR_BLOCKS * near):
        order[mixed] = rng.permutation(order[mixed])
    return order


def reseed(device: torch.device, *numbers: int) -> None:
    """Seed torch's generator of the device by a few numbers."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)
