"""Masks of known steps for other series, and the known rows next to a row, each against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from foldline.data.known_masks import KnownMasks, neighbours

MASKS = KnownMasks(np.array([1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 0], dtype=bool), np.array([4, 2, 5]))


def test_a_series_gets_the_mask_of_a_test_series_as_long() -> None:
    drawn = MASKS.drawn(np.full(50, 5), np.random.default_rng(0)).reshape(50, 5)
    assert (drawn == [False, True, False, True, False]).all()


def test_each_of_equal_length_is_drawn_and_series_are_drawn_apart() -> None:
    masks = KnownMasks(np.array([1, 0, 0, 1], dtype=bool), np.array([2, 2]))
    drawn = masks.drawn(np.full(1000, 2), np.random.default_rng(0)).reshape(1000, 2)
    assert (drawn.sum(axis=1) == 1).all() and 400 < drawn[:, 0].sum() < 600


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(1, [1]), (2, [1, 1]), (3, [1, 1, 1]), (9, [0, 0, 1, 0, 0, 0, 1, 0, 0])],  # 3 is as near to 2 as to 4
)
def test_other_lengths_take_the_nearest_stretched(steps: int, expected: list[int]) -> None:
    drawn = MASKS.drawn(np.array([steps, 4, steps]), np.random.default_rng(0))
    assert drawn[:steps].tolist() == drawn[-steps:].tolist() == [bool(one) for one in expected]
    assert drawn[steps : steps + 4].tolist() == [True, False, False, True]


def test_the_same_generator_draws_the_same() -> None:
    lengths = np.random.default_rng(1).integers(1, 9, 40)
    masks = KnownMasks(np.random.default_rng(2).random(60) < 0.5, np.full(12, 5))
    first, again, other = (masks.drawn(lengths, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_neighbours_are_those_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 7, 60)
    known = rng.random(lengths.sum()) < 0.3
    before, after, first = [], [], 0
    for steps in lengths:
        own = [first + step for step in range(steps) if known[first + step]]
        for row in range(first, first + steps):
            before.append(max((place for place in own if place < row), default=-1))
            after.append(min((place for place in own if place > row), default=-1))
        first += steps
    found = neighbours(known, lengths)
    assert found[0].tolist() == before and found[1].tolist() == after
