"""Grids: found where they are, also when printed short, and not where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from foldline.blend import post_processing
from foldline.data import target_grid
from foldline.data.target_grid import Grid


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
