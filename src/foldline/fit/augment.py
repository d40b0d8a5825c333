"""Augmentation of a batch before the network sees it: [train.augment].

Four parts are functions here; those with tables of their own are in augmentation/, one file a group.
All of them draw from torch's global generator of the device. The trainer seeds it at every step, so that a step's draws
depend on (seed, epoch, step) and on nothing before.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from foldline.core.errors import UserError
from foldline.data.store import Store
from foldline.fit.batch import Batch
from foldline.fit.datasets import Dataset
from foldline.fit.input_channels import check_columns
from foldline.fit.train_config import AugmentConfig, TrainConfig

HALF = 0.5  # in the unit of a phase: two steps of it, 0 and 1 for instance, differ by more


def augment(batch: Batch, config: AugmentConfig, fold: Dataset) -> Batch:
    """Apply all parts that are switched on: hide statics, drop channels, shuffle steps, those of AUGMENTATIONS, mix.

    Mixing comes last: it turns the codes of statics, which hiding needs, into weights over codes.
    """
    if config.mask_static:
        batch = mask_static(batch, config.mask_static, fold.hidden)
    if config.drop_channels:
        batch = drop_channels(batch, config.drop_channels, fold.absent)
    if config.shuffle:
        batch = shuffle(batch, config.shuffle, config.shuffle_steps)
    for part in config.parts.values():
        if part.share:
            batch = part(batch, fold.channels)
    if config.mixup:
        phase = fold.channels.in_own_unit(batch.x, config.mixup_like) if config.mixup_like else None
        batch = mixup(batch, config.mixup, config.mixup_alpha, fold.codes, phase)
    return batch


def check(label: str, train: TrainConfig, known: bool) -> None:
    """Refuse parts that move steps where some of them have known targets. label: of the model, for messages.

    known: whether any step has a known target in test tables (data.observed, a forecast's history, data.known).

    Raises:
        UserError
    """
    moving = [name for name, part in train.augment.parts.items() if part.share and part.moves_steps]
    moving += ["shuffle"] if train.augment.shuffle else []
    if known and moving:
        raise UserError(
            f"model {label!r}: train.augment.{moving[0]} moves the steps of a series, but where targets of some are "
            "known in test (data.observed, forecast or known) these have their places: leave it out."
        )


def check_store(label: str, train: TrainConfig, store: Store) -> None:
    """Refuse parts that name features which a store has not. label: of the model, for messages.

    Raises:
        UserError
    """
    where, config = f"model {label!r}: train.augment", train.augment
    for name, part in config.parts.items():
        if part.share:
            part.check(store, f"{where}.{name}")
    if config.mixup_like:
        check_columns([config.mixup_like], store, f"{where}.mixup_like")


def _chosen(batch: Batch, share: float) -> Tensor:
    """Draw (B,) bool: each series with probability `share`."""
    return torch.rand(len(batch.x), device=batch.x.device) < share


def mask_static(batch: Batch, share: float, hidden: Tensor) -> Batch:
    """Hide the static columns of some series: code 0 (unknown), and features made from them as if they were 0.

    hidden: (F,) the value that stands for hidden, NaN for features that need no static column.
    """
    chosen = _chosen(batch, share)
    cover = chosen[:, None, None] & ~hidden.isnan()  # (B, 1, F)
    static = torch.where(chosen[:, None], 0, batch.static)
    return replace(batch, x=torch.where(cover, hidden.nan_to_num(), batch.x), static=static)


def drop_channels(batch: Batch, shares: dict[str, float], absent: dict[str, Tensor]) -> Batch:
    """Let some series lack channels, each drawn for itself; padding stays 0.

    shares: of each channel. absent: (F,) of each, scaled values without it; NaN: features that are not made of it.
    """
    x = batch.x
    for name in sorted(shares):
        chosen = torch.rand(len(x), device=x.device) < shares[name]
        cover = chosen[:, None, None] & ~absent[name].isnan()  # (B, 1, F)
        if batch.mask is not None:
            cover = cover & batch.mask.unsqueeze(-1)
        x = torch.where(cover, absent[name].nan_to_num(), x)
    return replace(batch, x=x)


def shuffle(batch: Batch, share: float, distance: int) -> Batch:
    """Shuffle the steps of some series, none further than `distance` from its place; padding stays behind.

    Each step's place gets a uniform number from [0, distance + 1) added, and the steps are sorted by that. Targets,
    weights and masks of steps go with them; those of whole series stay.
    """
    series, steps = batch.x.shape[:2]
    place = torch.arange(steps, device=batch.x.device, dtype=torch.float32)
    noise = (distance + 1) * torch.rand(series, steps, device=batch.x.device) * _chosen(batch, share)[:, None]
    key = place + noise
    if batch.mask is not None:  # padding's keys are above all others, and keep their order
        key = torch.where(batch.mask, key, 2.0 * steps + distance + place)
    order = key.argsort(dim=1, stable=True)  # (B, T)
    wide = order.unsqueeze(-1)
    shuffled = replace(batch, x=batch.x.gather(1, wide.expand_as(batch.x)))
    if batch.weight.shape[1] != steps:  # (B, 1): an answer of a whole series has no step to go with
        return shuffled
    return replace(
        shuffled,
        y=batch.y.gather(1, wide.expand_as(batch.y)),
        weight=batch.weight.gather(1, order),
        scored=batch.scored.gather(1, order),
        known=None if batch.known is None else batch.known.gather(1, wide.expand_as(batch.known)),
        auxiliary=None if batch.auxiliary is None else batch.auxiliary.gather(1, wide.expand_as(batch.auxiliary)),
    )


def mixup(batch: Batch, share: float, alpha: float, codes: int, phase: Tensor | None = None) -> Batch:
    """Mix some series with another of the batch: x, statics (as weights over codes) and y by the same weight.

    Zhang et al. 2018, https://arxiv.org/abs/1710.09412. A mixed step is real, and counts, where both are.

    Args:
        phase: (B, T) of each step, in whole numbers; mixed steps of two phases do not count. None: there are none.
    """
    count, device = len(batch.x), batch.x.device
    other, unlike = torch.randperm(count, device=device), None
    if phase is not None:
        other = _of_like_phases(phase if batch.mask is None else phase * batch.mask, other)
        unlike = (phase - phase[other]).abs() > HALF
    weight = torch.full((count,), 0.5, device=device)
    if alpha:
        one, two = torch.full((2, count), alpha, device=device)
        weight = torch.distributions.Beta(one, two, validate_args=False).sample()  # checking them waits for a GPU
    mixed = _chosen(batch, share)
    weight = torch.where(mixed, weight, 1.0)
    static = (batch.static.unsqueeze(-1) == torch.arange(codes, device=device)).float()  # (B, S, L)
    counts = torch.minimum(batch.weight, torch.where(mixed[:, None], batch.weight[other], batch.weight))
    mask, known, lengths = batch.mask, batch.known, batch.lengths
    scored = batch.scored & (batch.scored[other] | ~mixed[:, None])
    if mask is not None:
        mask, lengths = mask & (mask[other] | ~mixed[:, None]), None  # what was drawn on a GPU the host does not know
    if known is not None:
        known = known & (known[other] | ~mixed[:, None, None])
    if unlike is not None and batch.weight.shape[1] == batch.x.shape[1]:  # no label there: neither scored nor learned
        counted = ~(unlike & mixed[:, None])
        known = (torch.ones_like(batch.y, dtype=torch.bool) if known is None else known) & counted.unsqueeze(-1)
        counts, batch = counts * counted, replace(batch, has_unknown=True)

    def mix(value: Tensor) -> Tensor:
        share_of = weight.view(-1, *[1] * (value.dim() - 1))
        return share_of * value + (1 - share_of) * value[other]

    if batch.auxiliary is not None:  # NaN, not known, stays where both are mixed, and only there
        mixture = torch.where(mixed[:, None, None], mix(batch.auxiliary), batch.auxiliary)
        batch = replace(batch, auxiliary=mixture)
    batch = replace(batch, x=mix(batch.x), static=mix(static), y=mix(batch.y))
    return replace(batch, mask=mask, weight=counts, scored=scored, known=known, lengths=lengths)


def _of_like_phases(phase: Tensor, drawn: Tensor) -> Tensor:
    """Return for each series another one whose phase sums up to nearly the same, (B,) int64.

    Neighbours are paired in the order of these sums; which come first among equal ones is drawn.

    Args:
        phase: (B, T) of each step, 0 in padding.
        drawn: (B,) int64, a permutation.
    """
    order = drawn[phase.sum(dim=1)[drawn].argsort(stable=True)]
    beside = torch.arange(len(order), device=order.device) ^ 1
    other = torch.empty_like(order)
    other[order] = order[torch.where(beside < len(order), beside, beside - 2).clamp(min=0)]
    return other
