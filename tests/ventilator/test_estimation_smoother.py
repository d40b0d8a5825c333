"""The smoother: exact where a pressure is known, right about its own errors in simulation, better than a free run."""

import numpy as np
import polars as pl
import pytest
from tiny_lungs import Drawn, drawn, hidden

from ventilator.controller import GRID_SIZE, grid_pressure
from ventilator.estimation import CHANNELS, Known, decoded, smooth
from ventilator.estimation.channels import path_integral
from ventilator.estimation.inspirations import Inspirations
from ventilator.simulator import frame, simulate


@pytest.fixture(scope="module")
def made() -> Drawn:
    return drawn(120, seed=1)


def test_known_rows_are_kept_and_others_estimated(made: Drawn) -> None:
    known = hidden(made.breaths)
    posterior = smooth(made.breaths, known, made.truth)
    inspired, told = made.breaths.u_out == 0, ~np.isnan(known)
    np.testing.assert_array_equal(posterior.mean[told], known[told])
    assert (posterior.sd[told] == 0.0).all()
    assert np.isfinite(posterior.mean[inspired]).all()
    assert (posterior.sd[inspired & ~told] > 0.0).all()
    assert np.isnan(posterior.mean[~inspired]).all()
    assert posterior.channels.shape == (*known.shape, len(CHANNELS))
    assert np.isfinite(posterior.channels).all()
    assert (posterior.channels[~inspired] == 0.0).all()


def test_the_sd_is_that_of_the_errors(made: Drawn) -> None:
    posterior = smooth(made.breaths, hidden(made.breaths), made.truth)
    rows = np.isnan(hidden(made.breaths)) & ~np.isnan(made.breaths.pressure)
    z = (made.breaths.pressure - posterior.mean)[rows] / posterior.sd[rows]
    assert len(z) > 1000
    assert abs(z.mean()) < 0.15
    assert 0.85 < z.std() < 1.15
    assert 0.63 < np.mean(np.abs(z) < 1.0) < 0.74  # 0.683 of a normal error


def test_anchors_help(made: Drawn) -> None:
    rows = np.isnan(hidden(made.breaths)) & ~np.isnan(made.breaths.pressure)
    errors = [
        np.abs(made.breaths.pressure - smooth(made.breaths, known, made.truth).mean)[rows].mean()
        for known in (hidden(made.breaths), np.full(made.breaths.pressure.shape, np.nan))
    ]
    assert errors[0] < 0.75 * errors[1]


def test_other_breaths_do_not_matter(made: Drawn) -> None:
    known = hidden(made.breaths)
    alone = smooth(made.breaths.take(np.arange(1)), known[:1], made.truth)
    together = smooth(made.breaths, known, made.truth)
    np.testing.assert_allclose(alone.mean[0], together.mean[0], rtol=1e-9)


def test_a_saturated_reading_is_kept_and_not_followed(made: Drawn) -> None:
    known, top = hidden(made.breaths), float(grid_pressure(GRID_SIZE - 1))
    first = int(np.flatnonzero(np.isnan(known[0]))[0])
    plain = smooth(made.breaths, known, made.truth)
    other = known.copy()
    other[0, first] = top
    posterior = smooth(made.breaths, other, made.truth)
    assert posterior.mean[0, first] == top
    np.testing.assert_allclose(posterior.mean[0, first + 1 :], plain.mean[0, first + 1 :], rtol=1e-12)


def test_estimates_stay_in_the_range_of_the_sensor(made: Drawn) -> None:
    open_valve = type(made.breaths)(**{**vars(made.breaths), "u_in": np.full(made.breaths.u_in.shape, 100.0)})
    posterior = smooth(open_valve, np.full(made.breaths.pressure.shape, np.nan), made.truth)
    assert np.nanmax(posterior.mean) <= float(grid_pressure(GRID_SIZE - 1))


def test_decoded_breaths_lead_back_to_the_frame() -> None:
    table = frame(simulate(30, 0), np.arange(30)).sample(fraction=1.0, shuffle=True, seed=0)
    breaths, known, place = decoded(table)
    told = ~np.isnan(known.pressure)
    np.testing.assert_allclose(table["pressure"].to_numpy()[place][told], known.pressure[told])
    np.testing.assert_array_equal(table["breath_id"].to_numpy()[place][:, 0], breaths.breath_id)
    assert isinstance(table, pl.DataFrame)


def test_the_integral_along_the_truth_is_the_controllers() -> None:
    made = simulate(40, 0)
    breaths, known, _ = decoded(frame(made, np.arange(40)))
    rows = Inspirations.of(breaths, breaths.pressure)
    length = rows.there.shape[1]
    path = path_integral(known, rows, breaths.pressure[:, :length])
    right = rows.there & ~np.isnan(path)
    right[:, 0] = False  # the target of row 0 is another
    assert right.sum() > 500
    np.testing.assert_allclose(path[right], made.integral[:, :length][right], atol=1e-6)


def test_no_breaths_have_no_estimates(made: Drawn) -> None:
    none = np.zeros(0, np.int64)
    posterior = smooth(made.breaths.take(none), made.breaths.pressure[none], made.truth)
    assert posterior.mean.shape == (0, 80)
    assert posterior.channels.shape == (0, 80, len(CHANNELS))


def test_hidden_rows_are_open(made: Drawn) -> None:
    known = Known.pressures(made.breaths.pressure)
    rows = ~np.isnan(made.breaths.pressure) & (np.arange(80) < 3)
    assert np.isnan(known.hide(rows).pressure[rows]).all()
