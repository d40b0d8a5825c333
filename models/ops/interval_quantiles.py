"""Quantiles of dyadic intervals of a series, its differences and its spectrum, as QUANT has them.

Source: Dempster, Schmidt & Webb 2024, https://doi.org/10.1007/s10618-024-01036-9. An interval of m values gives every
fourth of its quantiles, of which every second is taken less the interval's mean. Otherwise than there: a series keeps
its own length, intervals are shares of it, and how many quantiles one gives follows a reference length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

SMOOTHED = 5  # steps that the first differences are averaged over
SPARSE = 4  # values of an interval to a quantile
LEAST = 7  # steps that a series is stretched to: of fewer there are no second differences to speak of
Interval = tuple[float, float, int]  # where it begins and ends, shares of the series, and its quantiles


def forms(x: np.ndarray) -> list[np.ndarray]:
    """Return series (n, C, T), their smoothed first differences, second ones, and magnitudes of their spectrum."""
    first = np.diff(x, axis=2)
    wide = np.pad(first, ((0, 0), (0, 0), (SMOOTHED // 2, SMOOTHED // 2)), mode="edge")
    smooth = np.lib.stride_tricks.sliding_window_view(wide, SMOOTHED, axis=2).mean(axis=3)
    return [x, smooth, np.diff(x, n=2, axis=2), np.abs(np.fft.rfft(x, axis=2))]


def steps_of(steps: int) -> list[int]:
    """Return the lengths of the four forms of a series of so many steps."""
    return [steps, steps - 1, steps - 2, steps // 2 + 1]


def intervals(steps: int, depth: int) -> list[Interval]:
    """Split a form of so many values in two again and again, each split also moved by half an interval."""
    found = []
    for level in range(min(depth, int(np.log2(steps)) + 1)):
        count = 2**level
        begins = [each / count for each in range(count)]
        begins += [(each + 0.5) / count for each in range(count - 1)]  # moved; of the whole there is none
        found += [(begin, begin + 1 / count, 1 + (round(steps / count) - 1) // SPARSE) for begin in begins]
    return found


def features(series: Sequence[np.ndarray], steps: int, depth: int) -> np.ndarray:
    """Compute the features of n series, each (C, T), as (n, F) float32. steps: the reference length, LEAST or more."""
    grids = [intervals(length, depth) for length in steps_of(steps)]
    lengths = np.array([each.shape[1] for each in series])
    x = np.empty((len(series), count(series[0].shape[0], steps, depth)), dtype=np.float32)
    for length in np.unique(lengths):
        which = np.flatnonzero(lengths == length).tolist()
        alike = np.stack([np.asarray(series[number], dtype=np.float64) for number in which])
        if length < LEAST:
            alike = np.repeat(alike, -(-LEAST // int(length)), axis=2)
        parts = [part for form, grid in zip(forms(alike), grids, strict=True) for part in _quantiles(form, grid)]
        x[which] = np.concatenate([part.reshape(len(which), -1) for part in parts], axis=1)
    return x


def count(channels: int, steps: int, depth: int) -> int:
    """Return the number of features F of a series of so many channels."""
    return channels * sum(wanted for each in steps_of(steps) for _, _, wanted in intervals(each, depth))


def _quantiles(form: np.ndarray, grid: list[Interval]) -> Iterator[np.ndarray]:
    """Yield each interval's quantiles of (n, C, T): (n, C, q)."""
    steps = form.shape[2]
    for low, high, wanted in grid:
        begin = min(round(low * steps), steps - 1)
        ordered = np.sort(form[:, :, begin : max(begin + 1, round(high * steps))], axis=2)
        last = ordered.shape[2] - 1
        at = np.linspace(0, last, wanted) if wanted > 1 else np.array([last / 2])
        lower = np.floor(at).astype(int)
        part, above = at - lower, np.minimum(lower + 1, last)
        found = ordered[:, :, lower] * (1 - part) + ordered[:, :, above] * part
        found[:, :, 1::2] -= ordered.mean(axis=2, keepdims=True)
        yield found
