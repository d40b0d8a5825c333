"""Compiled functions give what Python gives, and refuse what they do not know."""

from __future__ import annotations

import random

import numpy as np
import pytest

from foldline.core import native, native_words
from foldline.core.native import NotCompiled
from foldline.core.native_words import ALL, Bytes, Floats, Ints, below, bits, eight, high, leading_zeros, trailing_zeros

SEVEN = 7


def collatz(start: int, steps: Ints) -> int:
    """Write the numbers from `start` down to 1; return how many there are."""
    count = 0
    value = start
    while value != 1:
        steps[count] = value
        count += 1
        value = 3 * value + 1 if (value & 1) == 1 else value >> 1
    steps[count] = 1
    return count + 1


def inside(value: int) -> bool:
    """Chained comparisons, and words of logic."""
    return (3 < value <= SEVEN and not value == 5) or value == -1  # noqa: SIM201


def summed(values: Floats, weights: Bytes, kept: Ints) -> float:
    """Loops with break and continue, floats, helpers."""
    total = 0.0
    for place in range(1, 10):
        if values[place] < 0.0:
            continue
        if place == 8:
            break
        total += values[place] * float(weights[place]) / 2.0
        kept[place] = 1 if inside(place) else 0
    return -total


def words(data: Bytes, one: int, other: int, found: Ints) -> None:
    """All words that Python lacks."""
    found[0] = eight(data, 3)
    found[1] = high(one, other)
    found[2] = 1 if below(one, other) else 0
    found[3] = leading_zeros(one)
    found[4] = trailing_zeros(one)
    found[5] = bits(1.5)


def test_loops_conditions_and_helpers_give_what_python_gives() -> None:
    steps, expected = np.zeros(200, dtype=np.int64), np.zeros(200, dtype=np.int64)
    assert native.compiled(collatz)(27, steps) == collatz(27, expected) == 112
    assert np.array_equal(steps, expected)
    values, weights = np.array([9.0, 1.5, -2.0, 0.1, 7.0, 1e300, 1e300, 2.0, 5.0, 5.0]), np.arange(10, dtype=np.uint8)
    kept, also = np.zeros(10, dtype=np.int64), np.zeros(10, dtype=np.int64)
    assert native.compiled(summed, inside)(values, weights, kept) == summed(values, weights, also)
    assert kept.tolist() == also.tolist() and kept[4] == 1 and kept[5] == 0


@pytest.mark.parametrize("seed", range(3))
def test_words_are_those_of_the_processor(seed: int) -> None:
    rng, data = random.Random(seed), np.arange(200, 220, dtype=np.uint8)
    compiled, found, expected = native.compiled(words), np.zeros(6, dtype=np.int64), np.zeros(6, dtype=object)
    for _ in range(100):
        one, other = (rng.getrandbits(64) >> rng.randrange(64) for _ in range(2))
        compiled(data, native_words.signed(one), native_words.signed(other), found)
        words(data, one, other, expected)
        assert [int(value) & ALL for value in found] == [int(value) & ALL for value in expected]


def power(one: int) -> int:
    """A word that is not known."""
    return one**2


def test_an_unknown_word_is_named() -> None:
    with pytest.raises(NotCompiled, match=r"power: one \*\* 2"):
        native.compiled(power)
