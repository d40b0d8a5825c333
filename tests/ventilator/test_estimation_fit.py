"""Fitting lungs: a drawn lung is recovered, what is not known does not matter, text keeps the lungs."""

import numpy as np
import pytest
from tiny_lungs import Drawn, drawn

from ventilator.controller import GRID_SIZE, grid_pressure
from ventilator.estimation import SessionLungs, embedded, fit_lungs
from ventilator.estimation.inspirations import Inspirations, free_run
from ventilator.estimation.parameters import PLACE


@pytest.fixture(scope="module")
def made() -> Drawn:
    return drawn(60)


def vector(lungs: SessionLungs) -> np.ndarray:
    return lungs.members[0].vectors[0]


def error(lungs: SessionLungs, made: Drawn) -> float:
    """Mean absolute error (cmH2O) of free runs from the true lung's."""
    rows = Inspirations.of(made.breaths, made.breaths.pressure)
    nothing = np.zeros((len(rows), 5))
    ours, true = (
        free_run(one.members[0].vectors[one.places(made.breaths)], nothing, rows).pressure
        for one in (lungs, made.truth)
    )
    return float(np.abs(ours - true)[rows.there].mean())


def test_a_drawn_lung_is_recovered(made: Drawn) -> None:
    fitted = fit_lungs(made.breaths, made.breaths.pressure, start=made.guess, steps=20)
    assert error(made.guess, made) > 0.5
    assert error(fitted, made) < 0.2  # cmH2O; 60 breaths whose own lungs vary
    off = np.abs(vector(fitted) - vector(made.truth))
    assert off[PLACE["compliance"]] < 0.06
    assert off[PLACE["turbulence"]] < 0.15


def test_unknown_and_saturated_readings_do_not_matter(made: Drawn) -> None:
    pressure = made.breaths.pressure.copy()
    pressure[:, 20:] = np.nan
    changed = pressure.copy()
    changed[:, 20:] = grid_pressure(GRID_SIZE - 1)
    fits = [vector(fit_lungs(made.breaths, known, start=made.guess, steps=2)) for known in (pressure, changed)]
    np.testing.assert_array_equal(fits[0], fits[1])


def test_one_odd_breath_moves_little(made: Drawn) -> None:
    heavy = SessionLungs(
        sessions=made.guess.sessions,
        members=tuple(
            type(m)(kind=m.kind, prior=m.prior, process=type(m.process)(tail=3.0), vectors=m.vectors)
            for m in made.guess.members
        ),
        provenance="",
    )
    odd = made.breaths.pressure.copy()
    odd[0] += 15.0
    plain, moved = (fit_lungs(made.breaths, known, start=heavy, steps=20) for known in (made.breaths.pressure, odd))
    assert abs(error(moved, made) - error(plain, made)) < 0.1


def test_text_keeps_the_lungs(made: Drawn) -> None:
    again = SessionLungs.from_json(made.truth.to_json())
    assert again.sessions == made.truth.sessions
    np.testing.assert_allclose(vector(again), vector(made.truth), rtol=1e-4)
    assert again.to_json() == made.truth.to_json()


def test_lungs_of_other_parameters_are_refused(made: Drawn) -> None:
    with pytest.raises(ValueError, match="have the parameters"):
        SessionLungs.from_json(made.truth.to_json().replace('"leak"', '"creep"'))


def test_the_embedded_lungs_saw_no_label() -> None:
    assert "no label" in embedded().provenance
    assert len(embedded().sessions) == 27


def test_a_session_without_breaths_has_the_lung_of_its_setting(made: Drawn) -> None:
    fitted = fit_lungs(made.breaths, made.breaths.pressure, start=made.guess, steps=20)
    unseen = type(made.breaths)(**{**vars(made.breaths), "time_step": made.breaths.time_step * 0.94})
    place = fitted.places(unseen)
    assert (place == 1 + 4).all()  # behind the one session: (20, 20) is the fifth of nine
    new, old = fitted.members[0].vectors[place[0]], vector(fitted)
    assert abs(new - old)[PLACE["compliance"]] < 0.05
    assert abs(new - vector(made.guess))[PLACE["compliance"]] > 0.05


def test_without_a_known_pressure_nothing_is_fitted(made: Drawn) -> None:
    with pytest.raises(ValueError, match="of 60 breaths none is known"):
        fit_lungs(made.breaths, np.full(made.breaths.pressure.shape, np.nan), start=made.guess)


def test_other_lungs_are_refused(made: Drawn) -> None:
    strange = type(made.breaths)(**{**vars(made.breaths), "r": made.breaths.r + 1})
    with pytest.raises(ValueError, match=r"lungs for \(R, C\)"):
        fit_lungs(strange, made.breaths.pressure, start=made.guess)
