"""Smooth curves through few knots, for whole batches at once: splines, and time maps that never run backwards.

Knots lie evenly from 0 to 1. B series, T places, n knots, C curves a series.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from foldline.models.packing import sent

MOST = 100  # knots: generous, so that only slips are refused


def refuse_knots(knots: int) -> None:
    """Refuse a number of knots between the ends that makes no curve.

    Raises:
        ValueError
    """
    if not 1 <= knots <= MOST:
        raise ValueError(f"knots must be from 1 to {MOST}, but is {knots}")


def spline(knots: Tensor, at: Tensor) -> Tensor:
    """Return cubic splines, (B, T, C), that are flat in their second derivative at the ends ("natural").

    Args:
        knots: (B, n, C) values at the knots.
        at: (B, T) places from 0 to 1.
    """
    pieces = sent(torch.from_numpy(_basis(knots.shape[1])), knots.device)  # (n - 1, 4, n)
    segment, inside = _segments(at, knots.shape[1])
    powers = torch.stack([inside**3, inside**2, inside, torch.ones_like(inside)], dim=-1)  # (B, T, 4)
    shares = (powers.unsqueeze(-1) * pieces[segment]).sum(dim=2)  # (B, T, n): of each knot
    return shares @ knots


@cache
def _basis(count: int) -> np.ndarray:
    """Return each segment's polynomial, from its left knot on, for each knot that alone is 1: (n - 1, 4, n)."""
    from scipy.interpolate import CubicSpline

    found = CubicSpline(np.arange(count), np.eye(count), bc_type="natural").c
    return np.ascontiguousarray(found.transpose(1, 0, 2).astype(np.float32))


def _segments(at: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return in which segment places lie, (B, T) int64, and how far from its left knot, (B, T) from 0 to 1."""
    scaled = at * (count - 1)
    segment = scaled.floor().long().clamp(0, count - 2)
    return segment, scaled - segment


def monotone_shift(stretch: Tensor, at: Tensor) -> Tensor:
    """Return by how much a smooth rising map of 0..1 to 0..1 lies above the straight one, (B, T); just 0 where that is.

    A cubic through the knots with harmonic slopes, which never turns: Fritsch & Butland 1984,
    https://doi.org/10.1137/0905021.

    Args:
        stretch: (B, n - 1) by how much more than an even share each segment is stretched, above -1: 0 is even.
        at: (B, T) places from 0 to 1.
    """
    segments = stretch.shape[1]
    below = torch.ones(segments + 1, segments, device=stretch.device).tril(-1)  # sums up the segments before a knot
    sums = stretch @ below.T  # (B, n)
    whole = segments + sums[:, -1:]
    even = torch.arange(segments + 1, device=stretch.device) / segments
    knots = (sums - even * sums[:, -1:]) / whole  # above the straight line; exactly 0 where nothing is stretched
    steep = segments * (1 + stretch) / whole  # (B, n - 1), of each segment
    slopes = torch.cat(
        [steep[:, :1], 2 * steep[:, 1:] * steep[:, :-1] / (steep[:, 1:] + steep[:, :-1]), steep[:, -1:]], dim=1
    )
    bend = (slopes - 1) / segments  # above the straight line's slope, by segment
    segment, s = _segments(at, segments + 1)
    left, right, slope_left, slope_right = (
        values.gather(1, segment + step) for values in (knots, bend) for step in (0, 1)
    )
    rest = 1 - s
    return (
        left * (1 + 2 * s) * rest**2 + slope_left * s * rest**2 + right * s**2 * (3 - 2 * s) - slope_right * s**2 * rest
    )
