"""Find the width at which a system has the wanted number of parameters, by bisection.

The number of parameters must not fall as the width grows. It then crosses the wanted number once, and the nearer of the
two widths beside the crossing is taken.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from foldline.core.errors import UserError
from foldline.data import target_grid
from foldline.data.store import Store
from foldline.fit import network_build
from foldline.models.contract import Targets
from foldline.run.cells import ModelConfig

WIDEST = 1 << 16  # a system that is still too small at this width does not grow with it


def targets_of(store: Store) -> Targets:
    """Describe the targets of labelled series, with their grids, as a head is built for them."""
    task = store.task
    grids = target_grid.detect_grids(np.asarray(store.y)[store.scored]) if task.kind == "regression" else []
    plain = tuple(None if grid is None else (grid.offset, grid.step, grid.count) for grid in grids)
    targets = Targets(count=store.targets, kind=task.kind, classes=task.classes, grids=plain, level=task.level)
    return network_build.with_known_start(targets, store)


def parameters(model: ModelConfig, store: Store) -> int:
    """Count the trainable parameters of a model that is built for these series.

    Raises:
        UserError: it cannot be built for them.
    """
    with torch.random.fork_rng(devices=[]):  # initialisation draws numbers: leave the global state as it was
        network = network_build.build(
            model.name, model.params, store.channels, store.levels, targets_of(store), store.names, store.places
        )
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def solve(count: Callable[[int], int], wanted: int, multiple: int, tolerance: float) -> tuple[int, int]:
    """Find (width, its number of parameters), the width a multiple of `multiple`.

    Args:
        count: width -> number of parameters, not falling.
        wanted: number of parameters.

    Raises:
        UserError: no width comes within `tolerance`, a share of `wanted`.
    """
    low, high = 0, 1  # in multiples: too small (or none at all), and large enough
    while count(high * multiple) < wanted:
        low, high = high, 2 * high
        if high * multiple > WIDEST:
            raise UserError(
                f"it has {count(low * multiple):,} parameters at width {low * multiple}, and {wanted:,} are wanted: "
                "they do not follow its width. Give its blocks no widths of their own."
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle * multiple) < wanted else (low, middle)
    beside = {width * multiple: count(width * multiple) for width in (low, high) if width}
    width = min(beside, key=lambda each: abs(beside[each] - wanted))
    if abs(beside[width] - wanted) > tolerance * wanted:
        shown = " and ".join(f"{number:,} at width {each}" for each, number in beside.items())
        raise UserError(
            f"it must have {wanted:,} parameters ± {tolerance:.0%}, but has {shown}. Let it have a smaller `multiple` "
            "(fewer heads), or change study.parameters or study.tolerance."
        )
    return width, beside[width]
