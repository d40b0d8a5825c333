"""The lengths that series are padded to: few, the longest among them, and the ones that leave the least padding."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from foldline.fit import padded_lengths
from foldline.fit.padded_lengths import MOST_LENGTHS, chosen_lengths, place_of


@pytest.fixture(autouse=True)
def every_step_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small data are padded like large ones."""
    monkeypatch.setattr(padded_lengths, "LITTLE_STEPS", 0)


def padding(lengths: np.ndarray, chosen: tuple[int, ...]) -> int:
    return int((np.array(chosen)[place_of(lengths, chosen)] - lengths).sum())


def test_series_of_one_length_are_padded_to_it() -> None:
    assert chosen_lengths(np.full(50, 80)) == (80,)


def test_little_padding_needs_no_further_length() -> None:
    assert chosen_lengths(np.array([95, 100] * 20)) == (100,)
    assert chosen_lengths(np.array([50, 100] * 20)) == (50, 100)


def test_few_series_need_none_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(padded_lengths, "LITTLE_STEPS", 1 << 16)
    assert chosen_lengths(np.arange(1, 200)) == (199,)
    assert chosen_lengths(np.array([10] * 600 + [20_000])) == (10, 20_000)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_lengths_leave_less_padding(seed: int) -> None:
    lengths = np.random.default_rng(seed).choice([3, 7, 8, 20, 21, 50, 90, 91, 300, 310, 1000], 60)
    found = chosen_lengths(lengths)
    different = sorted(set(lengths.tolist()))
    least = {
        count: min(padding(lengths, (*some, different[-1])) for some in combinations(different[:-1], count - 1))
        for count in range(1, len(found) + 1)
    }
    assert padding(lengths, found) == least[len(found)] and found[-1] == different[-1]
    if len(found) > 1:
        assert least[len(found) - 1] > padded_lengths.LITTLE_PADDING * lengths.sum()


def test_of_very_many_lengths_eight_are_chosen_and_nothing_is_cropped() -> None:
    lengths = np.random.default_rng(0).pareto(1.0, 20_000).astype(np.int64) * 10 + 1
    found = chosen_lengths(lengths)
    assert len(found) == MOST_LENGTHS and list(found) == sorted(set(found)) and found[-1] == lengths.max()
    assert (np.array(found)[place_of(lengths, found)] >= lengths).all()


def test_what_is_longer_than_all_is_cropped_to_the_last() -> None:
    assert place_of(np.array([1, 5, 6, 10, 11]), (5, 10)).tolist() == [0, 0, 1, 1, 1]
