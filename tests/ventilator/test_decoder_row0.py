"""row0: the ramped target of the first row."""

import numpy as np
import pytest
from decoder_handmade import INSPIRATION, breath, clock, pressures, u_in

from ventilator.controller import TICK_S, idle_command
from ventilator.decoder.chain import all_runs
from ventilator.decoder.law import TARGETS, blank
from ventilator.decoder.records import KINDS, UNKNOWN, Gains, Track
from ventilator.decoder.row0 import first_pair, first_target, pair_evidence, phase, row0

GAINS = (1.0, 0.5, 25.0)
STEPS = Gains(1.0, 0.5, float(TARGETS[3]))


def decoded(u: np.ndarray, t: np.ndarray, tau: float) -> Track:
    b, track = breath(u, t), blank(INSPIRATION)
    assert all_runs(b, STEPS, track)
    row0(b, STEPS, tau, float(t[INSPIRATION]), track)
    return track


def test_expiration_shows_the_phase_to_the_tick() -> None:
    t, tau_0 = clock()
    for digits in (17, 10):
        u = np.array([float(f"{value:.{digits}g}") for value in idle_command(t + tau_0)])
        assert phase(t, u) == tau_0
    assert np.isnan(phase(t, np.where(t > 1.44, 3.0, 0.0)))
    assert np.isnan(phase(t[:40], idle_command(t[:40])))


def test_row_0_with_a_known_phase() -> None:
    (t, tau_0), k = clock(), pressures()
    track = decoded(u_in(k, t, tau_0, GAINS, integral=3.0), t, tau_0)
    assert (track.k[0], KINDS[track.kind[0]]) == (k[0], "row0")


def test_row_0_without_a_phase_needs_the_lattice() -> None:
    (t, tau_0), k = clock(), pressures()
    assert decoded(u_in(k, t, tau_0, GAINS, integral=3.0), t, np.nan).k[0] == k[0]


def test_row_0_off_the_grid_is_left_alone() -> None:
    (t, tau_0), k = clock(), pressures()
    u = u_in(k, t, tau_0, GAINS, integral=3.0)
    u[0] += 0.01
    for tau in (tau_0, np.nan):
        assert decoded(u, t, tau).k[0] == UNKNOWN
    assert decoded(u_in(k, t, tau_0, GAINS, integral=3.0), t, tau_0 + 40 * TICK_S).k[0] == UNKNOWN


def test_the_target_ramps_for_a_33rd_of_a_second() -> None:
    peep, full = first_target(STEPS, 0.0), first_target(STEPS, 1.0)
    assert full == STEPS.c
    assert np.isclose(first_target(STEPS, 1 / 66), (peep + full) / 2)
    assert np.isnan(first_target(STEPS, np.nan))


def pair_before_a_clipped_run() -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    (t, tau_0), k = clock(), pressures()
    k[2:20] += 400
    return u_in(k, t, tau_0, GAINS, integral=30.0123456789), k, t, tau_0


def test_rows_0_and_1_are_a_chain_where_the_phase_is_known() -> None:
    u, k, t, tau_0 = pair_before_a_clipped_run()
    track = decoded(u, t, tau_0)
    assert track.k[1] == UNKNOWN
    first_pair(breath(u, t), STEPS, tau_0, 4.5, track)
    assert track.k[:2].tolist() == k[:2].tolist()
    assert [KINDS[kind] for kind in track.kind[:3]] == ["row0", "chain", ""]
    assert pair_evidence(breath(u, t), STEPS, tau_0) > 6.0  # some 10 digits less the 950 guesses


@pytest.mark.parametrize("shift", [np.nan, 40 * TICK_S])
def test_rows_0_and_1_under_an_unknown_or_wrong_phase(shift: float) -> None:
    u, _, t, tau_0 = pair_before_a_clipped_run()
    track = decoded(u, t, tau_0)
    first_pair(breath(u, t), STEPS, tau_0 + shift, 0.0, track)
    assert track.k[:2].tolist() == [UNKNOWN, UNKNOWN]
    assert pair_evidence(breath(u, t), STEPS, tau_0 + shift) == 0.0
