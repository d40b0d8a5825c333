"""Ragged arrays: the rows of all series one after the other, N series of their own lengths; and laid side by side."""

from __future__ import annotations

import numpy as np


def consecutive(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """List first[0], first[0] + 1, ... for counts[0] numbers, then those from first[1], and so on: (sum,) int64."""
    some = counts > 0
    first, counts = first[some], counts[some]
    steps = np.ones(int(counts.sum()), dtype=np.int64)  # from a number to the one before it
    begins = np.cumsum(counts) - counts  # where each of them begins in the result
    steps[begins] = first
    steps[begins[1:]] -= first[:-1] + counts[:-1] - 1
    return np.cumsum(steps, out=steps)  # in place: of a million series they are large


def pad(values: np.ndarray, lengths: np.ndarray, steps: int) -> np.ndarray:
    """Lay the rows of each series side by side: (rows, ...) -> (N, steps, ...).

    Zeros stand behind a series' end; rows of a longer series behind `steps` are left out.
    """
    if (lengths == steps).all():  # no copy of contiguous values
        return values.reshape(len(lengths), steps, *values.shape[1:])
    padded = np.zeros((len(lengths), steps, *values.shape[1:]), dtype=values.dtype)
    step = np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    padded[np.arange(steps)[None, :] < lengths[:, None]] = values[step < steps]
    return padded


def unpad(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Reverse `pad` where nothing was left out: (N, T, ...) -> (rows, ...)."""
    if (lengths == values.shape[1]).all():  # no copy of contiguous values
        return values.reshape(len(lengths) * values.shape[1], *values.shape[2:])
    return values[np.arange(values.shape[1])[None, :] < lengths[:, None]]
