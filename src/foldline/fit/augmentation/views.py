"""Test-time augmentation, [train.tta]: a series is predicted as several views of it, and their mean is its prediction.

Views are fixed, not drawn: a prediction must not depend on which other series are predicted with it. They are those
that keep the answer, or whose answer can be put back: of a series seen backwards the answers of steps are turned round
again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from foldline.core.errors import UserError
from foldline.data.store import Store
from foldline.fit.augmentation.axes import flipped
from foldline.fit.augmentation.part import refuse_strength
from foldline.fit.augmentation.time_maps import backwards, resampled
from foldline.fit.augmentation.values import changed
from foldline.fit.batch import Batch
from foldline.fit.input_channels import InputChannels, check_columns

Predict = Callable[[Batch], Tensor]  # -> (B, T, C), or (B, 1, C) where a series has one answer
MOST_GAINS = 100


@dataclass(frozen=True, kw_only=True)
class TtaConfig:
    """[train.tta]: views of a series whose predictions are averaged, by networks; the series as it is is always one.

    Each key doubles them, or multiplies them by one more than its numbers; so does the time to predict grow.
    """

    reverse: bool = False  # also backwards
    flip: tuple[str, ...] = ()  # also with other signs of these features, in their own unit
    scale: tuple[float, ...] = ()  # also with all numbers of a step times each of these, about a feature's centre

    def __post_init__(self) -> None:
        if len(self.scale) > MOST_GAINS:
            raise ValueError(f"scale must have at most {MOST_GAINS} numbers, but has {len(self.scale)}")
        for gain in self.scale:
            refuse_strength("scale", gain)

    @property
    def used(self) -> bool:
        """Whether there is more than one view."""
        return self.count > 1

    @property
    def count(self) -> int:
        """Number of views."""
        return (1 + self.reverse) * (1 + bool(self.flip)) * (1 + len(self.scale))


def check(label: str, config: TtaConfig, known: bool) -> None:
    """Refuse series seen backwards where some steps have known targets. label: of the model, for messages.

    Raises:
        UserError
    """
    if config.reverse and known:
        raise UserError(
            f"model {label!r}: train.tta.reverse sees series backwards, but where targets of some steps are known in "
            "test (data.observed, forecast or known) these have their places: leave it out."
        )


def check_store(label: str, config: TtaConfig, store: Store) -> None:
    """Refuse views of features that a store has not. label: of the model, for messages.

    Raises:
        UserError
    """
    check_columns(config.flip, store, f"model {label!r}: train.tta.flip", own_unit=True)


def averaged(predict: Predict, batch: Batch, config: TtaConfig, channels: InputChannels) -> Tensor:
    """Return the mean of the predictions of all views of a batch, each put back to the steps of the series."""
    found = [_put_back(predict(view), view, turned) for view, turned in views(batch, config, channels)]
    return torch.stack(found).mean(dim=0)


def views(batch: Batch, config: TtaConfig, channels: InputChannels) -> Iterator[tuple[Batch, bool]]:
    """Yield the views of a batch, and whether each is backwards; first the batch itself."""
    every = torch.ones(len(batch.x), dtype=torch.bool, device=batch.x.device)
    for gain in (1.0, *config.scale):
        louder = changed(batch, gain * batch.x, every, channels, ()) if gain != 1 else batch
        for flip in (False, True) if config.flip else (False,):
            other = changed(louder, flipped(louder.x, channels), every, channels, config.flip) if flip else louder
            yield other, False
            if config.reverse:
                yield resampled(other, backwards(other), every, channels), True


def _put_back(predicted: Tensor, view: Batch, turned: bool) -> Tensor:
    """Turn predictions of steps round again, (B, T, C); those of padding stay."""
    if not turned or predicted.shape[1] == 1:
        return predicted
    steps = backwards(view).long()
    if view.mask is not None:
        steps = torch.where(view.mask, steps, torch.arange(steps.shape[1], device=steps.device))
    return predicted.gather(1, steps.unsqueeze(-1).expand_as(predicted))
