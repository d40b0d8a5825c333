"""Features of a whole series by thousands of fixed kernels, as MiniRocket and MultiRocket have them.

Sources: MiniRocket, Dempster, Schmidt & Webb 2021, https://doi.org/10.1145/3447548.3467231 (kernels, dilations, biases,
the share of positive values); MultiRocket, Tan et al. 2022, https://doi.org/10.1007/s10618-022-00844-1 (first
differences beside the series, three more poolings). Otherwise than there: a series keeps its own length, places and
stretches are shares of it; dilations follow the median length of the series that the kernels are fitted on, and every
channel is scaled. Differences of a series of one step are one 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

TAPS, KERNELS = 9, 84  # weights of a kernel; kernels, each used with many dilations and biases
MOST_CHANNELS = 9  # that one kernel sums over, as in the paper
GOLDEN = (5**0.5 + 1) / 2
ARRAYS = ("dilations", "counts", "channels", "ends", "biases")


@dataclass(frozen=True)
class Kernels:
    """Fitted kernels over one form of the series: dilations, channels, biases."""

    dilations: np.ndarray  # (D,) int64
    counts: np.ndarray  # (D,) int64, biases of each kernel at that dilation
    channels: np.ndarray  # int64, of the D * 84 kernels, one after the other
    ends: np.ndarray  # (D * 84,) int64, where each one's channels end
    biases: np.ndarray  # (B,) float32, kernel by kernel

    def transform(self, series: Sequence[np.ndarray], pools: int, out: np.ndarray, threads: int) -> None:
        """Write the features of n series, each (C, T) float32, to out, (n, B, pools) float32. pools: 1 or 4."""
        from foldline.models.ops import rocket_kernels

        def one(number: int) -> None:
            arrays = (self.dilations, self.counts, self.channels, self.ends, self.biases)
            rocket_kernels.pooled(series[number], *arrays, pools > 1, out[number])

        with ThreadPoolExecutor(threads) as pool:  # each series by itself: threads change no bit
            list(pool.map(one, range(len(series))))


def fit(
    series: Callable[[int], np.ndarray], lengths: np.ndarray, channels: int, wanted: int, rng: np.random.Generator
) -> Kernels:
    """Draw kernels for n series.

    Args:
        series: returns one of them by its number, (C, T) float32; biases are quantiles of convolutions with some.
        lengths: (n,) of the series.
        channels: C.
        wanted: about so many biases, at least one for each of the 84 kernels.
    """
    from foldline.models.ops import rocket_kernels

    dilations, counts = dilations_for(int(np.median(lengths)), max(1, wanted // KERNELS))
    chosen = [_channels(channels, rng) for _ in range(len(dilations) * KERNELS)]
    drawn = rng.integers(len(lengths), size=len(chosen))
    biases, used = [], 0
    for place, (which, owner) in enumerate(zip(chosen, drawn, strict=True)):
        level, number = divmod(place, KERNELS)
        values = rocket_kernels.convolution(series(int(owner)), which, number, level, int(dilations[level]))
        at = (np.arange(used + 1, used + 1 + counts[level]) * GOLDEN) % 1
        biases.append(np.quantile(values, at))
        used += int(counts[level])
    ends = np.cumsum([len(which) for which in chosen])
    return Kernels(dilations, counts, np.concatenate(chosen), ends, np.concatenate(biases).astype(np.float32))


def dilations_for(steps: int, biases: int, most: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Spread a kernel's biases over dilations up to that which spans a series: (D,) dilations, (D,) biases of each.

    A series of fewer than 9 steps has the dilation 1 alone.
    """
    count = min(biases, most)
    largest = max(0.0, np.log2(max(1, steps - 1) / (TAPS - 1)))
    spread = np.logspace(0, largest, count, base=2).astype(np.int64)
    dilations, times = np.unique(spread, return_counts=True)
    counts = times * (biases // count)
    rest = biases - int(counts.sum())
    counts[: len(counts)] += rest // len(counts)
    counts[: rest % len(counts)] += 1
    return dilations, counts.astype(np.int64)


def _channels(count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the channels that a kernel sums over, (c,) int64 sorted: their number uniform in its logarithm."""
    most = min(count, MOST_CHANNELS)
    number = int(2 ** rng.uniform(0, np.log2(most + 1)))
    return np.sort(rng.choice(count, size=min(number, most), replace=False)).astype(np.int64)


def differences(x: np.ndarray) -> np.ndarray:
    """Return the first differences of a series, (C, T) to (C, T - 1); of one step (C, 1) zeros."""
    return np.zeros_like(x) if x.shape[1] == 1 else np.ascontiguousarray(np.diff(x, axis=1))
