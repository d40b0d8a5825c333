"""The matched rig: its breaths begin where the sessions' do, and its lungs are those that were fitted."""

import numpy as np
import pytest

from ventilator.estimation import embedded, smooth
from ventilator.estimation.matched import DECODED, matched_rig, simulate_matched, varied_rig
from ventilator.measure import Recorded
from ventilator.rig import Rig
from ventilator.simulator import Breaths, frame, simulate


@pytest.fixture(scope="module")
def made() -> Breaths:
    return simulate(4000, 0, rig=matched_rig(Rig.load(), embedded()))


def test_breaths_begin_at_their_sessions_start(made: Breaths) -> None:
    rig = matched_rig(Rig.load(), embedded())
    later = made.pressure[made.tau_0 > 0.004, 0]
    idle = np.median(later)
    assert 5.0 < idle < 7.5
    first = (made.tau_0 > 0.0013) & (made.tau_0 < 0.0035) & (made.mode == 0)
    assert np.median(made.pressure[first, 0]) < idle - 0.5
    assert len(rig) == len(Rig.load())


def test_pressures_are_the_competitions(made: Breaths) -> None:
    low, middle, high = np.quantile(made.pressure[made.u_out == 0], (0.05, 0.5, 0.95))
    assert 5.5 < low < 6.8  # 6.1, 15.2 and 33.3 cmH2O in the competition's labelled breaths
    assert 13.5 < middle < 17.0
    assert 30.0 < high < 38.0


def test_lungs_leak_and_flutter_is_halved() -> None:
    rig, plain = matched_rig(Rig.load(), embedded()), Rig.load()
    assert (rig.lung.leak > 1e-4).all()
    assert (plain.lung.leak == 0.0).all()
    np.testing.assert_allclose(rig.flutter, 0.5 * plain.flutter)


def test_a_perturbed_rig_is_another_one_by_its_seed() -> None:
    one, same, other = (matched_rig(Rig.load(), embedded(), perturbed=0.3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.lung.compliance, same.lung.compliance)
    assert (one.lung.compliance != other.lung.compliance).all()


def test_a_varied_rig_has_the_sessions_shares_and_the_noise_of_the_lungs_fit() -> None:
    plain = Rig.load(DECODED)
    rig, process = varied_rig(plain, embedded(), variants=3, seed=5), embedded().members[0].process
    assert list(rig.sessions) == 3 * list(plain.sessions)
    np.testing.assert_allclose(rig.share.reshape(3, -1).sum(axis=0), plain.share)
    np.testing.assert_array_equal(rig.period.reshape(3, -1), np.tile(plain.period, (3, 1)))
    stiffness = rig.lung.compliance.reshape(3, -1)
    assert (stiffness[0] != stiffness[1]).all()  # each variant has a lung of its own
    assert (rig.flutter == process.flutter).all() and rig.gain_spread == process.gain
    assert 0.03 < (rig.start.reshape(3, -1) - plain.start).std(axis=0).mean() < 1.0


def test_matched_breaths_are_the_same_however_many_are_asked_for() -> None:
    few, more = simulate_matched(20, seed=4), simulate_matched(30, seed=4)
    np.testing.assert_array_equal(few.u_in, more.u_in[:20])
    assert (simulate_matched(20, seed=5).pressure != few.pressure).any()
    with pytest.raises(ValueError, match="at least one breath"):
        simulate_matched(0, seed=4)


def test_what_the_embedded_lungs_leave_of_matched_breaths_is_about_what_they_expect() -> None:
    made = simulate_matched(300, seed=6)
    breaths = Recorded.of(frame(made, np.arange(300)))
    rows = np.arange(80)
    shown = np.where((made.u_out == 0) & (rows % 5 == 0), made.pressure, np.nan)  # an exact row in five
    found, opened = smooth(breaths, shown), (made.u_out == 0) & np.isnan(shown)
    off = np.abs(found.mean - made.pressure)[opened] / found.sd[opened]
    assert 0.4 < np.mean(off) < 0.9  # 0.8 of a normal error; 0.69 on the competition's open rows
