"""bump, side, line, ramp: hand-made bumps are found and subtracted."""

import numpy as np
import pytest
from decoder_handmade import INSPIRATION, breath, clock, frame, pressures, u_in

from ventilator.controller import GRID_STEP
from ventilator.decoder import decode, state
from ventilator.decoder.bump import Cleaned, Trial, enter_agreed, keep_agreed, triangle
from ventilator.decoder.frame_decoding import remove_bump
from ventilator.decoder.law import TARGETS, blank, without_bump
from ventilator.decoder.line import lines
from ventilator.decoder.ramp import ramp
from ventilator.decoder.records import CHAIN, UNKNOWN, Gains, Track

EXPLORATION = {(20, 10): (1.0, 0.5), (5, 20): (1.0, 3.0), (50, 20): (0.0, 2.0)}
BUMPS = [(60.0, 0.3, 0.6), (-25.0, 0.25, 0.65), (80.0, 0.45, 0.62), (70.0, -np.inf, 0.4)]


def integral_for(gains: tuple[float, float]) -> float:
    """I_0 (cmH2O) that keeps the command well inside 0 .. 100."""
    return 12.3456789012345 if gains[0] == 0.0 else 16.0123456789012


@pytest.mark.parametrize("lung", EXPLORATION)
@pytest.mark.parametrize("bump", BUMPS)
def test_a_bump_is_subtracted_and_its_rows_are_exact(lung: tuple[int, int], bump: tuple[float, float, float]) -> None:
    (t, tau_0), k, pair = clock(), pressures(low=60, high=180), EXPLORATION[lung]
    u = u_in(k, t, tau_0, (*pair, 30.0), integral=integral_for(pair), bump=bump)
    exact = decode(frame(u, t, r=lung[0], c=lung[1]))
    rows = exact["id"].to_numpy() - 1001
    assert np.allclose(exact["pressure"], -1.8957442945646636 + GRID_STEP * k[rows], atol=1e-9)
    under = np.flatnonzero((bump[1] < t + tau_0) & (t + tau_0 < bump[2]))
    under = under[(under > 1) & (under < INSPIRATION)]
    assert set(under) <= set(rows)
    assert set(exact["kind"].unique()) <= {"chain", "row0", "bump", "gap"}


def test_the_bump_itself_is_in_the_state() -> None:
    (t, tau_0), k = clock(), pressures(low=60, high=180)
    u = u_in(k, t, tau_0, (1.0, 0.5, 30.0), integral=16.0, bump=(60.0, 0.3, 0.6))
    added = 60.0 * np.maximum(0, np.minimum(t + tau_0 - 0.3, 0.6 - t - tau_0))
    assert np.allclose(state(frame(u, t)).bump[:INSPIRATION], added[:INSPIRATION], atol=1e-9)


def test_rows_of_bump_alone_are_a_line() -> None:
    (t, tau_0), k = clock(), pressures(low=400, high=700)
    u = u_in(k, t, tau_0, (1.0, 0.5, 10.0), integral=-20.0, bump=(90.0, 0.2, 0.7))
    found = lines(breath(u, t))
    assert found.size[0] == 3  # a rising side, a falling one, both together
    whole = found.start[2] + tau_0, found.end[2] + tau_0, found.slope[2] * GRID_STEP
    assert np.allclose(whole, (0.2, 0.7, 90.0))
    b = breath(u, t)
    clean = without_bump(b, triangle(b, found.slope[2], found.start[2], found.end[2]), 4.0)
    assert np.all(clean.clip <= 0)
    assert not np.any(clean.clip[1:] == 0)


def test_a_ramp_over_most_of_the_breath() -> None:
    (t, tau_0), k = clock(), pressures(low=350, high=500)
    k[20:30] = 80 + np.array([0, 4, -3, 2, 5, -2, 3, 1, -4, 2])
    u = u_in(k, t, tau_0, (1.0, 0.5, 15.0), integral=-8.0, bump=(70.0, -np.inf, 0.6))
    b = breath(u, t)
    target, cleaned = ramp(b, 1.0, 0.5, tau_0)
    assert (target, cleaned.found) == (1, True)
    exact = decode(frame(u, t))
    rows = exact["id"].to_numpy() - 1001
    assert np.allclose(exact["pressure"], -1.8957442945646636 + GRID_STEP * k[rows], atol=1e-9)


def track(k: list[int], J: list[float]) -> Track:
    known = blank(len(k))
    known.k[:], known.J[:], known.dJ[:], known.kind[:] = k, J, 1e-6, CHAIN
    return known


def test_integrals_that_two_tracks_do_not_share_are_forgotten_and_rows_kept() -> None:
    own = track([7, 7, 7, 7, 7, UNKNOWN], [1.0, 1.0, 1.0, np.nan, 1.0, 1.0])
    keep_agreed(own, track([7, 8, 7, 7, 7, UNKNOWN], [1.0, 1.0, 1.5, 1.0, np.nan, 1.0]))
    assert own.k.tolist() == [7, UNKNOWN, 7, 7, 7, UNKNOWN]
    np.testing.assert_array_equal(own.J, [1.0, np.nan, np.nan, np.nan, np.nan, 1.0])


def test_integrals_of_other_targets_are_compared_as_smoothed_pressures() -> None:
    own = track([7, 7], [1.0, 1.0])
    keep_agreed(own, track([7, 7], [1.0, 3.5]), apart=2.5)  # 1 = c - p and 3.5 = c + 2.5 - p are the same pressure
    np.testing.assert_array_equal(own.J, [np.nan, 1.0])


def test_bumps_that_agree_on_pressures_but_not_on_integrals_leave_no_anchor() -> None:
    b = breath(u_in(pressures(), clock()[0], clock()[1], (0.3, 4.0, 30.0)), clock()[0])
    cleaned = Cleaned(b, np.zeros(3), True)
    first, second = track([7, 7, 7], [1.0, 1.0, 1.0]), track([7, 7, 8], [1.0, 1.5, 1.0])
    entered = blank(3)
    enter_agreed([Trial(5.0, cleaned, first), Trial(4.0, cleaned, second)], entered)
    assert entered.k.tolist() == [7, UNKNOWN, UNKNOWN] and entered.kind.tolist() == [CHAIN, 0, 0]


def test_a_bump_of_noise_is_not_accepted() -> None:
    rng, g = np.random.default_rng(0), Gains(1.0, 0.5, float(TARGETS[4]))
    (t, tau_0), k = clock(), pressures(low=60, high=180)
    claimed = 0
    for _ in range(30):
        u = u_in(k, t, tau_0, (1.0, 0.5, 30.0), integral=16.0)
        u[10:17] += rng.uniform(1, 5, 7)
        track = blank(INSPIRATION)
        remove_bump(breath(u, t), g, track)
        claimed += np.count_nonzero(track.k[10:16] != UNKNOWN)
    assert claimed == 0
