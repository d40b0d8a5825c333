"""Rank gaps that the decoder must leave: rows whose only grid solution lies inside the smoother's window.

They are no exact rows: they rest on an estimate. Of a thousand, how many are wrong, a test counts
(tests/ventilator/test_estimation_ranked.py); the bound is decoder/settle.py's CHANCE.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ventilator.controller import GRID_MIN, GRID_STEP, U_MAX, Array, grid_pressure
from ventilator.decoder.breaths import table
from ventilator.decoder.decode import open_gaps
from ventilator.decoder.settle import LONGEST, settle_gap, window
from ventilator.estimation.known import Known
from ventilator.estimation.smoother import Posterior
from ventilator.measure import Recorded


def ranked(frame: pl.DataFrame, breaths: Recorded, known: Known, posterior: Posterior) -> Array:
    """Settle the gaps of N breaths of 80 rows inside the windows of an estimate.

    Args:
        frame: the competition's columns.
        breaths: its breaths, as `estimation.decoded` returns them;
        known: and what is exact of them.
        posterior: its estimates; windows are of the model's own sd, with which wrong rows were counted.

    Returns (N, 80) pressures (cmH2O) of ranked rows, nan everywhere else.
    """
    pressure, rows_of = np.full(known.pressure.shape, np.nan), table(frame)
    for i in np.flatnonzero(_may_have_equation(breaths, known)):
        for gap in open_gaps(rows_of, int(i)):
            rows = slice(gap.first, gap.first + len(gap.equation.weight))
            if len(gap.equation.weight) > LONGEST:
                continue
            mean, sd = (posterior.mean[i, rows] - GRID_MIN) / GRID_STEP, posterior.modelled_sd[i, rows] / GRID_STEP
            sides = window(mean, sd, gap.equation)
            solution = None if sides is None else settle_gap(*sides, gap)
            if solution is not None:
                pressure[i, rows] = grid_pressure(solution)
    return pressure


def _may_have_equation(breaths: Recorded, known: Known) -> NDArray[np.bool_]:
    """Return (N,) whether a breath with known gains has an unknown row before an unclipped one: only then it can."""
    unclipped = (breaths.u_in > 0.0) & (breaths.u_in < U_MAX) & (breaths.u_out == 0)
    followed = np.flip(np.logical_or.accumulate(np.flip(unclipped, axis=1), axis=1), axis=1)
    return np.asarray(~np.isnan(known.kt) & np.any(followed & (known.kind == 0), axis=1))
