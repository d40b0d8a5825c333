"""The matched rig: its breaths begin where the sessions' do, and its lungs are those that were fitted."""

import numpy as np
import pytest

from ventilator.estimation import embedded
from ventilator.estimation.matched import matched_rig
from ventilator.rig import Rig
from ventilator.simulator import Breaths, simulate


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
