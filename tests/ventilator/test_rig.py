"""The numbers file, and telling sessions apart."""

from pathlib import Path

import numpy as np

from ventilator.controller import C_VALUES, R_VALUES
from ventilator.rig import Rig, phases


def test_a_saved_rig_comes_back(tmp_path: Path) -> None:
    rig = Rig.load()
    rig.save(tmp_path / "rig.toml")
    again = Rig.load(tmp_path / "rig.toml")
    assert again.sessions == rig.sessions
    np.testing.assert_array_equal(again.lung.curve, rig.lung.curve)
    np.testing.assert_array_equal(again.flutter, rig.flutter)
    assert again.gain_spread == rig.gain_spread


def test_committed_rig_is_whole_and_physical() -> None:
    rig = Rig.load()
    assert {(name.r, name.c) for name in rig.sessions} == {(r, c) for r in R_VALUES for c in C_VALUES}
    assert len(set(rig.sessions)) == len(rig)
    assert abs(rig.share.sum() - 1) < 1e-3
    assert (rig.lung.delay < 0.031).all()
    assert (rig.lung.curve > 0).all()
    for c in C_VALUES:
        own = np.array([name.c == c for name in rig.sessions])
        assert 0.4 < np.median(rig.lung.compliance[own]) * 1000 / c < 1.5
    stationary = np.abs(rig.flutter_2) < 1, rig.flutter_2 + np.abs(rig.flutter_1) < 1
    assert np.all(stationary)


def test_phases_are_nan_where_late_rows_do_not_idle() -> None:
    time_step = np.tile(np.arange(80) * 0.033, (2, 1))
    tau = time_step[0] + 0.02
    u_in = np.zeros((2, 80))
    u_in[0] = np.where(tau > 1.5, 5 * (1 - np.exp(-5 * (tau - 1.5))), 0.0)
    u_in[1] = 3.0
    tau_0 = phases(time_step, u_in)
    assert abs(tau_0[0] - 0.02) < 1e-9
    assert np.isnan(tau_0[1])
