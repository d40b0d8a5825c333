"""What is done to blended predictions: snapping to the target's grid, and exact rows in their place.

Whatever is fitted here is fitted on the series outside a fold when its effect on a score is reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foldline.data.target_grid import Grid


@dataclass(frozen=True, kw_only=True)
class PostConfig:
    """[post]: steps after the blend."""

    snap: bool = True  # round to the even grid of the training targets, where they lie on one
    decode: bool = False  # put exact rows, read back from the inputs, in place of predictions (ventilator only)


def paste(values: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """(..., 1) predictions with exact ones (...) in their place, where those are not NaN."""
    return np.where(np.isnan(exact), values[..., 0], exact)[..., None]


def snap(values: np.ndarray, grids: list[Grid | None]) -> np.ndarray:
    """(..., K) values, each target snapped to its grid where it has one."""
    return np.stack(
        [values[..., k] if grid is None else grid.snap(values[..., k]) for k, grid in enumerate(grids)], axis=-1
    )
