"""Boosters read from their text: the bits of LightGBM's Python package, without importing it."""

from __future__ import annotations

import sys
from typing import Any

import lightgbm
import numpy as np
import pytest

from foldline.models.ops import stored_lightgbm


def rows(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """x (R, 4) float32 with gaps, its last column a code of categories; the number of a class (R,), of three."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(count, 3)), rng.integers(0, 5, (count, 1))], axis=1).astype(np.float32)
    label = (x[:, 0] > 0).astype(np.float64) + (x[:, 3] > 2)
    x[::9, 1] = np.nan
    return x, label


def text_of(objective: str) -> str:
    x, label = rows()
    params: dict[str, Any] = {"objective": objective, "verbosity": -1, "seed": 0, "num_threads": 1, "num_leaves": 7}
    params |= {"num_class": 3} if objective == "multiclass" else {}
    label = np.minimum(label, 1) if objective == "binary" else label
    data = lightgbm.Dataset(x, label, params={"verbosity": -1}, categorical_feature=[3])
    return str(lightgbm.train(params, data, 10).model_to_string())


@pytest.mark.parametrize("objective", ["l1", "binary", "poisson", "multiclass"])
def test_it_predicts_the_bits_of_the_package_by_any_number_of_threads(
    objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, (x, _) = text_of(objective), rows()
    expected = lightgbm.Booster(model_str=text).predict(x)
    monkeypatch.delitem(sys.modules, "lightgbm")
    booster = stored_lightgbm.booster(text)
    monkeypatch.setattr(stored_lightgbm, "ROWS_AT_ONCE", 150)
    for given in (x, x.astype(np.float64), np.asfortranarray(x)):
        for threads in (0, 1, 2):
            np.testing.assert_array_equal(booster.predict(given, num_threads=threads), expected)
    assert booster.predict(x[:0]).shape == (0, *expected.shape[1:]) and booster.model_to_string() == text
    assert "lightgbm" not in sys.modules


def test_what_the_library_refuses_is_an_error_in_its_words() -> None:
    with pytest.raises(ValueError, match=r"LightGBM: ."):
        stored_lightgbm.booster("no booster")
    with pytest.raises(ValueError, match="number of features in data"):
        stored_lightgbm.booster(text_of("l1")).predict(rows()[0][:, :2])


def test_a_library_that_lies_elsewhere_is_left_to_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_lightgbm, "_library", lambda: None)
    text, (x, _) = text_of("l1"), rows()
    booster = stored_lightgbm.booster(text)
    assert isinstance(booster, lightgbm.Booster)
    np.testing.assert_array_equal(booster.predict(x, num_threads=1), lightgbm.Booster(model_str=text).predict(x))
