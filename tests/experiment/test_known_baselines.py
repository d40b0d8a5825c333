"""Baselines from known values anywhere in a series, counted by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from foldline.data.roles import DataConfig
from foldline.data.table import Table
from foldline.experiment import known_baselines

DATA = DataConfig(id="id", key="key", order="t", inputs=("x",), target=("y",), known=("y",), source="folder")
TIMES, VALUES = [0.0, 1.0, 4.0, 5.0, 6.0, 0.0, 3.0, 0.0], [9.0, 2.0, 7.0, 7.0, 4.0, 5.0, 6.0, 8.0]
GIVEN = np.array([0, 1, 0, 0, 1, 0, 1, 0], dtype=bool)  # three series, of 5, 2 and 1 rows


def table() -> Table:
    rows = np.arange(8)
    frame = pl.DataFrame({"id": rows, "key": [1] * 5 + [2] * 2 + [3], "t": TIMES, "x": rows, "y": VALUES})
    return replace(Table(Path("t"), DATA, frame, np.array([5, 2, 1])), given=GIVEN)


def test_the_value_before_then_the_one_behind_then_the_constant() -> None:
    found = known_baselines.last(table(), np.array([0, 2, 3, 5, 7]), np.array([-1.0]))
    assert found[:, 0].tolist() == [2.0, 2.0, 2.0, 6.0, -1.0]


def test_between_two_values_it_is_the_line_by_time() -> None:
    found = known_baselines.interpolated(table(), np.array([0, 2, 3, 5, 7]), np.array([-1.0]))
    np.testing.assert_allclose(found[:, 0], [2.0, 2.0 + 3 / 5 * 2, 2.0 + 4 / 5 * 2, 6.0, -1.0])


def test_no_unknown_value_is_read() -> None:
    own = table()
    other = replace(own, frame=own.frame.with_columns(y=np.where(GIVEN, VALUES, 1e6)))
    rows, otherwise = np.flatnonzero(~GIVEN), np.zeros(1)
    for baseline in (known_baselines.last, known_baselines.interpolated):
        np.testing.assert_array_equal(baseline(own, rows, otherwise), baseline(other, rows, otherwise))
