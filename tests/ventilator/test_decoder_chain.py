"""chain: runs of unclipped rows against a slow reference, and what chance makes of them."""

import numpy as np
import pytest
from decoder_handmade import INSPIRATION, breath, clock, pressures, u_in

from ventilator.controller import GRID_SIZE, GRID_STEP
from ventilator.decoder.chain import all_runs, chains, follow, guess
from ventilator.decoder.law import TARGETS, blank, integral_at, predicted, step_tolerance
from ventilator.decoder.records import UNKNOWN, Breath, Gains

GAINS = [(1.0, 0.5, 25.0), (0.3, 4.0, 30.0), (0.0, 3.0, 20.0), (0.4, 0.0, 35.0), (0.01, 8.0, 35.0)]


def steps(gains: tuple[float, float, float]) -> Gains:
    return Gains(gains[0], gains[1], float(TARGETS[round(gains[2] / 5) - 2]))


@pytest.mark.parametrize("gains", GAINS)
def test_every_unclipped_row_but_those_without_an_equation(gains: tuple[float, float, float]) -> None:
    (t, tau_0), k = clock(), pressures()
    b = breath(u_in(k, t, tau_0, gains, integral=6.0123456789), t)
    track = blank(INSPIRATION)
    assert all_runs(b, steps(gains), track)
    known = track.k != UNKNOWN
    assert np.array_equal(track.k[known], k[:INSPIRATION][known])
    missing = np.flatnonzero(~known & (b.clip == 0))
    runs = 1 + np.count_nonzero(np.diff((b.clip == 0).astype(int)) == 1)
    assert len(missing) <= runs + 1
    by_evidence = blank(INSPIRATION)
    chains(b, steps(gains), 5.0, by_evidence)
    assert np.array_equal(by_evidence.k[1:], track.k[1:])


def reference_guess(b: Breath, g: Gains, start: int, end: int) -> tuple[int, int]:
    """The pressure that reaches farthest, one guess after the other."""
    reach = {k: follow(b, g, start, end, integral_at(b, g, start, k))[0] for k in range(GRID_SIZE)}
    best = max(reach, key=lambda k: reach[k])
    return best, reach[best]


def test_guess_agrees_with_trying_all() -> None:
    (t, tau_0), k = clock(1), pressures(1)
    b, g = breath(u_in(k, t, tau_0, (1.0, 0.5, 35.0)), t), steps((1.0, 0.5, 35.0))
    for start in (1, 4, 11):
        best, reach, _, carriers, carrier = guess(b, g, start, INSPIRATION - 1)
        assert (best, reach) == reference_guess(b, g, start, INSPIRATION - 1) == (k[start], INSPIRATION - 1)
        assert (carriers, carrier) == (1, k[start])


def test_other_gains_break_the_all_pairs_rule() -> None:
    (t, tau_0), k = clock(2), pressures(2)
    b = breath(u_in(k, t, tau_0, (1.0, 0.5, 25.0)), t)
    for other in ((0.5, 1.0, 25.0), (1.0, 0.5, 20.0), (2.0, 0.5, 25.0)):
        assert not all_runs(b, steps(other), blank(INSPIRATION))


def test_swapped_gains_fit_a_run_whose_changes_divide() -> None:
    """Swapped gains (docs/decoder.md): (x, y) with steps dk is (y, x) with dk x / y."""
    (t, tau_0), k = clock(3), pressures(3)
    k[:3] = 340, 350, 370
    b = breath(u_in(k, t, tau_0, (10.0, 8.0, 25.0)), t)
    *_, carriers, carrier = guess(b, steps((8.0, 10.0, 25.0)), 1, 2)
    assert (carriers, carrier) == (1, 370 - 20 * 10 // 8)


def test_chance_hits_of_a_guess_are_as_derived() -> None:
    """950 guesses, each passing with probability 2 tolerance where its prediction lies on the scale."""
    rng, g = np.random.default_rng(0), steps((1.0, 0.5, 25.0))
    hits, expected = 0, 0.0
    for _ in range(4000):
        u = rng.uniform(0, 40, 2) / GRID_STEP
        a = np.full(2, rng.uniform(0.058, 0.064))
        b = Breath(u, np.full(2, 1e-4), a, np.array([0.0, 0.03]), np.zeros(2, np.int64))
        hits += guess(b, g, 0, 1)[3]
        x = np.array([predicted(b, g, 1, integral_at(b, g, 0, k)) for k in (0, GRID_SIZE - 1)])
        inside = np.clip(x, 0, GRID_SIZE - 1)
        expected += 2 * step_tolerance(b, g, 1) * (GRID_SIZE - 1) * (inside[1] - inside[0]) / (x[1] - x[0])
    assert abs(hits - expected) < 4 * np.sqrt(expected)
