"""Batches for tests of augmentation whose values say where they came from, and draws of one seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foldline.fit.batch import Batch
from foldline.fit.input_channels import InputChannels

STEPS = 12
LENGTHS = torch.tensor([12, 1, 7, 12, 2, 9, 5, 12])
MASK = torch.arange(STEPS) < LENGTHS[:, None]
NAMES = ("a", "b", "c", "missing(c)", "age")  # c is missing at times; age is of a static column
CENTER, SPREAD = torch.tensor([1.0, -2.0, 0.5, 0.1, 40.0]), torch.tensor([2.0, 0.5, 4.0, 0.3, 12.0])


def channels(missing: bool = True) -> InputChannels:
    """The input of these batches: three numbers, a flag, a feature of a static column."""
    return InputChannels(
        names=NAMES,
        steps=torch.tensor([True, True, True, True, False]),
        numbers=torch.tensor([True, True, True, False, False]),
        zero=-CENTER / SPREAD,
        unit=1 / SPREAD,
        missing=missing,
    )


def batch(mask: Tensor | None = MASK, on_series: bool = False, series: int = 8) -> Batch:
    """Random series, a quarter of c missing. Targets: the identity, (B, T, B), or (B, 1, B); weights 0, 1/2 or 1."""
    random = torch.Generator().manual_seed(3)
    x = torch.randn(series, STEPS, len(NAMES), generator=random)
    absent = torch.rand(series, STEPS, generator=random) < 0.25
    x[..., 2] = x[..., 2].masked_fill(absent, 0.0)
    x[..., 3] = (absent.float() - CENTER[3]) / SPREAD[3]
    x[..., 4] = x[:, :1, 4]
    steps = 1 if on_series else STEPS
    weight = torch.randint(3, (series, steps), generator=random) / 2
    auxiliary = torch.randn(series, steps, 1, generator=random)
    auxiliary = auxiliary.masked_fill(torch.rand(series, steps, 1, generator=random) < 0.3, torch.nan)
    known = torch.ones(series, steps, series, dtype=torch.bool)
    if mask is not None:
        x = x * mask.unsqueeze(-1)
        if not on_series:
            weight, known = weight * mask, mask.unsqueeze(-1).expand_as(known).clone()
            auxiliary = auxiliary.masked_fill(~mask.unsqueeze(-1), torch.nan)
    return Batch(
        x=x,
        static=torch.randint(4, (series, 2), generator=random),
        mask=mask,
        y=torch.eye(series)[:, None, :].expand(-1, steps, -1).clone(),
        weight=weight,
        scored=weight > 0,
        known=known,
        has_unknown=False,
        auxiliary=auxiliary,
    )


def numbered(series: int = 8, steps: int = STEPS, mask: Tensor | None = None) -> Batch:
    """Every value, target and weight says at which step it stood; c is never missing."""
    place = torch.arange(steps, dtype=torch.float32).expand(series, -1).clone()
    x = place.unsqueeze(-1).repeat(1, 1, len(NAMES))
    static, known = torch.zeros(series, 0, dtype=torch.int64), None if mask is None else mask[..., None]
    return Batch(x, static, mask, place.unsqueeze(-1), place, place > 0, known, has_unknown=False)


def drawn(part: Any, given: Batch, about: InputChannels | None = None, seed: int = 0) -> Batch:
    """What a part makes of a batch with a seed."""
    torch.manual_seed(seed)
    changed: Batch = part(given, about or channels())
    return changed


def same(one: Batch, other: Batch) -> bool:
    """Whether two batches are the same, bit by bit."""
    tensors = {name: value for name, value in vars(one).items() if isinstance(value, Tensor)}
    return all(_bits(value) == _bits(getattr(other, name)) for name, value in tensors.items())


def _bits(values: Tensor) -> bytes:
    numbers = values.numpy()
    return np.ascontiguousarray(numbers + 0 if numbers.dtype.kind == "f" else numbers).tobytes()  # -0.0 is 0.0


def own(x: Tensor, name: str) -> Tensor:
    """A feature in its own unit, (B, T)."""
    place = NAMES.index(name)
    return x[..., place] * SPREAD[place] + CENTER[place]


def with_features(given: Batch, **features: Tensor) -> Batch:
    """The batch with some features, (B, T) scaled."""
    x = given.x.clone()
    for name, values in features.items():
        x[..., NAMES.index(name)] = values
    return replace(given, x=x)
