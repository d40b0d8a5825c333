"""alone: bumps that only rows of bump alone show; pressures that can be shifted under a bump are not claimed."""

import numpy as np
import pytest
from decoder_handmade import INSPIRATION, breath, clock, frame, pressures, u_in

from ventilator.controller import GRID_STEP, grid_index
from ventilator.decoder import decode
from ventilator.decoder.alone import MOST, alone, guesses, widest_test
from ventilator.decoder.law import TARGETS
from ventilator.decoder.records import Breath, Gains

PAIR = (1.0, 0.5)
GAINS = [Gains(*PAIR, float(c)) for c in TARGETS]
TRIANGLE = (90.0, 0.05, 0.5)
RAMP = (70.0, -np.inf, 0.6)


def falling(high: int = 420) -> np.ndarray:
    """Pressures below the target under a bump's first side, far above it from row 7 on: PI falls to 0 there."""
    k = pressures(low=60, high=150)
    k[7:INSPIRATION] = high + np.arange(INSPIRATION - 7) % 5
    return k


def claimed(u: np.ndarray, t: np.ndarray, k: np.ndarray, c: int = 10) -> np.ndarray:
    """The rows that are decoded; all must be right."""
    exact = decode(frame(u, t, c=c))
    rows = exact["id"].to_numpy() - 1001
    assert np.array_equal(grid_index(exact["pressure"].to_numpy()), k[rows])
    return rows


def test_a_triangle_with_rows_of_bump_alone_on_both_sides() -> None:
    (t, tau_0), k = clock(), falling()
    u = u_in(k, t, tau_0, (*PAIR, 15.0), integral=2.0123456789, bump=TRIANGLE)
    assert np.count_nonzero(breath(u, t).clip == 0) > 10
    assert set(range(2, 7)) <= set(claimed(u, t, k))


def test_the_bump_that_is_proven() -> None:
    (t, tau_0), k = clock(), falling()
    b = breath(u_in(k, t, tau_0, (*PAIR, 15.0), integral=2.0123456789, bump=TRIANGLE), t)
    proven = alone(b, GAINS, 7.0)
    assert {number for number, _ in proven} == {1}  # the second target, 15 cmH2O
    added = TRIANGLE[0] * np.maximum(0, np.minimum(t + tau_0 - TRIANGLE[1], TRIANGLE[2] - t - tau_0))
    for _, trial in proven:
        assert np.allclose(trial.cleaned.bump * GRID_STEP, added[:INSPIRATION], atol=1e-9)
        assert trial.net > 7.0


@pytest.mark.parametrize(("kp", "ki", "c"), [(1.0, 0.5, 10), (0.0, 3.0, 20)])
def test_pressures_under_a_ramp_alone_can_be_shifted_and_are_not_claimed(kp: float, ki: float, c: int) -> None:
    (t, tau_0), k = clock(), pressures(low=60, high=180)
    u = u_in(k, t, tau_0, (kp, ki, 35.0), integral=11.0123456789012, bump=(20.0, -np.inf, 1.3))
    assert np.all(breath(u, t).clip == 0)
    assert len(claimed(u, t, k, c)) == 0


def test_ten_digits_do_not_outweigh_the_guesses_and_are_left_open() -> None:
    (t, tau_0), k = clock(), falling()
    u = u_in(k, t, tau_0, (*PAIR, 15.0), integral=2.0123456789, bump=TRIANGLE)
    b = breath(np.array([float(f"{value:.8g}") for value in u]), t)
    cost = np.log10(guesses(b)[2] * len(GAINS))
    assert widest_test(b, GAINS[1]) - cost < 3.0
    assert alone(b, GAINS, 7.0) == []


def test_guesses_are_counted_and_each_line_is_tried_once() -> None:
    (t, tau_0), k = clock(), pressures(low=400, high=700)
    b = breath(u_in(k, t, tau_0, (*PAIR, 10.0), integral=-20.0, bump=RAMP), t)  # u is the ramp: one line
    found, size, tried = guesses(b)
    assert (size, tried) == (1, 1)
    assert found[0, 0] * GRID_STEP == pytest.approx(RAMP[0])
    assert found[0, 2] + tau_0 == pytest.approx(RAMP[2])


def test_noise_holds_no_bump() -> None:
    (t, _), rng, most = clock(), np.random.default_rng(0), 0
    for _ in range(20):
        b: Breath = breath(rng.uniform(0, 100, len(t)), t)
        most = max(most, guesses(b)[1])
        assert alone(b, GAINS, 7.0) == []
    assert most <= MOST
