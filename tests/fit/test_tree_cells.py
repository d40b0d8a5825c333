"""XGBoost and CatBoost in a cell: what is watched, what is refused before training, and their errors as the user's."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tree_libraries
from lab import INSIDE, TRAIN, small_store

from foldline.core import requirements
from foldline.core.errors import UserError
from foldline.data.metrics import METRICS
from foldline.fit import boosting_cell, boosting_checks
from foldline.fit.boosting_cell import BoostingCell
from foldline.fit.labelled_series import labelled_series
from foldline.fit.target_transform import PLAIN
from foldline.fit.train_config import WatchConfig
from foldline.fit.watched_split import inner_split

STOP = WatchConfig(share=0.4, stop=2)


def cell(name: str, watch: WatchConfig = STOP, **more: Any) -> BoostingCell:
    params = {"rounds": 12, **tree_libraries.SMALL[name], **more}
    return BoostingCell(name, params, replace(TRAIN, watch=watch), METRICS["mae"])


@tree_libraries.each()
def test_the_watched_score_is_the_metric_of_what_is_predicted_and_what_is_stored_predicts_it(
    name: str, tmp_path: Path
) -> None:
    data, epoch = small_store(), dict[str, Any]()
    fitted, loaded = cell(name), cell(name)
    fitted.fit(data, INSIDE, 0, lambda kind, **row: epoch.update(row) if kind == "epoch" else None)
    _, (held,) = inner_split([labelled_series(data, INSIDE)], STOP.share, 0)
    scored = held.weight > 0
    expected = METRICS["mae"](held.y[scored], fitted.predict(data, held.series)[0][scored])
    assert epoch["watched"] == pytest.approx(expected, rel=1e-12)
    fitted.save(tmp_path)
    loaded.load(tmp_path, data)
    assert np.array_equal(loaded.apply(data, INSIDE)[0], fitted.predict(data, INSIDE)[0])


@tree_libraries.each()
def test_static_codes_are_categories_where_asked_for(name: str) -> None:
    data = replace(small_store(), static=np.arange(10)[:, None] % 4, levels=(4,), names=("f0", "place(f1)", "f2"))
    data.x[:, 1] = np.arange(len(data.x)) % 5
    fitted = cell(name, WatchConfig(), categories=True)
    fitted.fit(data, INSIDE, 0, lambda *_, **__: None)
    assert fitted.model.categorical == (1, 3)
    assert np.isfinite(fitted.predict(data, np.arange(10))[0]).all()


@tree_libraries.each()
def test_an_error_of_the_library_is_one_sentence_of_the_users(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    module, _, kind = boosting_checks.LIBRARIES[name].error.rpartition(".")
    error = getattr(importlib.import_module(module), kind)

    def refuse(*_: object, **__: object) -> None:
        raise error("[00:16:54] /there/data.cc:1196: Check failed: valid: odd data.\nStack trace:\n  [bt] (0) lib.so")

    fitted = cell(name)
    monkeypatch.setattr(type(fitted.model), "fit", refuse)
    called = boosting_checks.LIBRARIES[name].called
    with pytest.raises(UserError) as caught:
        fitted.fit(small_store(), INSIDE, 0, lambda *_, **__: None)
    assert str(caught.value) == (
        f"model {name}: {called} refuses its parameters or its data: Check failed: valid: odd data."
    )


@pytest.mark.parametrize("name", tree_libraries.EXTRAS)
def test_a_library_that_is_not_there_is_refused_with_the_way_to_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    message = rf"model 'trees' needs \w+, which is not installed here: set FOLDLINE_EXTRAS={name} once"
    with pytest.raises(UserError, match=message):
        boosting_checks.check_library("trees", name, {})


@tree_libraries.each()
def test_an_older_library_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older ones begin elsewhere, or fail where all targets of a fold are alike."""
    monkeypatch.setattr(requirements, "installed", lambda name: "1.1.0")
    with pytest.raises(UserError, match=rf"model 'trees' needs a newer \w+: {name}>=[\d.]+ \(1\.1\.0\) is here"):
        boosting_checks.check_library("trees", name, {})


@tree_libraries.each()
def test_a_gpu_that_is_not_there_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    boosting_checks.check_library("trees", name, {"device": "cpu"})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="device = 'cuda' needs an NVIDIA GPU, but none is seen here"):
        boosting_checks.check_library("trees", name, {"device": "cuda"})


def test_an_xgboost_without_cuda_is_refused_beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would train on the CPU without a word."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(boosting_checks, "_xgboost_has_cuda", lambda: False)
    monkeypatch.setattr(boosting_checks, "_require", lambda name, what: None)
    with pytest.raises(UserError, match="install the package xgboost in place of xgboost-cpu"):
        boosting_checks.check_library("trees", "xgboost", {"device": "cuda"})


def test_a_bag_without_rows_is_refused_by_the_name_of_its_key() -> None:
    params = {"objective": "l1", "subsample": 0.01}
    with pytest.raises(UserError, match=r"subsample = 0\.01 must leave at least one row .* there are 99 scored"):
        boosting_checks.check("trees", params, np.ones((99, 1)), ("speed",), "outside fold 0", "xgboost")
    with pytest.raises(UserError, match="XGBoost keeps targets in float32"):
        boosting_checks.check("trees", params, np.full((999, 1), 1e39), ("speed",), "outside fold 0", "xgboost")


def test_catboost_on_a_gpu_watches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(boosting_checks, "_require", lambda name, what: None)
    boosting_checks.check_library("trees", "catboost", {"device": "cuda"})
    with pytest.raises(UserError, match="CatBoost scores no metric of ours on a GPU"):
        boosting_checks.check_library("trees", "catboost", {"device": "cuda"}, watched=True)


@tree_libraries.each()
@pytest.mark.parametrize("objective", ["l1", "l2", "huber", "quantile"])
def test_where_labels_lie_changes_nothing(name: str, objective: str) -> None:
    """Neither far from 0, where XGBoost's huber begins, nor where float32 has no number between them."""
    data, every, found = small_store(20), np.arange(20), []
    params = {"rounds": 20, **tree_libraries.SMALL[name], "objective": objective}
    params |= {"alpha": 0.5} if objective == "quantile" else {}
    for middle in (0.0, 1000.0, 1e9):
        moved = replace(data, y=data.y + middle)
        scale = boosting_cell.scale_of_labels(PLAIN, name, params, moved, every)
        fitted = BoostingCell(name, params, TRAIN, transform=scale)
        fitted.fit(moved, every, 0, lambda *_, **__: None)
        found.append(fitted.predict(moved, every)[0] - middle)
    np.testing.assert_allclose(found[1:], [found[0]] * 2, rtol=0, atol=2e-3)
