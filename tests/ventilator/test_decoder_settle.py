"""settle: gaps met in the middle, against every vector; how many claims are wrong, in right and wrong windows."""

import itertools

import numpy as np
import pytest

from ventilator import simulator
from ventilator.controller import grid_index
from ventilator.decoder import state_and_gaps
from ventilator.decoder.equation import FREE, Equation
from ventilator.decoder.law import TARGETS
from ventilator.decoder.records import UNKNOWN, Gains
from ventilator.decoder.settle import CHANCE, LONGEST, NARROWEST, OpenGap, expected_hits, obeys, settle_gap, window

G = Gains(1.0, 0.5, float(TARGETS[3]))
SD = 2.5  # grid steps, of the windows here: what the smoother says of a long gap between anchors


def gap(k: np.ndarray, tolerance: float = 1e-10, total: float | None = None, clip: int = FREE) -> OpenGap:
    """An equation whose solution is k."""
    m = len(k)
    a = 0.06 + 0.001 * np.sin(np.arange(m)) ** 2
    weight = a * np.cumprod(np.append(1.0, (1 - a[1:])[::-1]))[::-1]
    total = float(np.sum(weight * k)) if total is None else total
    e = Equation(
        weight,
        total,
        tolerance,
        np.full(m, G.c),
        a,
        np.full(m, clip),
        np.zeros(m),
        -9.0,
        0.0,
        np.full(m + 1, 950),
        UNKNOWN,
        UNKNOWN,
    )
    return OpenGap(4, G, e)


def every_solution(low: np.ndarray, high: np.ndarray, of: OpenGap) -> list[tuple[int, ...]]:
    """Every vector of the window, one by one."""
    e = of.equation
    ranges = (range(first, last + 1) for first, last in zip(low.tolist(), high.tolist(), strict=True))
    near = e.tolerance * abs(e.weight[-1])
    return [
        k
        for k in itertools.product(*ranges)
        if abs(np.sum(e.weight * np.array(k)) - e.total) <= near and obeys(e, G, np.array(k))
    ]


@pytest.mark.parametrize("m", [1, 2, 3, 5])
@pytest.mark.parametrize("clip", [FREE, -1])
def test_the_solution_is_that_of_every_vector(m: int, clip: int) -> None:
    rng = np.random.default_rng(m)
    settled = 0
    for _ in range(8):
        k = 440 + rng.integers(-2, 3, m)
        of = gap(k, 1e-6, clip=clip)
        low, high = k - rng.integers(0, 4, m), k + rng.integers(0, 4, m)
        expected = every_solution(low, high, of)
        found = settle_gap(low, high, of)
        assert (None if found is None else tuple(found.tolist())) == (expected[0] if len(expected) == 1 else None)
        settled += found is not None
    assert settled >= (1 if clip == FREE else 0)


def test_clipping_decides_between_two_solutions() -> None:
    k = np.array([440, 440, 440, 440, 440, 440])
    of = gap(k, clip=-1)
    assert obeys(of.equation, G, k)  # far above the target of 25 cmH2O: PI <= 0
    assert not obeys(of.equation, G, k - 300)
    assert settle_gap(k - 3, k + 3, of) is not None
    assert settle_gap(k - 3, k + 3, gap(k, clip=1)) is None  # PI >= 100 is not so


def test_too_long_too_wide_and_too_many_are_left() -> None:
    k = np.full(LONGEST + 1, 300)
    assert settle_gap(k - 1, k + 1, gap(k)) is None
    k = k[:6]
    found = settle_gap(k - 3, k + 3, gap(k))
    assert found is not None
    assert np.array_equal(found, k)
    assert expected_hits(k - 300, k + 300, gap(k).equation) > CHANCE
    assert settle_gap(k - 300, k + 300, gap(k)) is None
    assert settle_gap(k + 5, k + 4, gap(k)) is None  # no value in the window


def test_a_window_is_as_wide_as_chance_allows() -> None:
    mean, sd = np.full(7, 300.0), np.full(7, SD)
    widths = []
    for tolerance in (1e-12, 5e-11, 3e-10, 1e-7):
        e = gap(np.full(7, 300), tolerance).equation
        sides = window(mean, sd, e)
        if sides is not None:
            assert expected_hits(*sides, e) <= CHANCE
            assert np.all((sides[0] <= 300 - NARROWEST * SD) & (sides[1] >= 300 + NARROWEST * SD))
        widths.append(0 if sides is None else int(sides[1][0] - sides[0][0]))
    assert widths[0] > widths[1] > widths[2] > widths[3] == 0


def test_chance_hits_are_at_most_what_is_expected() -> None:
    """Totals that no vector was made for, amid those of the window: what is found is chance."""
    rng, hits, expected = np.random.default_rng(0), 0, 0.0
    low, high = np.full(5, 300), np.full(5, 306)
    for _ in range(1500):
        of = gap(low, 1.5e-6)
        corner = float(np.sum(of.equation.weight * low))
        of = gap(low, 1.5e-6, total=corner + float(np.sum(of.equation.weight)) * rng.uniform(2.5, 3.5))
        hits += settle_gap(low, high, of) is not None
        expected += expected_hits(low, high, of.equation)
    assert 0.2 * expected < hits < expected + 4.0 * np.sqrt(expected)


def claims(breaths: int, seed: int, shift: float = 0.0) -> tuple[int, int]:
    """Settle simulated breaths' gaps in windows around truth + noise + shift, grid steps; count claims, wrong ones."""
    truth, rng = simulator.simulate(breaths, seed), np.random.default_rng(seed)
    made, wrong = 0, 0
    _, gaps = state_and_gaps(simulator.frame(truth, np.arange(breaths)))
    for i, of in gaps:
        k = grid_index(truth.pressure[i, of.first : of.first + len(of.equation.weight)])
        mean = k + rng.normal(0.0, SD, len(k)) + shift
        sides = window(mean, np.full(len(k), SD), of.equation)
        found = None if sides is None else settle_gap(*sides, of)
        made, wrong = made + (found is not None), wrong + (found is not None and not np.array_equal(found, k))
    return made, wrong


def test_simulated_gaps_are_settled_rightly() -> None:
    made, wrong = claims(120, 7)
    assert wrong == 0
    assert made >= 2


@pytest.mark.slow
def test_how_many_claims_are_wrong() -> None:
    """CHANCE bounds it, where windows hold the truth or not: 15 steps off, nothing true lies inside."""
    made, wrong = claims(3000, 8)
    assert made >= 50
    assert wrong <= CHANCE * made
    lost, chance = claims(3000, 8, shift=15.0 * SD)
    assert lost == chance <= 2 * CHANCE * made + 2
