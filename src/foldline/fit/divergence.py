"""Losses, gradients and scores that are not finite: found before a checkpoint holds them, with the series of the step.

The trainer only marks the first step of an epoch whose loss was not finite, which needs no wait for the device. It
looks at the mark, and at the weights, before each checkpoint and at each epoch's end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.training_state import Counters

SHOWN = 16  # series that a message names


class Diverged(Exception):
    """Something was not finite: a loss or a gradient at a step, or the watched score after an epoch."""

    def __init__(self, what: str, epoch: int, step: int = 0, series: Sequence[int] = ()) -> None:
        """series: places of the step's series among those trained on; none: it happened at no step."""
        super().__init__(what, epoch, step, series)
        self.what, self.epoch, self.step, self.series = what, epoch, step, series

    def message(self, name: str, labelled_sets: Sequence[LabelledSeries]) -> str:
        """Say what happened where, and what to change. name: of the model; labelled_sets: what it was trained on."""
        way_out = "lower train.lr or set train.clip = 1. The last good checkpoint is kept."
        if not self.series:
            return f"The {self.what} of {name} was not finite after epoch {self.epoch}. L{way_out[1:]}"
        keys = np.concatenate([part.store.keys[part.series] for part in labelled_sets])[list(self.series)]
        shown = ", ".join(map(str, keys[:SHOWN])) + (f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else "")
        return (
            f"The {self.what} of {name} was not finite at step {self.step} of epoch {self.epoch}, on the series "
            f"{shown}. Look at these; if they are sound, {way_out}"
        )


def refuse_failed(
    failed: Tensor, parameters: list[nn.Parameter], order: np.ndarray, batch: int, counters: Counters
) -> None:
    """Stop at a loss that was not finite, before a checkpoint could hold what it made of the weights.

    A finite loss may have gradients that are not. The next step's loss then fails; where there is none yet, the weights
    show it.

    Args:
        failed: () int64, the first step of the epoch whose loss was not finite; -1: none.
        order: (N,) of the series in this epoch, cut into batches of `batch`.

    Raises:
        Diverged
    """
    step, what = int(failed), "training loss"
    if step < 0 and not bool(nn.utils.get_total_norm(parameters).isfinite()):
        step, what = counters.step - 1, "gradient"
    if step >= 0:
        series = order[step * batch : (step + 1) * batch].tolist()
        raise Diverged(what, counters.epoch + 1, step + 1, series)
