"""Missing steps (NaN) filled from the same series: what networks see with train.fill = "forward", and ROCKET always."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def forward_filled(values: np.ndarray) -> np.ndarray:
    """Replace NaN by the last value before it along axis -2, the steps; it stays where there is none.

    values: (..., T, F).
    """
    place = np.where(np.isnan(values), 0, np.arange(values.shape[-2])[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(place, axis=-2), axis=-2)


def forward_filled_tensor(values: Tensor) -> Tensor:
    """Do as `forward_filled`, on the device."""
    steps = torch.arange(values.shape[-2], device=values.device).unsqueeze(-1)
    place = torch.where(values.isnan(), 0, steps)
    return values.gather(-2, place.cummax(dim=-2).values)


def filled(values: np.ndarray) -> np.ndarray:
    """Replace NaN by the last value before it, at the start by the first one; a channel without any value keeps it.

    values: (T, F), one series.
    """
    if not np.isnan(values).any():
        return values
    return forward_filled(forward_filled(values)[::-1])[::-1]
