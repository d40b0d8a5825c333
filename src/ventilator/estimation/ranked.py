"""Rank gaps that the decoder must leave: rows whose only grid solution lies inside the smoother's window.

They are no exact rows: they rest on an estimate. Of a thousand, how many are wrong, a test counts
(tests/ventilator/test_estimation_ranked.py); the bound is decoder/settle.py's CHANCE.
"""

from math import sqrt
from typing import Final

import numpy as np

from ventilator.controller import GRID_MIN, GRID_STEP, Array, grid_pressure
from ventilator.decoder import OpenGaps
from ventilator.decoder.settle import CHANCE, settle_gap, window

SHARE_OF_SD: Final = sqrt(CHANCE)  # a ranked row is right, but for a share of CHANCE at most: then it errs as estimated


def ranked(gaps: OpenGaps, mean: Array, sd: Array) -> Array:
    """Settle the gaps of N breaths of 80 rows inside the windows of an estimate.

    Args:
        gaps: that the decoder has left of them.
        mean: (N, 80) cmH2O, estimates; a gap with a nan is left.
        sd: (N, 80) cmH2O, their standard deviations.

    Returns (N, 80) pressures (cmH2O) of ranked rows, nan everywhere else.
    """
    pressure = np.full(mean.shape, np.nan)
    for breath, gap in gaps:
        rows = breath, slice(gap.first, gap.first + len(gap.equation.weight))
        if np.isnan(mean[rows]).any():
            continue
        sides = window((mean[rows] - GRID_MIN) / GRID_STEP, sd[rows] / GRID_STEP, gap.equation)
        solution = None if sides is None else settle_gap(*sides, gap)
        if solution is not None:
            pressure[rows] = grid_pressure(solution)
    return pressure
