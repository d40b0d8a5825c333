"""The compiled loops of the ROCKET features: convolutions of one series with dilated kernels, and their pooling.

Only rocket_features.py imports this, inside functions: numba takes a second to import. A kernel has 9 weights, three
of 2 and six of -1: as -1 everywhere and 3 more at three places, the sum over the 9 places is shared by all 84 kernels.
Outside a series its values count as 0. A series is given as it is, without padding: nothing can depend on that.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any, TypeVar

import numba
import numpy as np

TAPS, KERNELS, POOLS = 9, 84, 4
THREES = np.array(list(combinations(range(TAPS), 3)), dtype=np.int64)  # (84, 3) places of the weights of 2
Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile on the first call, or load from numba's cache; threads run it side by side."""
    compiled: Function = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return compiled


@kernel
def _add_shifted(out: np.ndarray, values: np.ndarray, shift: int, factor: float) -> None:
    """Add factor * values[t + shift] to out[t], (T,), where that is inside the series."""
    steps = len(out)
    low, high = max(0, -shift), min(steps, steps - shift)
    weight = np.float32(factor)
    for t in range(low, high):
        out[t] += weight * values[t + shift]


@kernel
def _convolve(
    out: np.ndarray, x: np.ndarray, base: np.ndarray, chosen: np.ndarray, threes: np.ndarray, dilation: int
) -> None:
    """Sum over the chosen channels a kernel's convolution: x and base (C, T), base[c] = -(sum over the 9 places)."""
    out[:] = 0
    for channel in chosen:
        out += base[channel]
        for place in threes:
            _add_shifted(out, x[channel], (place - 4) * dilation, 3.0)


@kernel
def _bases(x: np.ndarray, dilation: int) -> np.ndarray:
    base = np.zeros_like(x)
    for channel in range(x.shape[0]):
        for place in range(TAPS):
            _add_shifted(base[channel], x[channel], (place - 4) * dilation, -1.0)
    return base


@kernel
def _window(number: int, dilation: int, steps: int) -> tuple[int, int]:
    """Return first and last + 1 of the steps that are pooled.

    Every second kernel keeps to the steps at which it lies inside the series whole, if there are any; else all count.
    """
    reach = (TAPS // 2) * dilation
    if number % 2 == 0 or steps <= 2 * reach:
        return 0, steps
    return reach, steps - reach


@kernel
def pooled(
    x: np.ndarray,
    dilations: np.ndarray,
    counts: np.ndarray,
    channels: np.ndarray,
    ends: np.ndarray,
    biases: np.ndarray,
    every: bool,
    out: np.ndarray,
) -> None:
    """Compute the features of one series.

    Args:
        x: (C, T) float32.
        dilations, counts: (D,) and the number of biases of each kernel at that dilation.
        channels, ends: those of each of the D * 84 kernels, one after the other, and where each one's end.
        biases: (B,), kernel by kernel.
        every: all four poolings; else the share of positive values alone.
        out: (B, 4) or (B, 1), for PPV, and mean, mean place and longest stretch of the positive values.
    """
    steps = x.shape[1]
    conv = np.empty(steps, dtype=np.float32)
    bias, begin = 0, 0
    for level in range(len(dilations)):
        dilation = dilations[level]
        base = _bases(x, dilation)
        for number in range(KERNELS):
            end = ends[level * KERNELS + number]
            _convolve(conv, x, base, channels[begin:end], THREES[number], dilation)
            begin = end
            low, high = _window(level + number, dilation, steps)
            for _ in range(counts[level]):
                if every:
                    _pool_all(conv, low, high, biases[bias], out[bias])
                else:
                    out[bias, 0] = _share(conv, low, high, biases[bias])
                bias += 1


@kernel
def _share(conv: np.ndarray, low: int, high: int, bias: float) -> float:
    count = 0
    for t in range(low, high):
        count += conv[t] > bias
    return count / (high - low)


@kernel
def _pool_all(conv: np.ndarray, low: int, high: int, bias: float, out: np.ndarray) -> None:
    """Pool what lies above the bias; places and stretches are shares of the window. Nothing above: zeros."""
    count, total, places, stretch, longest = 0, 0.0, 0, 0, 0
    for t in range(low, high):
        if conv[t] > bias:
            count += 1
            total += conv[t] - bias
            places += t - low
            stretch += 1
            longest = max(longest, stretch)
        else:
            stretch = 0
    window = high - low
    out[0], out[3] = count / window, longest / window
    out[1], out[2] = (total / count, places / count / window) if count else (0.0, 0.0)


@kernel
def convolution(x: np.ndarray, chosen: np.ndarray, number: int, level: int, dilation: int) -> np.ndarray:
    """Return the pooled steps of a kernel's convolution with one series, (C, T), from which biases are drawn."""
    conv = np.empty(x.shape[1], dtype=np.float32)
    _convolve(conv, x, _bases(x, dilation), chosen, THREES[number], dilation)
    low, high = _window(level + number, dilation, x.shape[1])
    return conv[low:high]
