"""identify: hand-made controllers are found, others are not."""

import numpy as np
import pytest
from decoder_handmade import breath, clock, pressures, u_in

from ventilator.controller import KI_GAINS, KP_GAINS, KT_TARGETS
from ventilator.decoder.identify import ACCEPT, gains_of, identified, leaders, scores
from ventilator.decoder.records import Breath

SETS = [(1.0, 0.5, 25.0), (0.3, 4.0, 30.0), (0.0, 3.0, 20.0), (0.4, 0.0, 35.0), (0.01, 8.0, 35.0), (5.0, 0.1, 35.0)]


def identify(b: Breath) -> list[int]:
    return identified(scores(b, -1))


def found(code: int) -> tuple[float, float, float]:
    kp, ki, _ = gains_of(code)
    return kp, ki, KT_TARGETS[code % len(KT_TARGETS)]


@pytest.mark.parametrize("gains", SETS)
@pytest.mark.parametrize("digits", [17, 10])
def test_the_controller_comes_first(gains: tuple[float, float, float], digits: int) -> None:
    (t, tau_0), k = clock(), pressures()
    u = u_in(k, t, tau_0, gains, integral=6.0123456789)
    codes = identify(breath(np.array([float(f"{value:.{digits}g}") for value in u]), t))
    assert found(codes[0]) == gains


def test_swapped_gains_are_returned_as_rivals() -> None:
    (t, tau_0), k = clock(), np.full(80, 300)
    k[: len(k) : 2] += 20
    codes = identify(breath(u_in(k, t, tau_0, (5.0, 4.0, 25.0), integral=2.0), t))
    assert {(5.0, 4.0, 25.0)} <= {found(code) for code in codes}


def test_numbers_cover_the_grid_of_gains_once() -> None:
    codes = range(len(KP_GAINS) ** 2 * len(KT_TARGETS))
    assert len({found(code) for code in codes}) == len(codes)


def test_noise_and_random_inputs_have_no_controller() -> None:
    rng = np.random.default_rng(0)
    (t, tau_0), k = clock(), pressures()
    u = u_in(k, t, tau_0, (1.0, 0.5, 25.0))
    for _ in range(10):
        assert identify(breath(u + rng.uniform(-1e-4, 1e-4, len(u)) * (u > 0), t)) == []
        assert identify(breath(rng.uniform(0, 100, len(u)), t)) == []


def test_one_pair_of_rows_names_the_controller_and_does_not_prove_it() -> None:
    (t, tau_0), k = clock(), pressures()
    b = breath(u_in(k, t, tau_0, (1.0, 0.5, 25.0), integral=6.0123456789), t)
    b.clip[:8], b.clip[10:] = -1, -1
    evidence = scores(b, -1)
    assert identified(evidence) == []
    assert (1.0, 0.5, 25.0) in {found(code) for code in leaders(evidence, 4.0)}
    assert leaders(evidence, ACCEPT) == []


def test_exploration_gains_are_tried_first_and_change_nothing() -> None:
    (t, tau_0), k = clock(), pressures()
    pair = KP_GAINS.index(1.0) * len(KI_GAINS) + KI_GAINS.index(0.5)
    for gains in SETS:
        b = breath(u_in(k, t, tau_0, gains, integral=6.0123456789), t)
        assert identified(scores(b, pair)) == identified(scores(b, -1))
