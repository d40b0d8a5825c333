"""Test-time augmentation: the mean over views that are put back to the steps that they were made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from augmented import CENTER, MASK, NAMES, SPREAD, batch, channels, numbered
from lab import TRAIN, fitted, small_store
from torch import Tensor

from foldline.core.errors import UserError
from foldline.fit.augmentation import views
from foldline.fit.augmentation.views import TtaConfig
from foldline.fit.batch import Batch

ALL = TtaConfig(reverse=True, flip=("b",), scale=(0.5, 2.0))


def test_views_are_all_combinations_and_the_first_is_the_batch() -> None:
    given = batch()
    found = list(views.views(given, ALL, channels()))
    assert len(found) == ALL.count == 12 and found[0][0] is given and not found[0][1]
    assert sum(turned for _, turned in found) == 6
    assert len({view.x.numpy().tobytes() for view, _ in found}) == 12
    for view, _ in found:
        assert (view.x[~MASK] == 0).all() and torch.equal(view.x[..., 4], given.x[..., 4])
    assert [len(list(views.views(given, each, channels()))) for each in (TtaConfig(), TtaConfig(flip=("a",)))] == [1, 2]


def test_answers_of_steps_are_turned_round_again_over_the_real_ones() -> None:
    """A model whose answer at a step is the step's own input has the same answer backwards."""
    for given in (batch(), batch(None)):

        def own_input(view: Batch) -> Tensor:
            return view.x[..., :2]

        found = views.averaged(own_input, given, TtaConfig(reverse=True), channels())
        torch.testing.assert_close(found, given.x[..., :2], rtol=0, atol=0)


def test_a_model_that_looks_one_step_back_looks_one_ahead_backwards() -> None:
    given = numbered(mask=MASK)

    def the_step_before(view: Batch) -> Tensor:
        return view.x[..., :1].roll(1, dims=1)

    found = views.averaged(the_step_before, given, TtaConfig(reverse=True), channels(missing=False))[
        3, :, 0
    ]  # 12 steps
    place = torch.arange(12.0)
    assert torch.equal(found[1:-1], (place[:-2] + place[2:]) / 2)


def test_flips_and_gains_are_averaged() -> None:
    given, place = batch(None), NAMES.index("b")

    def one(view: Batch) -> Tensor:
        return view.x[:, :1, place : place + 1]

    zero = -CENTER[place] / SPREAD[place]
    found = views.averaged(one, given, TtaConfig(flip=("b",)), channels())
    torch.testing.assert_close(found, zero.expand_as(found))  # as far on either side of 0 in its own unit
    found = views.averaged(one, given, TtaConfig(scale=(0.5, 2.0)), channels())
    torch.testing.assert_close(found, given.x[:, :1, place : place + 1] * 3.5 / 3)


@pytest.mark.parametrize("resident", ["on", "off"])
def test_predictions_are_the_mean_and_depend_on_no_other_series(resident: str) -> None:
    data = small_store()
    tta = TtaConfig(reverse=True, flip=("f1",))
    cell = fitted(data, train=replace(TRAIN, resident=resident))  # type: ignore[arg-type]
    plain, _ = cell.predict(data, np.arange(10))
    cell.train = replace(cell.train, tta=tta)
    mean, _ = cell.predict(data, np.arange(10))
    assert mean.shape == plain.shape and not np.allclose(mean, plain)
    alone = np.concatenate([cell.predict(data, np.array([series]))[0] for series in range(10)])
    np.testing.assert_allclose(alone, mean, rtol=1e-5)
    cell.train = replace(cell.train, tta=TtaConfig())
    assert np.array_equal(cell.predict(data, np.arange(10))[0], plain)


def test_views_of_features_that_are_none_are_refused() -> None:
    data = small_store()
    views.check_store("net", TtaConfig(flip=("f1",)), data)
    with pytest.raises(UserError, match=r"model 'net': train.tta.flip.*'g1'"):
        views.check_store("net", TtaConfig(flip=("g1",)), data)
    large = replace(data, facts={"offsets": {"f1": 1e9}})
    with pytest.raises(UserError, match="'f1' is a number so large"):
        views.check_store("net", TtaConfig(flip=("f1",)), large)
    with pytest.raises(UserError, match=r"train.tta.reverse sees series backwards"):
        views.check("net", TtaConfig(reverse=True), known=True)
    with pytest.raises(ValueError, match="scale must be from 0"):
        TtaConfig(scale=(-1.0,))
