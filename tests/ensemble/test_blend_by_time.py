"""Blends of time folds: what is reported of a fold is fitted on what was known before it, and on nothing else."""

from __future__ import annotations

from dataclasses import replace

import blends
import numpy as np
import pytest

from foldline.ensemble import BlendConfig, BlendRows, nested, post_processing, tidying
from foldline.ensemble.methods import FITS
from foldline.ensemble.post_processing import PostConfig
from foldline.experiment import after_blend

QUICK = BlendConfig(trials=6, rounds=3, candidates=("best-member", "mean", "hill-climb", "nnls"))


def by_time(rows: BlendRows) -> BlendRows:
    """Four folds one after the other; of each the last series end in the gap before the next fold."""
    series = rows.series
    fold = series // (series.max() // 4 + 1)
    late = np.isin(series, [series[fold == number].max() for number in range(4)])
    return replace(rows, fold=fold, known_from=fold + 1 + late)


@pytest.mark.parametrize("method", ["auto", *FITS])
def test_a_fold_is_blended_by_what_is_known_before_it(method: str) -> None:
    rows = by_time(blends.fitting(method))
    assert rows.known_from is not None
    before = nested(QUICK, rows, method).values
    for number in (0, 2):
        later = rows.known_from > number  # the fold, those after it, and what ends in the gap
        other = 1.0 - rows.y if rows.kind == "binary" else 1000.0 * rows.predictions[2]
        changed = replace(rows, y=np.where(later[:, None], other, rows.y))
        after = nested(QUICK, changed, method).values
        assert np.array_equal(after[rows.fold <= number], before[rows.fold <= number])


def test_the_first_fold_has_equal_weights_and_the_others_learn_from_those_before() -> None:
    rows = by_time(blends.noisy())
    assert rows.known_from is not None
    found = nested(QUICK, rows, "nnls")
    first = rows.fold == 0
    np.testing.assert_array_equal(found.values[first], found.fitted[0].apply(rows.predictions[:, first]))
    assert found.fitted[0].weights == (1 / 3,) * 3
    changed = replace(rows, y=np.where((rows.known_from <= 1)[:, None], 1000.0 * rows.predictions[2], rows.y))
    after = nested(QUICK, changed, "nnls").values
    assert (after[rows.fold == 1] != found.values[rows.fold == 1]).all()


def test_groups_of_a_fold_take_no_part_in_its_blend() -> None:
    rows = by_time(blends.noisy())
    rows = replace(rows, subject=rows.series % 7)
    for held, others in rows.splits:
        assert not np.intersect1d(rows.subject[held], rows.subject[others]).size  # type: ignore[index]
    parts = rows.cv_parts  # of a choice inside a fit
    assert all(len(np.unique(parts[rows.subject == number])) == 1 for number in range(7))


def test_grids_and_rounding_of_a_fold_come_from_those_before_it() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 40, size=(240, 1)) / 2.0
    rows = by_time(blends.rows(y[None] + rng.normal(scale=0.1, size=(2, 240, 1)), y))
    found = nested(QUICK, rows, "mean")
    snapped = after_blend.snapped_by_fold(found, rows)
    tidied = tidying.by_fold(found.values, found.fitted, rows, PostConfig(decimals=1), "decimals")
    for values in (snapped, tidied):
        assert np.array_equal(values[rows.fold == 0], found.values[rows.fold == 0])  # nothing is known before it
        assert not np.array_equal(values[rows.fold == 1], found.values[rows.fold == 1])
    assert post_processing.helpful_grids(y[:0], y[:0], rows.metric) == [None]
