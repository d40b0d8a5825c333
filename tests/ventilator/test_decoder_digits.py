"""digits: the printing error of values, from their digits."""

import numpy as np
import pytest

from ventilator.controller import TICK_S
from ventilator.decoder.digits import (
    COMPUTING_ERROR,
    is_float32,
    lattice_ticks,
    lost_digits,
    printing_error,
    significant,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, (0, 0)),
        (100.0, (1, 0)),
        (5.0, (1, 0)),
        (12.5, (3, 1)),
        (0.08333400563, (10, 11)),
        (1e-07, (1, 7)),
        (1.25e-05, (3, 7)),
        (1 / 3, (16, 16)),
        (1e22, (1, 0)),
    ],
)
def test_significant_digits_and_decimals(value: float, expected: tuple[int, int]) -> None:
    assert significant(value) == expected


def test_full_precision_leaves_only_the_computing_error() -> None:
    error = printing_error(np.random.default_rng(0).uniform(0, 100, 40))
    assert np.all(error < 1.5 * COMPUTING_ERROR)


@pytest.mark.parametrize("count", [6, 9, 10, 12])
def test_error_covers_rounding_and_is_no_more_than_needed(count: int) -> None:
    true = np.random.default_rng(1).uniform(0.01, 100, 80)
    printed = np.array([float(f"{value:.{count}g}") for value in true])
    error = printing_error(printed)
    assert np.all(np.abs(printed - true) <= error)
    assert np.all(error <= 10.0 ** (np.floor(np.log10(printed)) - count + 2))


def test_nine_decimals_and_ten_digits() -> None:
    true = np.random.default_rng(2).uniform(0.01, 100, 80)
    printed = np.array([round(float(f"{value:.10g}"), 9) for value in true])
    assert np.all(np.abs(printed - true) <= printing_error(printed))
    assert printing_error(printed).min() >= 5.05e-10


def test_a_rounded_value_in_a_full_breath_keeps_its_own_error() -> None:
    values = np.random.default_rng(3).uniform(10, 100, 40)
    values[7] = 31.25
    error = printing_error(values)
    assert error[7] == pytest.approx(0.00505)
    assert np.all(np.delete(error, 7) < 1e-12)


def test_float32_is_recognised_as_number_and_as_text() -> None:
    true = np.random.default_rng(4).uniform(0, 100, 40)
    cast = true.astype(np.float32)
    for values in (cast.astype(np.float64), np.array([float(str(value)) for value in cast])):
        assert is_float32(values)
        assert np.all(np.abs(values - true) <= printing_error(values))
    assert not is_float32(true)
    assert not is_float32(np.array([1.0, 2.0, 100.0]))


def test_whole_numbers_are_worth_half_a_unit() -> None:
    assert np.all(printing_error(np.array([3.0, 17.0])) >= 0.5)


def test_clipped_values_are_exact() -> None:
    assert np.all(printing_error(np.array([0.0, 100.0, 1 / 3]))[:2] == COMPUTING_ERROR)


def test_times_return_to_their_lattice() -> None:
    ticks = np.cumsum(np.random.default_rng(5).integers(132_000, 170_000, 80))
    for digits in (10, 17):
        printed = np.array([float(f"{tick * TICK_S:.{digits}g}") for tick in ticks])
        found = lattice_ticks(printed)
        assert found is not None
        assert np.array_equal(found, ticks)
    assert lattice_ticks(np.round(ticks * TICK_S, 6)) is None


def test_lost_digits_are_reported() -> None:
    u = np.random.default_rng(0).uniform(0, 100, 300)
    assert lost_digits(u) == "" == lost_digits(np.array([float(f"{value:.10g}") for value in u]))
    assert lost_digits(u.astype(np.float32)) == "u_in was stored as float32"
    assert lost_digits(u.astype(np.int64)) == "u_in holds whole numbers"
