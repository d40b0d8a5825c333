"""HYDRA: groups of random kernels that compete at every step, and a linear model on how often each one wins.

Source: Dempster, Schmidt & Webb 2023, https://doi.org/10.1007/s10618-023-00939-3. It counts as a dictionary of patterns
does, by random convolutions: at each step and dilation the kernel of a group with the largest response gets that
response, the one with the smallest a point. Half of the groups see the differences. n series of C channels and their
own lengths in, (n, K) out; static columns are not read. Default: 64 groups of 8 kernels of 9 steps at each dilation
(1, 2, 4, ... up to the median length), two counts each, of which the root is taken.

Channels, head and kinds of targets are those of rocket.py. Otherwise than in the paper: features are scaled by their
mean and deviation, and a series that is shorter than the longest one in training ends in steps at a level that few
others have (`pad`): kernels see there where it ends, and how long it is.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np

from foldline.models.ops import rocket_features, series_model
from foldline.models.ops.series_model import KernelsConfig, Read
from foldline.models.systems import rocket
from foldline.models.systems.rocket import Rocket

TAPS = 9  # weights of a kernel
MOST_CHANNELS = 8  # that a group sums over, as in the paper
MOST_DILATIONS = 20  # of series of 4 million steps
LEVEL = -2.5  # of padding, in deviations from a channel's mean
MOST_PADDED = 4  # times the median length: one long series must not make all of them long


@dataclass(frozen=True, kw_only=True)
class Config(KernelsConfig):
    """[[model]] with name = "hydra"; at the level "series" only."""

    groups: int = 64  # at each dilation; every second of them sees the differences
    kernels: int = 8  # of a group, which compete
    pad: bool = True  # shorter series end in steps of a low level, up to the longest one in training

    shares: ClassVar[tuple[str, ...]] = ("systems/rocket", "ops/hydra_kernels", *rocket.Config.shares)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.groups < 2 or self.groups % 2:
            raise ValueError(f"groups must be an even number from 2 on, half for the differences, but is {self.groups}")
        if self.kernels < 2:
            raise ValueError(f"kernels must be at least 2, that compete, but is {self.kernels}")

    @property
    def features(self) -> int:
        """Number of features of a series, at most."""
        return 2 * self.groups * self.kernels * MOST_DILATIONS


class Hydra(Rocket):
    """Competing kernels; the scale of channels and features and the linear head are ROCKET's."""

    config: Any  # a Config of this file

    def __init__(self, config: Config) -> None:
        super().__init__(cast(Any, config))

    def _fit_kernels(self, read: Read, lengths: np.ndarray, rng: np.random.Generator) -> None:
        """Draw kernels and the channels that each group sums over: arrays of the series, then of its differences."""
        median = int(np.median(lengths))
        self.arrays["steps"] = np.array([min(int(lengths.max()), MOST_PADDED * median) if self.config.pad else 0])
        steps = median + 2 * self.config.border
        dilations = 2 ** np.arange(1 + int(np.log2(max(1.0, (steps - 1) / (TAPS - 1)))))
        taps = rng.normal(size=(2, len(dilations), self.config.groups // 2, self.config.kernels, TAPS))
        taps -= taps.mean(axis=-1, keepdims=True)
        taps /= np.abs(taps).sum(axis=-1, keepdims=True)
        count = len(self.arrays["center"])
        size = min(MOST_CHANNELS, max(1, count // 2))
        chosen = [np.sort(rng.choice(count, size, replace=False)) for _ in range(taps[..., 0, 0].size)]
        self.arrays |= {"dilations": dilations, "taps": taps.astype(np.float32), "channels": np.stack(chosen)}

    def _features(
        self, read: Read, count: int, threads: int, on_series: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        """Compute the features of the first `count` series, (count, F) float32."""
        from foldline.models.ops import hydra_kernels

        dilations, taps = self.arrays["dilations"], self.arrays["taps"]
        channels = self.arrays["channels"].reshape(2, -1, self.arrays["channels"].shape[-1])
        ends = channels.shape[-1] * np.arange(1, channels.shape[1] + 1)
        x = np.empty((count, *taps.shape[:-1], 2), dtype=np.float32)

        def one(place: int, series: np.ndarray) -> None:
            scaled = self._padded(self._scaled(series))
            for form, values in enumerate((scaled, rocket_features.differences(scaled))):
                hydra_kernels.counted(values, dilations, taps[form], channels[form].ravel(), ends, x[place, form])

        with ThreadPoolExecutor(threads) as pool:  # each series by itself: threads change no bit
            for numbers in series_model.parts(count):
                list(pool.map(one, numbers, read(numbers)))
                if on_series:
                    on_series(int(numbers[-1]) + 1, count)
        return np.sqrt(np.maximum(x, 0)).reshape(count, -1)

    def _padded(self, scaled: np.ndarray) -> np.ndarray:
        """Put steps of LEVEL behind a scaled series (C, T + 2 * border), in front of its border."""
        border = self.config.border
        missing = int(self.arrays["steps"][0]) + 2 * border - scaled.shape[1]
        if missing <= 0:
            return scaled
        inner = scaled[:, border : scaled.shape[1] - border]
        filled = np.pad(inner, ((0, 0), (0, missing)), constant_values=LEVEL)
        return np.pad(filled, ((0, 0), (border, border)))

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        self.arrays, self.kind = series_model.read_arrays(folder)
