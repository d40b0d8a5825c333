"""The calibrated sd: a known curve is recovered, few breaths move little, and only labels of unknown rows count."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_lungs import Drawn, drawn, hidden

from ventilator.estimation import Known, SessionLungs, embedded, fit_spread, smooth
from ventilator.estimation.embed_spread import embed_spread
from ventilator.estimation.matched import DECODED
from ventilator.estimation.spread import KNOTS, Spread
from ventilator.rig import Rig

TRUE = Spread((0.8, 1.3, 0.5))


@pytest.fixture(scope="module")
def made() -> Drawn:
    return drawn(40, seed=2)


def drawn_errors(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Normal errors of rows whose model's sd is anything, and whose true sd is that of TRUE."""
    rng = np.random.default_rng(seed)
    sd = np.exp(rng.uniform(np.log(0.05), np.log(6.0), count))
    return np.abs(rng.normal(size=count) * TRUE(sd)), sd


def test_known_factors_are_recovered() -> None:
    error, sd = drawn_errors(20_000)
    found = Spread().fitted(error, sd, np.arange(20_000))
    np.testing.assert_allclose(found.factors, TRUE.factors, rtol=0.05)


def test_rows_of_one_breath_count_once() -> None:
    error, sd = drawn_errors(20_000)
    found = Spread().fitted(error, sd, np.zeros(20_000, np.int64))
    assert (np.abs(np.log(found.factors)) < 0.15).all()  # of 0.22, 0.26 and 0.69
    before = TRUE.fitted(error[:1], sd[:1], np.zeros(1, np.int64))
    np.testing.assert_allclose(before.factors, TRUE.factors, rtol=0.1)


def test_the_curve_bends_between_the_knots_and_keeps_what_is_known() -> None:
    np.testing.assert_allclose(TRUE(np.array(KNOTS)), np.array(KNOTS) * TRUE.factors)
    np.testing.assert_allclose(TRUE(np.array([0.01, 30.0])), [0.008, 15.0])
    np.testing.assert_array_equal(TRUE(np.array([0.0, np.nan])), [0.0, np.nan])
    np.testing.assert_allclose(Spread()(np.array([0.3, 2.0])), [0.3, 2.0])
    assert Spread((2.0, 2.0, 2.0)).fitted(np.zeros(1), np.zeros(1), np.zeros(1, np.int64)).factors == (2.0, 2.0, 2.0)


def test_a_smoother_shows_the_calibrated_sd_and_the_models(made: Drawn) -> None:
    known = hidden(made.breaths)
    plain, bent = (smooth(made.breaths, known, replace(made.truth, spread=each)) for each in (Spread(), TRUE))
    np.testing.assert_array_equal(plain.sd, plain.modelled_sd)
    np.testing.assert_array_equal(bent.modelled_sd, plain.sd)
    np.testing.assert_array_equal(bent.sd, TRUE(plain.sd))
    for name in ("mean", "channels"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(bent, name))


def test_text_keeps_it_and_older_text_has_none(made: Drawn) -> None:
    lungs = replace(made.truth, spread=TRUE)
    assert SessionLungs.from_json(lungs.to_json()).spread == TRUE
    older = lungs.to_json().replace('"spread": [0.8, 1.3, 0.5],', "")
    assert SessionLungs.from_json(older).spread == Spread()
    assert embedded().spread != Spread()


def test_labels_of_unknown_rows_calibrate_it_and_no_others(made: Drawn) -> None:
    known, labels = Known.pressures(hidden(made.breaths)), made.breaths.pressure
    boastful = replace(
        made.truth,
        members=tuple(replace(m, process=replace(m.process, sensor=0.02, drift=0.05)) for m in made.truth.members),
    )
    found = fit_spread(made.guess, made.breaths, known, labels, unseen=boastful)
    assert found.members == made.guess.members and found.spread.factors[0] > 1.5
    other = np.where(np.isnan(known.pressure), labels, 99.0)
    assert fit_spread(made.guess, made.breaths, known, other, unseen=boastful).spread == found.spread
    none = np.where(np.isnan(known.pressure), np.nan, labels)
    assert fit_spread(made.guess, made.breaths, known, none, unseen=boastful) == made.guess


@pytest.mark.slow
def test_the_embedded_curve_is_that_of_breaths_simulated_about_the_embedded_lungs() -> None:
    found = embed_spread(replace(embedded(), spread=TRUE), Rig.load(DECODED), breaths=500)
    np.testing.assert_allclose(found.spread.factors, embedded().spread.factors, rtol=0.2)
