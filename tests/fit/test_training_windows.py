"""Windows of series as an index: cut by hand-counted numbers, moved by a draw of each epoch, weighed by place."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from foldline.core.errors import UserError
from foldline.fit import training_windows
from foldline.fit.training_windows import Windows
from foldline.fit.window_config import TrainingWindowsConfig, Weighting

LENGTHS = np.array([3, 10, 4, 11])
EVEN = TrainingWindowsConfig(length=4, stride=3, starts="even", predict=5, overlap=2)


def listed(windows: Windows) -> list[tuple[int, int, int]]:
    """(series, first step, steps) of each."""
    return list(zip(windows.series.tolist(), windows.first.tolist(), windows.steps.tolist(), strict=True))


def test_even_windows_by_hand() -> None:
    expected = [
        (0, 0, 3),
        *((1, first, 4) for first in (0, 3, 6)),
        (2, 0, 4),
        *((3, first, 4) for first in (0, 3, 6, 7)),
    ]
    assert listed(training_windows.for_training(LENGTHS, EVEN, 0, 0)) == expected
    assert training_windows.counts(LENGTHS, 4, 3).tolist() == [1, 3, 1, 4]


def test_windows_of_prediction_overlap_and_reach_the_end() -> None:
    expected = [(0, 0, 3), (1, 0, 5), (1, 3, 5), (1, 5, 5), (2, 0, 4), (3, 0, 5), (3, 3, 5), (3, 6, 5)]
    assert listed(training_windows.for_prediction(LENGTHS, EVEN)) == expected


def test_random_windows_are_the_even_ones_moved_by_up_to_half_a_stride_anew_in_each_epoch() -> None:
    lengths, config = np.array([50, 2, 1000, 49]), replace(EVEN, length=20, stride=15, starts="random")
    even = training_windows.for_training(lengths, replace(config, starts="even"), 0, 0)
    drawn = [training_windows.for_training(lengths, config, *of) for of in ((0, 0), (0, 1), (1, 0), (0, 0))]
    for windows in drawn:
        for name in ("series", "steps", "lengths"):
            assert np.array_equal(getattr(windows, name), getattr(even, name))
        assert (windows.first >= 0).all() and (windows.first + windows.steps <= windows.lengths).all()
        assert (np.abs(windows.first - even.first) <= 8).all()
    assert np.array_equal(drawn[0].first, drawn[3].first)
    assert not np.array_equal(drawn[0].first, drawn[1].first) and not np.array_equal(drawn[0].first, drawn[2].first)


def test_both_ends_of_a_series_are_seen_in_about_half_of_the_epochs_at_least() -> None:
    config = TrainingWindowsConfig(length=20, stride=20)
    drawn = [training_windows.for_training(np.array([100]), config, 0, epoch).first for epoch in range(200)]
    assert np.mean([first.min() == 0 for first in drawn]) > 0.4
    assert np.mean([first.max() == 80 for first in drawn]) > 0.4


def test_weights_by_hand() -> None:
    windows = Windows(np.zeros(4, dtype=int), np.array([0, 3, 5, 0]), np.array([5, 5, 5, 3]), np.array([10, 10, 10, 3]))
    found = {how: training_windows.weights(how, windows, 5, 2).tolist() for how in get_args(Weighting)}
    assert found["flat"] == [[1] * 5] * 3 + [[1, 1, 1, 0, 0]]
    assert found["centre"] == [[1, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    third, two = pytest.approx(1 / 3), pytest.approx(2 / 3)
    assert found["triangle"] == [
        [1, 1, 1, two, third],
        [third, two, 1, two, third],
        [third, two, 1, 1, 1],
        [1, 1, 1, 0, 0],
    ]


@pytest.mark.parametrize("how", get_args(Weighting))
def test_every_step_of_a_series_counts_in_some_window_of_prediction(how: Weighting) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        predict = int(rng.integers(1, 12))
        config = TrainingWindowsConfig(length=3, predict=predict, overlap=int(rng.integers(0, predict)))
        lengths = rng.integers(1, 60, size=3)
        windows = training_windows.for_prediction(lengths, config)
        counted, total = training_windows.weights(how, windows, predict, config.shared), np.zeros((3, 60))
        for (series, first, steps), values in zip(listed(windows), counted, strict=True):
            total[series, first : first + steps] += values[:steps]
            assert not values[steps:].any()
        assert ((total > 0) == (np.arange(60) < lengths[:, None])).all()


def test_a_network_that_reads_its_own_past_predictions_gets_no_windows() -> None:
    training_windows.refuse_own_past("net", TrainingWindowsConfig(length=4), reads_target=False)
    training_windows.refuse_own_past("net", TrainingWindowsConfig(), reads_target=True)
    with pytest.raises(UserError, match=r"model 'net': it reads its own past predictions, .* \{length = 0\}"):
        training_windows.refuse_own_past("net", TrainingWindowsConfig(length=4), reads_target=True)
