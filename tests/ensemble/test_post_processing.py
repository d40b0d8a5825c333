"""Grids of targets: found where there is one, also when printed short; used for a target whose score gains by it."""

from __future__ import annotations

import numpy as np
import pytest

from foldline.data import target_grid
from foldline.data.metrics import METRICS, Metric, NotScorable
from foldline.data.target_grid import Grid
from foldline.ensemble import post_processing


def on_grid(offset: float, step: float, count: int, rows: int = 2000) -> np.ndarray:
    """Values drawn from a grid; both ends and a gap of one step are among them."""
    index = np.random.default_rng(0).integers(0, count, size=rows)
    index[:3] = [0, 1, count - 1]
    return offset + step * index


@pytest.mark.parametrize(
    ("offset", "step", "count"), [(0.0, 0.5, 20), (-1.895744294564641, 0.0703021454512, 950), (100.0, 1e-3, 64)]
)
def test_an_even_grid_is_found(offset: float, step: float, count: int) -> None:
    grid = target_grid.detect_grid(on_grid(offset, step, count))
    assert grid is not None and grid.count == count
    assert (grid.offset, grid.step) == (pytest.approx(offset, abs=1e-9), pytest.approx(step, rel=1e-9))


def test_values_printed_with_fewer_digits_are_on_it_too() -> None:
    values = on_grid(-1.895744294564641, 0.0703021454512, 950)
    printed = np.concatenate([values, np.round(values[:200], 7)])
    grid = target_grid.detect_grid(printed)
    assert grid is not None and grid.count == 950
    assert np.abs(grid.snap(printed) - printed).max() < 1e-6


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=500),
        np.full(100, 3.0),
        np.repeat([0.0, 1.0, 2.0], 50),  # too few different values to call it a grid
        np.append(on_grid(0.0, 0.5, 20), 0.61803),  # one value between
        np.array([1.0]),
    ],
    ids=["continuous", "constant", "three values", "one astray", "one row"],
)
def test_no_grid_is_seen_where_there_is_none(values: np.ndarray) -> None:
    assert target_grid.detect_grid(values) is None


def test_snapping_takes_the_nearest_value_and_stays_inside() -> None:
    grid = Grid(offset=1.0, step=0.5, count=4)  # 1, 1.5, 2, 2.5
    assert grid.snap(np.array([-9.0, 1.2, 1.3, 2.1, 9.0])).tolist() == [1.0, 1.0, 1.5, 2.0, 2.5]


def test_each_target_has_its_own_grid() -> None:
    y = np.stack([on_grid(0.0, 0.5, 20), np.random.default_rng(1).normal(size=2000)], axis=1)
    grids = target_grid.detect_grids(y)
    assert grids[0] is not None and grids[1] is None
    snapped = post_processing.snap(y + 0.1, grids)
    np.testing.assert_allclose(snapped[:, 0], y[:, 0], atol=1e-9)
    assert np.array_equal(snapped[:, 1], y[:, 1] + 0.1)


def random_rounding(rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Integers (R,), and their expected values (R,): what a model of squared errors predicts at best."""
    rng = np.random.default_rng(2)
    mean = rng.uniform(2.2, 15.8, size=rows)
    return np.floor(mean + rng.uniform(size=rows)), mean


@pytest.mark.parametrize(("metric", "second"), [("rmse", False), ("mse", False), ("mae", True)])
def test_a_grid_is_used_for_the_targets_that_gain_by_it(metric: str, second: bool) -> None:
    """The first target's predictions are close to it; the second's are its mean: rounding raises the squared error."""
    integers, mean = random_rounding()
    truth = np.stack([on_grid(0.0, 0.5, 20, rows=4000), integers], axis=1)
    predictions = np.stack([truth[:, 0] + 0.1, mean], axis=1)
    grids = post_processing.helpful_grids(truth, predictions, METRICS[metric])
    assert [grid is not None for grid in grids] == [True, second]
    scores = [METRICS[metric](truth, values) for values in (predictions, post_processing.snap(predictions, grids))]
    assert scores[1] < scores[0]


def test_the_metric_of_all_targets_decides() -> None:
    """A target that the metric leaves out can't improve it: its grid is not used."""
    truth = np.stack([on_grid(0.0, 0.5, 20)] * 2, axis=1)
    first_only = Metric(lambda y, p: np.abs(y - p) * np.array([1.0, 0.0]), float, "l1")
    grids = post_processing.helpful_grids(truth, truth + 0.1, first_only)
    assert [grid is not None for grid in grids] == [True, False]


def test_a_grid_that_changes_nothing_is_not_used() -> None:
    truth = on_grid(0.0, 0.5, 20)[:, None]
    assert post_processing.helpful_grids(truth, truth, METRICS["mae"]) == [None]


def test_a_grid_on_which_predictions_have_no_score_is_not_used() -> None:
    """A correlation is not defined on predictions that are all rounded to one value."""
    truth = on_grid(0.0, 0.5, 20)[:, None]

    def correlation(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None) -> float:
        if (p == p[0]).all():
            raise NotScorable("all are the same")
        return float(np.corrcoef(y[:, 0], p[:, 0])[0, 1])

    metric = Metric(None, float, "l2", higher_is_better=True, compute=correlation)
    assert post_processing.helpful_grids(truth, 5.0 + truth / 1000, metric) == [None]
    assert post_processing.helpful_grids(truth, np.full(truth.shape, 5.0), metric) == [None]


def test_no_values_lie_on_no_grid() -> None:
    assert target_grid.detect_grid(np.zeros(0)) is None
