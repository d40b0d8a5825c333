"""ranked: gaps settled inside the smoother's windows, on simulated breaths and on real ones where there are any."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ventilator import simulator
from ventilator.controller import grid_index
from ventilator.estimation import decoded, smooth
from ventilator.estimation.ranked import ranked

REAL = Path(os.environ.get("FOLDLINE_REAL_DATA", Path(__file__).parents[2] / "../shared/data/ventilator"))
real = pytest.mark.skipif(not (REAL / "train.csv").exists(), reason=f"no real breaths at {REAL} (FOLDLINE_REAL_DATA)")
MOST_WRONG = 0.01  # of the ranked rows, as docs/decoder.md says


def rank(frame: pl.DataFrame) -> tuple[int, int]:
    """Rank a labelled frame's rows; count them, and the wrong ones. None of them is exact already."""
    breaths, known, places = decoded(frame)
    pressure = ranked(frame, breaths, known, smooth(breaths, known))
    rows = ~np.isnan(pressure)
    assert not np.any(rows & ((known.kind > 0) | (breaths.u_out == 1)))
    truth = grid_index(frame["pressure"].to_numpy()[places])
    return int(rows.sum()), int(np.sum(grid_index(pressure[rows]) != truth[rows]))


def simulated(breaths: int, seed: int) -> pl.DataFrame:
    return simulator.frame(simulator.simulate(breaths, seed), np.arange(breaths))


def test_ranked_rows_are_right() -> None:
    rows, wrong = rank(simulated(80, 41))
    assert wrong == 0
    assert rows >= 5


@pytest.mark.slow
def test_few_ranked_rows_are_wrong() -> None:
    rows, wrong = rank(simulated(4000, 42))
    assert rows >= 300
    assert wrong <= MOST_WRONG * rows


@real
@pytest.mark.slow
def test_ranked_rows_of_labelled_breaths_are_right() -> None:
    rows, wrong = rank(pl.read_csv(REAL / "train.csv"))
    assert wrong == 0
    assert rows >= 45
