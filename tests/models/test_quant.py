"""QUANT: its quantiles and its trees against definitions, and the contract of a model of series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_rocket import KINDS, lengths, predict, series, truth

from foldline import models
from foldline.models.contract import Kind
from foldline.models.ops import forest, interval_quantiles
from foldline.models.systems.quant import Config, Quant

SMALL = Config(depth=3, trees=20, share=0.3)


def fit(kind: Kind = "multiclass", seed: int = 0, threads: int = 1, **more: Any) -> Quant:
    model, x = Quant(SMALL), series(**more)
    model.fit(lambda which: [x[n] for n in which], lengths(x), truth(kind, len(x)), kind, seed, threads)
    return model


def test_an_interval_gives_every_fourth_quantile_every_second_less_its_mean() -> None:
    """Of 64 steps: 1, 2 + 1, 4 + 3 intervals, of 64, 32 and 16 steps, on the series, the first of the four forms."""
    x = np.random.default_rng(0).normal(size=(1, 64))
    expected = []
    for width, begins in ((64, [0]), (32, [0, 32, 16]), (16, [0, 16, 32, 48, 8, 24, 40])):
        for begin in begins:
            part = x[0, begin : begin + width]
            found = np.quantile(part, np.linspace(0, 1, 1 + (width - 1) // 4))
            found[1::2] -= part.mean()
            expected.append(found)
    found = interval_quantiles.features([x], 64, 3)
    together = np.concatenate(expected)
    np.testing.assert_allclose(found[0, : len(together)], together, rtol=1e-6, atol=1e-6)
    assert found.shape == (1, interval_quantiles.count(1, 64, 3))


def test_the_other_forms_are_smoothed_differences_second_ones_and_the_spectrum() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 20))
    _, first, second, spectrum = interval_quantiles.forms(x)
    steps = np.diff(x[1, 2])
    wide = np.concatenate([[steps[0]] * 2, steps, [steps[-1]] * 2])
    np.testing.assert_allclose(first[1, 2], [wide[t : t + 5].mean() for t in range(19)])
    np.testing.assert_allclose(second[1, 2], x[1, 2, 2:] - 2 * x[1, 2, 1:-1] + x[1, 2, :-2])
    assert spectrum.shape == (2, 3, 11) and spectrum[0, 0, 0] == pytest.approx(abs(x[0, 0].sum()))


@pytest.mark.parametrize("kind", ["multiclass", "binary", "regression", "multilabel"])
def test_a_forest_of_arrays_is_scikit_learns_forest(kind: Kind) -> None:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    rng = np.random.default_rng(0)
    x, new = (rng.normal(size=(rows, 6)).astype(np.float32) for rows in (30, 50))
    y = truth(kind)
    grown = forest.fit(x, y, kind, trees=7, share=0.5, seed=1, threads=1)
    options: Any = {"n_estimators": 7, "max_features": 0.5, "random_state": 1}
    if kind in ("multiclass", "binary"):
        codes = y.argmax(axis=1) if kind == "multiclass" else y[:, 0].astype(int)
        expected = ExtraTreesClassifier(criterion="entropy", **options).fit(x, codes).predict_proba(new)
        expected = expected if kind == "multiclass" else expected[:, 1:]
    else:
        expected = ExtraTreesRegressor(**options).fit(x, y if y.shape[1] > 1 else y[:, 0]).predict(new).reshape(50, -1)
    np.testing.assert_allclose(forest.predict(grown, new), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.learned
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_learned_and_predictions_are_of_its_kind(kind: Kind) -> None:
    found, y = predict(fit(kind, shortest=20, count=60), series(30, 20, seed=1)), truth(kind, 30)
    assert found.shape == y.shape and np.isfinite(found).all()
    if kind not in ("regression", "ordinal"):
        assert (found > 0).all() and (found < 1).all()  # no probability that a loss can't bear
    if kind in ("multiclass", "distribution"):
        np.testing.assert_allclose(found.sum(axis=1), 1)
    assert np.abs(found - y).mean() < 0.8 * np.abs(y - y.mean(axis=0)).mean()


def test_series_of_any_length_are_predicted_each_by_itself_and_same_seed_same_bits(tmp_path: Path) -> None:
    model, x = fit(), [*series(8, 1, 60, seed=1), np.full((2, 3), np.nan, dtype=np.float32)]
    together = predict(model, x)
    assert np.isfinite(together).all()
    for number, each in enumerate(x):
        np.testing.assert_allclose(predict(model, [each])[0], together[number], rtol=1e-12)
    assert np.array_equal(predict(fit(threads=2), x, threads=2), together)
    assert not np.array_equal(predict(fit(seed=1), x), together)
    model.save(tmp_path)
    other = Quant(SMALL)
    other.load(tmp_path)
    assert np.array_equal(predict(other, x), together)


def test_a_channel_that_a_series_lacks_is_its_mean_however_far_from_0_that_is() -> None:
    far = [each + np.float32(1000 + number) for number, each in enumerate(series())]
    model, levels = Quant(SMALL), np.arange(len(far), dtype=np.float64)[:, None]
    model.fit(lambda which: [far[n] for n in which], lengths(far), levels, "regression", 0, 1)
    mean = np.concatenate(far, axis=1)[1].mean(dtype=np.float64).astype(np.float32)
    filled, lacking = ([np.stack([each[0], np.full_like(each[0], value)]) for each in far] for value in (mean, np.nan))
    np.testing.assert_array_equal(predict(model, lacking), predict(model, filled))


@pytest.mark.parametrize("kind", ["multiclass", "distribution", "multilabel"])
def test_a_class_that_no_series_has_is_rare_but_not_impossible(kind: Kind) -> None:
    x, y = series(), np.pad(truth(kind), ((0, 0), (0, 1)))
    model = Quant(SMALL)
    model.fit(lambda which: [x[n] for n in which], lengths(x), y, kind, 0, 1)
    found, classes = predict(model, x), 2 if kind == "multilabel" else 4
    # one series more of each class, in the eyes of one tree more than those that were grown
    np.testing.assert_allclose(found[:, -1], 1 / (len(x) + classes) / (SMALL.trees + 1))
    if kind != "multilabel":
        np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_label_that_all_series_have_is_not_certain(label: float) -> None:
    x = series()
    model = Quant(SMALL)
    model.fit(lambda which: [x[n] for n in which], lengths(x), np.full((len(x), 1), label), "binary", 0, 1)
    np.testing.assert_allclose(np.abs(label - predict(model, x)), 1 / (len(x) + 2) / (SMALL.trees + 1))


def test_impossible_tables_are_refused_and_it_depends_on_its_own_files() -> None:
    for table, message in (
        ({"depth": 0}, "depth must be from 1 to 10, into 512 intervals, but is 0"),
        ({"share": 0}, "share must be above 0 and at most 1, but is 0"),
        ({"trees": 0}, "trees must be at least 1, but is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            Config(**table)
    names = {path.name for path in models.source_of("quant", {})}
    assert names == {"quant.py", "forest.py", "interval_quantiles.py", "series_model.py"}
