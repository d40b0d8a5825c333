"""ranked: gaps settled inside the smoother's windows, on simulated breaths and on real ones where there are any."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ventilator import open_rows, simulator
from ventilator.controller import grid_index
from ventilator.estimation import decoded_with_gaps, embedded, smooth
from ventilator.estimation.ranked import ranked

REAL = Path(os.environ.get("FOLDLINE_REAL_DATA", Path(__file__).parents[2] / "../shared/data/ventilator"))
real = pytest.mark.skipif(not (REAL / "train.csv").exists(), reason=f"no real breaths at {REAL} (FOLDLINE_REAL_DATA)")
MOST_WRONG = 0.01  # of the ranked rows, as docs/decoder.md says


def rank(frame: pl.DataFrame) -> tuple[int, int]:
    """Rank a labelled frame's rows; count them, and the wrong ones. None of them is exact already."""
    breaths, known, places, gaps = decoded_with_gaps(frame)
    posterior = smooth(breaths, known)
    pressure = ranked(gaps, posterior.mean, posterior.sd)
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


def rank_held_out(frame: pl.DataFrame, folds: int) -> tuple[int, int]:
    """Rank as a pipeline does, each fold by lungs that know exact rows and the other folds' labels; count."""
    rows = open_rows.prepared(frame)
    truth, exact = frame["pressure"].to_numpy(), open_rows.exact(rows)
    fold = (frame["breath_id"].rank("dense").to_numpy() - 1) % folds
    found = np.full(len(truth), np.nan)
    for number in range(folds):
        held = fold == number
        known = np.where(held | (frame["u_out"].to_numpy() == 1), exact, truth)
        estimate = open_rows.estimated(rows, open_rows.fitted([(rows, known)]))
        found[held] = open_rows.ranked(rows, estimate.mean, estimate.sd)[held]
    settled = ~np.isnan(found)
    assert not np.any(settled & ~np.isnan(exact))
    return int(settled.sum()), int(np.sum(grid_index(found[settled]) != grid_index(truth[settled])))


def test_prepared_gaps_are_those_of_the_frame_in_its_order() -> None:
    frame = simulated(40, 43)
    breaths, known, places, gaps = decoded_with_gaps(frame)
    posterior = smooth(breaths, known)
    expected = ranked(gaps, posterior.mean, posterior.sd)
    order = np.random.default_rng(0).permutation(frame.height)
    rows = open_rows.prepared(frame[order])
    estimate = open_rows.estimated(rows, embedded())
    found = np.empty(frame.height)
    found[order] = open_rows.ranked(rows, estimate.mean, estimate.sd)
    np.testing.assert_array_equal(found[places], expected)
    assert not np.isnan(expected).all()


def test_a_gap_whose_estimate_is_unknown_is_left() -> None:
    rows = open_rows.prepared(simulated(40, 43))
    estimate = open_rows.estimated(rows, embedded())
    assert np.isnan(open_rows.ranked(rows, np.full_like(estimate.mean, np.nan), estimate.sd)).all()


@pytest.mark.slow
@pytest.mark.learned
def test_few_rows_that_folds_rank_are_wrong() -> None:
    rows, wrong = rank_held_out(simulated(2000, 44), 2)
    assert rows >= 150
    assert wrong <= MOST_WRONG * rows


@real
@pytest.mark.slow
@pytest.mark.learned
def test_rows_of_labelled_breaths_that_folds_rank_are_right() -> None:
    rows, wrong = rank_held_out(pl.read_csv(REAL / "train.csv"), 5)
    assert wrong == 0
    assert rows >= 45


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
