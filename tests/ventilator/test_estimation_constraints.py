"""What the controller says of open rows: sums hold exactly, bounds ahead of a known integral, two guards."""

from dataclasses import replace

import numpy as np
import pytest

from ventilator.controller import smoothing
from ventilator.estimation import Known, decoded, smooth
from ventilator.estimation.constraints import (
    Controlled,
    condition_on_sums,
    constrained,
    controlled,
    sample_bounds,
    sums,
)
from ventilator.estimation.inspirations import Inspirations
from ventilator.measure import Recorded
from ventilator.simulator import Breaths, frame, simulate

ROWS = 12


def one(**changed: object) -> Controlled:
    """A breath of 12 rows at 20 cmH2O, target 20: integral 0 and the pressures known up to row 3."""
    integral = np.full(ROWS, np.nan)
    integral[:4] = 0.0
    side = np.where(np.arange(ROWS) > 3, -1, 0)
    base = Controlled(
        1.0, 2.0, 20.0, np.full(ROWS, smoothing(0.033)), integral, np.arange(ROWS) < 4, side, np.zeros(ROWS)
    )
    return replace(base, **changed)  # type: ignore[arg-type]


def gaussian(mean: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """Open rows 4 .. 11 with sd 1 and a correlation of 0.8 between all."""
    open_rows = (np.arange(ROWS) > 3).astype(float)
    return np.full(ROWS, mean), np.outer(open_rows, open_rows) * (0.8 + 0.2 * np.eye(ROWS))


@pytest.fixture(scope="module")
def simulated() -> tuple[Breaths, Recorded, Known]:
    made = simulate(160, 0)
    breaths, known, _ = decoded(frame(made, np.arange(160)))
    return made, breaths, known


def test_a_sum_is_obeyed_and_nothing_else_moves() -> None:
    integral = one().integral.copy()
    integral[9] = 0.3
    breath = one(integral=integral)
    mean, cov = condition_on_sums(breath, *gaussian())
    running = 0.0
    for j in range(4, 10):
        running = (1.0 - breath.a[j]) * running + breath.a[j] * (breath.kt - mean[j])
    assert abs(running - 0.3) < 1e-12
    ((weights, _),) = sums(breath)
    assert abs(weights @ cov @ weights) < 1e-12
    np.testing.assert_array_equal(mean[:4], 20.0)


def test_true_pressures_obey_all_sums_and_bounds(simulated: tuple[Breaths, Recorded, Known]) -> None:
    made, breaths, known = simulated
    rows = Inspirations.of(breaths, known.pressure)
    length, equations, bounds = rows.there.shape[1], 0, 0
    for i, breath in enumerate(controlled(breaths, known, rows)):
        if breath is None:
            continue
        for weights, total in sums(breath):
            equations += 1
            assert abs(weights @ made.pressure[i, :length] - total) < 1e-6
        path = breath.kp * (breath.kt - made.pressure[i, :length]) + breath.ki * made.integral[i, :length]
        bounded = (breath.side != 0) & (np.arange(length) > max(breath.told_from, 0)) & rows.there[i]
        bounds += int(bounded.sum())
        assert (breath.side * (breath.edge - path) <= 1e-6)[bounded].all()
    assert equations > 5
    assert bounds > 200


def test_integrals_without_effect_give_no_sum(simulated: tuple[Breaths, Recorded, Known]) -> None:
    made, _, known = simulated
    assert (known.ki == 0.0).any()
    assert np.isnan(known.integral[known.ki == 0.0]).all()
    assert not np.isnan(known.integral[known.ki > 0.0]).all()
    assert len(made) == len(known)


def test_bounds_push_the_estimate_to_their_side() -> None:
    sampled = sample_bounds(one(), *gaussian(), np.random.default_rng(0))
    assert sampled is not None
    mean, sd = sampled
    assert (mean[4:] > 20.3).all()  # PI <= 0 with I = 0: pressures at or above the target
    assert (sd[4:] < 0.8).all()
    np.testing.assert_array_equal(mean[:4], 20.0)
    np.testing.assert_allclose(sd[:4], 0.0, atol=1e-12)


def test_impossible_bounds_leave_the_samples_that_break_them_least() -> None:
    sampled = sample_bounds(one(), *gaussian(mean=10.0), np.random.default_rng(0))
    assert sampled is not None
    assert 11.0 < sampled[0][4:].mean() < 14.0


def test_without_a_known_integral_nothing_is_bounded() -> None:
    assert sample_bounds(one(integral=np.full(ROWS, np.nan)), *gaussian(), np.random.default_rng(0)) is None
    # Where the integral has no effect it need not be known.
    free = one(integral=np.full(ROWS, np.nan), ki=0.0)
    assert sample_bounds(free, *gaussian(), np.random.default_rng(0)) is not None


def test_what_lies_before_the_first_known_integral_is_not_bounded() -> None:
    integral = np.full(ROWS, np.nan)
    integral[8:] = 0.0
    late = one(integral=integral, known=np.arange(ROWS) >= 8, side=np.full(ROWS, -1))
    assert sample_bounds(late, *gaussian(), np.random.default_rng(0)) is None


def guarded(bump: np.ndarray, gains: tuple[float, float], told: int) -> Controlled:
    """The controller of a breath of R 20, C 10 with u_in = 0 from row 5, exact rows up to `told`."""
    rows = np.arange(80)
    breaths = Recorded(
        breath_id=np.zeros(1, np.int64),
        r=np.array([20]),
        c=np.array([10]),
        time_step=rows[None] * 0.033,
        u_in=np.where(rows < 5, 10.0, 0.0)[None],
        u_out=(rows >= 30).astype(np.float64)[None],
        pressure=np.full((1, 80), np.nan),
    )
    known = replace(
        Known.pressures(np.where(rows <= told, 20.0, np.nan)[None]),
        kp=np.array([gains[0]]),
        ki=np.array([gains[1]]),
        kt=np.array([20.0]),
        integral=np.where(rows <= told, 0.0, np.nan)[None],
        bump=bump[None],
        clip=np.where((rows >= 5) & (rows < 30), -1, 0)[None],
    )
    (found,) = controlled(breaths, known, Inspirations.of(breaths, known.pressure))
    assert found is not None
    return found


def test_no_bound_where_a_negative_bump_may_hide() -> None:
    explores, none = (1.0, 0.5), np.zeros(80)  # the gains with bumps of R 20, C 10
    assert (guarded(none, explores, told=4).side == 0).all()
    assert (guarded(none, (2.0, 0.5), told=4).side[5:30] == -1).all()
    early = np.where(np.arange(80) < 3, 4.0, 0.0)  # its one bump is found, so there is no other
    assert (guarded(early, explores, told=4).side[5:30] == -1).all()


def test_no_bound_under_a_bump_without_an_end() -> None:
    ramp = np.where(np.arange(80) >= 10, -np.arange(80.0), 0.0)
    side = guarded(ramp, (1.0, 0.5), told=12).side
    assert (side[5:13] == -1).all()  # up to the last exact row
    assert (side[13:30] == 0).all()
    ends = np.where((np.arange(80) >= 10) & (np.arange(80) < 20), -4.0, 0.0)
    found = guarded(ends, (1.0, 0.5), told=12)
    assert (found.side[5:30] == -1).all()
    assert (found.edge[10:20] == 4.0).all()  # under a negative bump u_in = 0 says PI <= -bump


def test_constraints_lower_the_error_of_simulated_breaths(simulated: tuple[Breaths, Recorded, Known]) -> None:
    _, breaths, known = simulated
    rows = Inspirations.of(breaths, known.pressure)
    length = rows.there.shape[1]
    bare = Known.pressures(known.pressure)  # the same exact rows, nothing of the controller
    open_rows = rows.there & np.isnan(known.pressure[:, :length])
    errors = [
        np.abs(smooth(breaths, what).mean[:, :length] - breaths.pressure[:, :length])[open_rows].mean()
        for what in (bare, known)
    ]
    assert errors[1] < errors[0]


def test_a_breath_alone_is_constrained_as_among_others(simulated: tuple[Breaths, Recorded, Known]) -> None:
    _, breaths, known = simulated
    some, told = breaths.take(np.arange(40)), known.take(np.arange(40))
    rows = Inspirations.of(some, told.pressure)
    open_rows = (rows.there & np.isnan(told.pressure[:, : rows.there.shape[1]])).astype(float)
    mean, cov = np.full(open_rows.shape, 15.0), open_rows[:, :, None] * open_rows[:, None, :] * 0.5
    together = constrained(some, told, rows, mean, cov)[0]
    for k in (3, 17):
        pick = np.array([k])
        alone = constrained(some.take(pick), told.take(pick), rows.take(pick), mean[pick], cov[pick])[0]
        np.testing.assert_allclose(alone[0], together[k], rtol=1e-12)
