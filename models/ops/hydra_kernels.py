"""The compiled loop of HYDRA's features: at each step the kernels of a group compete, and wins are counted.

Only systems/hydra.py imports this, inside functions: numba takes a second to import. Outside a series its values count
as 0. A series is given as it is, without padding: nothing can depend on that.
"""

import numpy as np

from foldline.models.ops.rocket_kernels import kernel


@kernel
def _convolve(out: np.ndarray, x: np.ndarray, taps: np.ndarray, dilation: int) -> None:
    """Write the dilated convolution of x (T,) with taps (W,), centred, to out (T,)."""
    steps, width = len(out), len(taps)
    out[:] = 0
    for tap in range(width):
        shift, weight = (tap - width // 2) * dilation, taps[tap]
        for t in range(max(0, -shift), min(steps, steps - shift)):
            out[t] += weight * x[t + shift]


@kernel
def counted(
    x: np.ndarray, dilations: np.ndarray, taps: np.ndarray, channels: np.ndarray, ends: np.ndarray, out: np.ndarray
) -> None:
    """Count the wins of all groups on one series.

    Args:
        x: (C, T) float32.
        dilations: (D,) int64.
        taps: (D, G, K, W) float32, K competing kernels a group.
        channels, ends: those that each of the D * G groups sums over, one after the other, and where each one's end.
        out: (D, G, K, 2) float32: the largest response of each step, summed up for the kernel that has it; and the
            number of steps at which a kernel's response is the smallest.
    """
    levels, groups, competing, _ = taps.shape
    steps = x.shape[1]
    signal, response = np.empty(steps, dtype=np.float32), np.empty(steps, dtype=np.float32)
    largest, smallest = np.empty(steps, dtype=np.float32), np.empty(steps, dtype=np.float32)
    first, last = np.empty(steps, dtype=np.int32), np.empty(steps, dtype=np.int32)
    wins, losses = np.empty(competing), np.empty(competing)
    begin = 0
    for level in range(levels):
        for group in range(groups):
            end = ends[level * groups + group]
            signal[:] = 0
            for channel in channels[begin:end]:
                signal += x[channel]
            begin = end
            _convolve(largest, signal, taps[level, group, 0], dilations[level])
            smallest[:], first[:], last[:] = largest, 0, 0
            for each in range(1, competing):
                _convolve(response, signal, taps[level, group, each], dilations[level])
                for t in range(steps):
                    value = response[t]
                    first[t] = each if value > largest[t] else first[t]
                    largest[t] = max(largest[t], value)
                    last[t] = each if value < smallest[t] else last[t]
                    smallest[t] = min(smallest[t], value)
            wins[:], losses[:] = 0, 0
            for t in range(steps):
                wins[first[t]] += largest[t]
                losses[last[t]] += 1
            for each in range(competing):
                out[level, group, each, 0] = wins[each]
                out[level, group, each, 1] = losses[each]
