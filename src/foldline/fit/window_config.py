"""[train.windows]: how networks see series that are longer than they can take; training_windows.py has the windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LONGEST = 1 << 31  # steps: generous, so that only slips are refused

Weighting = Literal["flat", "triangle", "centre"]


@dataclass(frozen=True, kw_only=True)
class TrainingWindowsConfig:
    """[train.windows]: networks see long series window by window, at the level "step". Trees and scores know of none.

    Features are of the whole series; a window is (series, first step, steps), an index into the store. A series of at
    most `length` steps (of `predict`, where it is predicted) is one window.
    """

    length: int = 0  # steps of a window in training; 0: series are seen whole
    stride: int = 0  # steps from a window of a series to the next; an epoch has each of them once. 0: `length`
    # "random": each window is moved by up to half a stride, anew in each epoch; "even": each epoch has the same ones
    starts: Literal["random", "even"] = "random"
    # How much a step counts in the loss by its place in a window: "flat", all alike; "triangle", from 1 in the middle
    # down to nothing at a cut; "centre", only steps further than overlap / 2 from a cut. An end of the series is no cut
    loss: Weighting = "flat"
    predict: int = 0  # steps of a window at prediction; 0: `length`
    overlap: int = -1  # steps that a window shares with the one before it at prediction; -1: a quarter of a window
    weight: Weighting = "triangle"  # how much a prediction counts by its place where windows overlap: as for `loss`

    def __post_init__(self) -> None:
        for name in ("length", "stride", "predict"):
            if not 0 <= getattr(self, name) <= LONGEST:
                raise ValueError(f"{name} must be from 0 to {LONGEST:,} steps, but is {getattr(self, name):,}")
        if not self.length and (self.stride or self.predict or self.overlap >= 0):
            raise ValueError("windows need a length: give length, for instance length = 1000")
        if self.length and not -1 <= self.overlap < self.predicted:
            raise ValueError(
                f"overlap must be below the {self.predicted:,} steps of a window at prediction, but is "
                f"{self.overlap:,}; -1 takes a quarter of them"
            )

        if self.length and self.loss == "centre" and self.shared >= self.length:
            raise ValueError(
                f'loss = "centre" counts steps further than overlap / 2 from a cut, of which a window of '
                f"{self.length:,} steps has none with an overlap of {self.shared:,}: give a smaller overlap"
            )

    @property
    def used(self) -> bool:
        """Whether series are seen window by window."""
        return self.length > 0

    @property
    def step(self) -> int:
        """Steps from a window in training to the next."""
        return self.stride or self.length

    @property
    def predicted(self) -> int:
        """Steps of a window at prediction."""
        return self.predict or self.length

    @property
    def shared(self) -> int:
        """Steps that two windows share at prediction, at least."""
        return self.predicted // 4 if self.overlap < 0 else self.overlap
