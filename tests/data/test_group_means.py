"""Means of groups: the values, and their last bits whatever else is in the frame and however it is cut into pieces."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from foldline.data import group_means


def test_means_come_in_the_order_of_the_groups_and_leave_nulls_out() -> None:
    frame = pl.DataFrame({"g": [5, 2, 5, 2, 9], "a": [1.0, 2.0, 4.0, None, None], "b": [0, 1, 1, 3, 7]})
    expected = pl.DataFrame({"g": [5, 2, 9], "a": [2.5, 2.0, None], "b": [0.5, 2.0, 7.0]})
    assert group_means.of(frame, "g").equals(expected)


def test_the_last_bits_of_a_group_are_its_own() -> None:
    """As many rows as polars adds up by threads in group_by, and values whose sums hang on where they are cut."""
    rng = np.random.default_rng(0)
    groups, values = rng.integers(0, 5, 20_000), rng.normal(size=20_000) * 10.0 ** rng.uniform(-6, 6, 20_000)
    frame = pl.DataFrame({"g": groups, "x": values})
    together = dict(group_means.of(frame, "g").iter_rows())
    cut = pl.concat([frame[:7_001], frame[7_001:]], rechunk=False)
    assert dict(group_means.of(cut, "g").iter_rows()) == together
    for group, mean in together.items():
        own = frame.filter(pl.col("g") == group)
        assert group_means.of(own, "g")["x"].to_list() == [mean]
        assert math.isclose(mean, math.fsum(own["x"]) / own.height, rel_tol=1e-9)
