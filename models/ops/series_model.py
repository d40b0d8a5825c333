"""What models on features of whole series share: their config table's fields, their interface, and their file.

One is a system of kind "series" (rocket, hydra, quant): n series of C channels and their own lengths in, (n, K) out.
The engine's side is fit/series_cell.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import torch

from foldline.models.contract import Kind, Part
from foldline.models.ops import logistic

AT_ONCE = 64  # series whose features are computed at once
MOST_BORDER = 10_000
FILE = "weights.safetensors"
# Numbers of series -> the series, each (C, T) float32; a channel that a series lacks is NaN, and 0 once scaled.
Read = Callable[[np.ndarray], Sequence[np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class SeriesConfig:
    """Fields of every such model's table."""

    channels: tuple[str, ...] = ()  # features that it reads; left out: the inputs as they are, of the family raw

    kind: ClassVar[str] = "series"
    parts: ClassVar[dict[str, dict[str, Part]]] = {}
    takes_less: ClassVar[str] = "channels"  # fewer of which need less memory

    def __post_init__(self) -> None:
        if len(set(self.channels)) < len(self.channels):
            raise ValueError(f"channels must be different features, but is {list(self.channels)}")

    def check_kind(self, kind: Kind) -> None:
        """Raise ValueError where a kind of target is not served."""


@dataclass(frozen=True, kw_only=True)
class KernelsConfig(SeriesConfig):
    """Fields of those whose convolution kernels' features go to a linear head."""

    scale: Literal["fold", "series"] = "fold"  # channels by the training series' mean and deviation, or by each one's
    border: int = 8  # steps of 0 before and behind each scaled series: there kernels see its level, and where it ends
    head: Literal["auto", "ridge", "logistic"] = "auto"

    takes_less: ClassVar[str] = "kernels"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.border <= MOST_BORDER:
            raise ValueError(f"border must be from 0 to {MOST_BORDER:,} steps, but is {self.border}")

    def check_kind(self, kind: Kind) -> None:
        """Raise ValueError where a kind of target is not served."""
        if self.head == "logistic" and kind not in logistic.SERVES:
            raise ValueError(f"head = 'logistic' is for labels, but the target is {kind}: take 'ridge'")


class SeriesModel(Protocol):
    """A fitted model, or one to be."""

    config: Any  # a SeriesConfig

    def fit(
        self,
        read: Read,
        lengths: np.ndarray,
        y: np.ndarray,
        kind: Kind,
        seed: int,
        threads: int,
        on_series: Callable[[int, int], None] | None = None,
        weight: np.ndarray | None = None,
        groups: np.ndarray | None = None,
    ) -> np.ndarray:
        """Fit on n series.

        Args:
            read: returns series by their numbers 0 .. n - 1.
            lengths: (n,) steps of each.
            y: (n, K) float64 truth (models/contract.py).
            threads: at work; they change no bit.
            on_series: called with (series done, series in all).
            weight: (n,) how much a series counts, above 0 and 1 in the mean; None: all alike.
            groups: (n,) number of each series' group (a subject); None: each is its own.

        Returns:
            (n, K) predictions of the series themselves, or of each as left out: the class says which.
        """

    def memory(self, lengths: np.ndarray, channels: int, kind: Kind, grouped: bool = False) -> int:
        """Estimate the bytes that a fit on series of these lengths (n,) needs. grouped: whether they come in groups."""

    def predict(self, read: Read, count: int, threads: int) -> np.ndarray:
        """Predict `count` series: (count, K) float64. read: returns series by their numbers 0 .. count - 1."""

    def save(self, folder: Path) -> None:
        """Write weights.safetensors."""

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""


def parts(count: int) -> list[np.ndarray]:
    """Split 0 .. count - 1 into runs of AT_ONCE, whose series are read and computed together."""
    return np.split(np.arange(count), np.arange(AT_ONCE, count, AT_ONCE))


def write_arrays(folder: Path, arrays: Mapping[str, np.ndarray], kind: Kind) -> None:
    """Write a fitted model's arrays, and the kind of target it was fitted on, to weights.safetensors."""
    import safetensors.torch

    tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}
    (folder / FILE).write_bytes(safetensors.torch.save(tensors, metadata={"kind": kind}))


def read_arrays(folder: Path) -> tuple[dict[str, np.ndarray], Kind]:
    """Read what `write_arrays` wrote."""
    import safetensors

    with safetensors.safe_open(folder / FILE, framework="np") as stored:
        arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        return arrays, stored.metadata()["kind"]
