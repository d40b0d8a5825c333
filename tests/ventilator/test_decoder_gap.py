"""equation and gap: clipped rows between known ones, against brute force, and their chance hits."""

import itertools

import numpy as np
import pytest
from decoder_handmade import INSPIRATION, breath, clock, pressures, u_in

from ventilator.controller import GRID_SIZE
from ventilator.decoder.chain import all_runs
from ventilator.decoder.equation import FREE, KEEP, Equation, solve
from ventilator.decoder.gap import CHANCE, gaps, widest_window
from ventilator.decoder.law import TARGETS, blank
from ventilator.decoder.records import KINDS, UNKNOWN, Gains

G = Gains(1.0, 0.5, float(TARGETS[3]))


def equation(k: np.ndarray, window: int, tolerance: float = 1e-9, total: float | None = None) -> Equation:
    """An unrestricted gap whose solution is k, in windows around its first value."""
    m = len(k)
    a = 0.06 + 0.001 * np.arange(m) ** 2
    weight = a * np.cumprod(np.append(1.0, (1 - a[1:])[::-1]))[::-1]
    total = float(np.sum(weight * k)) if total is None else total
    free = np.full(m, FREE)
    return Equation(
        weight,
        total,
        tolerance,
        np.full(m, G.c),
        a,
        free,
        np.zeros(m),
        -9.0,
        0.0,
        np.full(m + 1, window),
        int(k[0]),
        -1,
    )


def brute_force(e: Equation, window: int) -> set[tuple[int, ...]]:
    """Every path of indices, tested one by one."""
    hits, m = set(), len(e.weight)
    for change in itertools.product(range(-window, window + 1), repeat=m):
        k = e.before + np.cumsum(change)
        rest = abs(np.sum(e.weight * k) - e.total) / e.weight[-1]
        if np.all((k >= 0) & (k < GRID_SIZE)) and rest <= e.tolerance:
            hits.add(tuple(int(value) for value in k))
    return hits


@pytest.mark.parametrize(("m", "window"), [(1, 40), (2, 40), (3, 12), (4, 6)])
@pytest.mark.parametrize("tolerance", [1e-9, 0.02])
def test_solutions_are_those_of_brute_force(m: int, window: int, tolerance: float) -> None:
    e = equation(300 + np.arange(m), window, tolerance)
    found = np.full((KEEP, m), UNKNOWN)
    count, _ = solve(e, G, found)
    expected = brute_force(e, window)
    assert count == len(expected) >= 1
    if count <= KEEP:
        assert {tuple(row) for row in found[:count].tolist()} == expected


def test_chance_hits_are_two_tolerances_per_hypothesis() -> None:
    rng, hits, expected = np.random.default_rng(0), 0, 0.0
    for _ in range(400):
        e = equation(np.full(3, 450), 949, 1e-6, total=float(rng.uniform(60, 100)))
        count, tried = solve(e, G, np.full((KEEP, 3), UNKNOWN))
        hits, expected = hits + count, expected + 2 * e.tolerance * tried
    assert 0.2 * expected < hits < expected + 4 * np.sqrt(expected)  # fewer: the last row often leaves the scale


@pytest.mark.parametrize("m", [3, 4, 5])
def test_windows_stay_within_the_chance_allowed(m: int) -> None:
    for tolerance in (1e-11, 1e-9, 1e-7):
        window = widest_window(m, tolerance)
        assert 2 * tolerance * (2 * window + 1) ** (m - 1) <= CHANCE


def clipped_gap(rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """A breath whose pressure jumps over the target for some rows, so that u is 0 there."""
    (t, tau_0), k = clock(), pressures()
    k[rows] += 300
    return u_in(k, t, tau_0, (1.0, 0.5, 25.0), integral=90.0), k, t, tau_0


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_gaps_up_to_four_rows_are_solved(length: int) -> None:
    u, k, t, _ = clipped_gap(slice(15, 15 + length))
    b, track = breath(u, t), blank(INSPIRATION)
    assert np.all(b.clip[15 : 15 + length] == -1)
    assert all_runs(b, G, track)
    assert gaps(b, G, np.nan, track, False, False) is not None
    assert np.array_equal(track.k[1:], k[1:INSPIRATION])
    assert {KINDS[kind] for kind in track.kind[15 : 15 + length]} == {"gap"}


def test_a_gap_without_a_solution_refutes_the_gains() -> None:
    u, _, t, _ = clipped_gap(slice(15, 17))
    b, track = breath(u, t), blank(INSPIRATION)
    assert all_runs(b, G, track)
    track.J[17:] += 0.01
    assert gaps(b, G, np.nan, track, False, False) is None


def test_a_gap_that_may_hide_a_bump_refutes_nothing() -> None:
    u, _, t, _ = clipped_gap(slice(15, 18))
    b, track = breath(u, t), blank(INSPIRATION)
    assert all_runs(b, G, track)
    track.J[18:] += 0.01
    assert gaps(b, G, np.nan, track, True, True) == 0.0
    assert np.all(track.k[15:18] == UNKNOWN)


def test_a_lone_row_between_anchors_is_reached_from_behind() -> None:
    (t, tau_0), k = clock(), pressures()
    k[[13, 14, 15, 16, 17, 18, 20]] += 300
    u = u_in(k, t, tau_0, (1.0, 0.5, 25.0), integral=90.0)
    b, track = breath(u, t), blank(INSPIRATION)
    assert b.clip[18:22].tolist() == [-1, 0, -1, 0]
    assert all_runs(b, G, track)
    assert np.isnan(track.J[19])
    evidence = gaps(b, G, np.nan, track, False, False)
    assert evidence is not None
    assert evidence > 4.0  # two unknown rows: 950^2 guesses against some 10 digits
    assert np.array_equal(track.k[19:], k[19:INSPIRATION])
    assert np.all(track.k[13:19] == UNKNOWN)  # six rows have more than one solution
