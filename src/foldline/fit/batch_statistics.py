"""Batch normalisation: its statistics must be those of a whole batch, and of the weights that predict.

A pass that sees a part of a batch (train.micro, several processes, series padded to several lengths) would normalise by
that part: gradients were no longer those of the batch, and a change that must not matter would. An average of weights
(train.ema, train.average) has seen no batch at all: nobody has statistics for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

from foldline.core.errors import UserError
from foldline.fit.train_config import TrainConfig


def refuse(what: str, network: nn.Module, config: TrainConfig, lengths: Sequence[int] = ()) -> None:
    """Refuse a network with batch normalisation where its statistics would be wrong.

    Args:
        what: whose network, first in the message.
        lengths: that its training series are padded to; (): not known yet.

    Raises:
        UserError
    """
    if not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules()):
        return
    for setting, why, otherwise in _conflicts(config, lengths):
        raise UserError(
            f"{what}: {setting}, but the network has batch normalisation, whose statistics would be those of {why}. "
            f'Take another norm (norm = "layer" of its block), or {otherwise}.'
        )


def _conflicts(config: TrainConfig, lengths: Sequence[int]) -> Iterator[tuple[str, str, str]]:
    """Yield what contradicts batch statistics: the setting, what they would be of, and a way out."""
    if config.processes > 1:
        part = "each process's part of a batch"
        yield f"train.processes = {config.processes}", part, "train.processes = 1"
    if 0 < config.micro < config.batch:
        yield (
            f"train.micro = {config.micro}",
            "each pass's part of a batch",
            "train.micro = 0 and a train.batch that fits",
        )
    if config.on_oom == "halve":
        yield 'train.on_oom = "halve"', "each pass's part of a batch", 'train.on_oom = "stop"'
    for name in ("ema", "average"):
        if value := getattr(config, name):
            yield f"train.{name} = {value}", "other weights than the averaged ones", f"train.{name} = 0"
    if len(lengths) > 1:
        parts = "those series of a batch that are padded to the same length"
        padded = f"series are padded to {len(lengths)} lengths ({lengths[0]} to {lengths[-1]} steps)"
        yield padded, parts, "series of nearly one length (data.first, data.last)"
