"""What is done to a batch: each part against its claim, on batches whose targets say where every value came from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from lab import INSIDE, small_store
from torch import Tensor

from foldline.core.errors import UserError
from foldline.fit import augment, device_block, labelled_series, scaler
from foldline.fit.batch import Batch
from foldline.fit.train_config import AugmentConfig, TrainConfig

SERIES, STEPS, CODES = 8, 6, 4
LENGTHS = torch.tensor([6, 1, 4, 6, 2, 3, 5, 6])
MASK = torch.arange(STEPS) < LENGTHS[:, None]


def batch(mask: Tensor | None = MASK, series: int = SERIES, steps: int = STEPS) -> Batch:
    """Targets are the identity: (B, T, B), 1 for the series itself; the weights are 0, 1/2 or 1."""
    torch.manual_seed(5)
    x, static = torch.randn(series, steps, 3), torch.randint(CODES, (series, 2))
    weight = torch.randint(3, (series, steps)) / 2 * (1 if mask is None else mask)
    return Batch(
        x=x,
        static=static,
        mask=mask,
        y=torch.eye(series)[:, None, :].expand(-1, steps, -1).clone(),
        weight=weight,
        scored=weight > 0,
        known=None if mask is None else mask[..., None].expand(-1, -1, series).clone(),
        has_unknown=False,
    )


def drawn(part: Any, *given: Any, seed: int = 0) -> Batch:
    torch.manual_seed(seed)
    changed: Batch = part(*given)
    return changed


def same(one: Batch, other: Batch) -> bool:
    tensors = {name: value for name, value in vars(one).items() if isinstance(value, Tensor)}
    return all(torch.equal(value, getattr(other, name)) for name, value in tensors.items())


# ---------------------------------------------------------------- mixup


@pytest.mark.parametrize("mask", [None, MASK], ids=["full", "padded"])
@pytest.mark.parametrize("alpha", [0.0, 0.4])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_mixup_mixes_everything_by_the_weights_that_the_targets_show(
    mask: Tensor | None, alpha: float, share: float
) -> None:
    plain = batch(mask)
    mixed = drawn(augment.mixup, plain, share, alpha, CODES)
    weights = mixed.y[:, 0]  # (B, B): row i says what of each series is in series i
    assert torch.equal(mixed.y, weights[:, None, :].expand_as(mixed.y))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(SERIES))
    assert int((weights > 0).sum(dim=1).max()) == 2
    if not alpha:
        assert set(weights.unique().tolist()) == {0.0, 0.5, 1.0}
    one_hot = torch.nn.functional.one_hot(plain.static, CODES).float()
    torch.testing.assert_close(mixed.x, torch.einsum("ij,jtf->itf", weights, plain.x))
    torch.testing.assert_close(mixed.static, torch.einsum("ij,jsl->isl", weights, one_hot))
    torch.testing.assert_close(mixed.static.sum(dim=-1), torch.ones(SERIES, 2))
    for number in range(SERIES):
        parents = weights[number] > 0
        assert torch.equal(mixed.weight[number], plain.weight[parents].min(dim=0).values)
        if mask is not None and mixed.mask is not None:
            assert torch.equal(mixed.mask[number], mask[parents].all(dim=0))
    assert (mixed.mask is None) == (mask is None)


def test_series_that_are_not_mixed_are_untouched_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "randperm", lambda count, device: torch.arange(count, device=device).roll(1))
    plain = batch()
    mixed = drawn(augment.mixup, plain, 0.5, 0.4, CODES)
    alone = mixed.y.diagonal(dim1=0, dim2=2)[0] == 1.0
    assert 0 < int(alone.sum()) < SERIES
    for name in ("x", "y", "weight", "mask"):
        assert torch.equal(getattr(mixed, name)[alone], getattr(plain, name)[alone])


def test_mixups_weights_are_beta_and_its_share_is_of_the_series() -> None:
    plain = batch(None, series=2000, steps=1)
    mixed = drawn(augment.mixup, plain, 0.3, 0.4, CODES)
    own = mixed.y[:, 0].diagonal()
    assert abs(float((own < 1).float().mean()) - 0.3) < 0.04
    drawn_weights = own[own < 1]
    assert abs(float(drawn_weights.mean()) - 0.5) < 0.05  # Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1))
    assert abs(float(drawn_weights.var()) - 1 / 7.2) < 0.02


# ---------------------------------------------------------------- hidden statics


def test_mask_static_hides_codes_and_features_of_chosen_series_and_nothing_else() -> None:
    plain, hidden = batch(), torch.tensor([torch.nan, -7.0, torch.nan])
    covered = drawn(augment.mask_static, plain, 0.5, hidden)
    chosen = covered.x[:, 0, 1] == -7.0
    assert 0 < int(chosen.sum()) < SERIES
    assert (covered.static[chosen] == 0).all() and (covered.x[chosen][:, :, 1] == -7.0).all()
    assert torch.equal(covered.static[~chosen], plain.static[~chosen])
    assert torch.equal(covered.x[~chosen], plain.x[~chosen])
    assert torch.equal(covered.x[..., [0, 2]], plain.x[..., [0, 2]])
    assert covered.y is plain.y and covered.weight is plain.weight and covered.mask is plain.mask


def test_hidden_features_are_those_of_statics_as_if_they_were_zero() -> None:
    """In the features' own unit: what the network sees is a series whose one-hots are all 0."""
    data = small_store(static=True)  # feature 0 is made of the static column
    fitted = scaler.fit("standard", data, INSIDE, 0)
    fold = device_block.place_block([labelled_series.labelled_series(data, INSIDE)], fitted, 6, torch.device("cpu"))
    whole = fold.batch(torch.arange(7))
    covered = drawn(augment.augment, whole, AugmentConfig(mask_static=1.0), fold)
    unscaled = covered.x.numpy() * fitted.scale + fitted.center
    np.testing.assert_allclose(unscaled[..., 0], 0.0, atol=1e-6)
    np.testing.assert_array_equal(covered.x[..., 1:], whole.x[..., 1:])
    assert (whole.static > 0).all() and (covered.static == 0).all()


# ---------------------------------------------------------------- shuffled steps


def numbered(series: int, steps: int, mask: Tensor | None = None) -> Batch:
    """Every value says at which step it stood."""
    place = torch.arange(steps, dtype=torch.float32).expand(series, -1).clone()
    wide = place.unsqueeze(-1)
    static, known = torch.zeros(series, 0, dtype=torch.int64), None if mask is None else mask[..., None]
    return Batch(wide.repeat(1, 1, 2), static, mask, wide, place, place > 0, known, has_unknown=False)


@pytest.mark.parametrize("distance", [1, 2, 3, 7])
def test_no_step_moves_further_than_it_may_and_targets_and_weights_go_with_it(distance: int) -> None:
    moved = drawn(augment.shuffle, numbered(3000, 20), 1.0, distance)
    came_from = moved.weight
    assert torch.equal(moved.x, came_from.unsqueeze(-1).expand_as(moved.x)) and torch.equal(moved.y[..., 0], came_from)
    assert torch.equal(came_from.sort(dim=1).values, numbered(3000, 20).weight)
    assert int((came_from - torch.arange(20)).abs().max()) == distance


@pytest.mark.parametrize("distance", [1, 2, 3, 7])
def test_not_even_the_most_extreme_noise_moves_a_step_too_far(distance: int, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 1 - 2**-24  # the largest float32 below 1

    def extreme(*size: int, device: Any = None) -> Tensor:
        if len(size) == 1:
            return torch.zeros(size)  # every series is chosen
        return torch.where(torch.arange(size[1]) == 40, most, 0.0).expand(size)

    monkeypatch.setattr(torch, "rand", extreme)
    moved = augment.shuffle(numbered(1, 80), 1.0, distance)
    assert int((moved.weight - torch.arange(80)).abs().max()) == distance


def test_padding_stays_where_it_is_and_nothing_moves_into_it() -> None:
    lengths = torch.tensor([1, 3, 20, 11]).repeat(500)
    mask = torch.arange(20) < lengths[:, None]
    moved = drawn(augment.shuffle, numbered(2000, 20, mask), 1.0, 3)
    assert torch.equal(moved.weight[~mask], numbered(2000, 20).weight[~mask])
    assert not torch.equal(moved.weight[mask], numbered(2000, 20).weight[mask])
    assert moved.mask is mask


def test_what_a_whole_series_is_asked_stays_while_its_steps_are_shuffled() -> None:
    steps = numbered(8, 20)
    answers = replace(steps, y=torch.eye(8)[:, None], weight=torch.ones(8, 1), scored=torch.ones(8, 1) > 0)
    moved = drawn(augment.shuffle, answers, 1.0, 3)
    assert torch.equal(moved.x, drawn(augment.shuffle, steps, 1.0, 3).x) and not torch.equal(moved.x, steps.x)
    assert all(getattr(moved, name) is getattr(answers, name) for name in ("y", "weight", "scored", "known"))


def test_only_the_share_is_shuffled() -> None:
    moved = drawn(augment.shuffle, numbered(2000, 20), 0.25, 3)
    assert abs(float((moved.weight != torch.arange(20)).any(dim=1).float().mean()) - 0.25) < 0.04


def test_steps_with_known_targets_are_not_shuffled() -> None:
    train = TrainConfig(augment=AugmentConfig(shuffle=0.5))
    augment.check("net", train, known=False)
    with pytest.raises(UserError, match=r"'net': train.augment.shuffle moves the steps"):
        augment.check("net", train, known=True)


# ---------------------------------------------------------------- all of it


def test_the_same_seed_draws_the_same_and_another_seed_another() -> None:
    data = small_store(static=True)
    fold = device_block.place_block(
        [labelled_series.labelled_series(data, INSIDE)], scaler.fit("robust", data, INSIDE, 0), 6, torch.device("cpu")
    )
    config = AugmentConfig(mixup=0.5, mixup_alpha=0.4, mask_static=0.5, shuffle=0.5)
    whole = fold.batch(torch.arange(7))
    one, again, other = (drawn(augment.augment, whole, config, fold, seed=seed) for seed in (0, 0, 1))
    assert same(one, again) and not same(one, other)


def test_nothing_is_changed_where_no_part_is_switched_on() -> None:
    data = small_store()
    fold = device_block.place_block(
        [labelled_series.labelled_series(data, INSIDE)], scaler.fit("robust", data, INSIDE, 0), 6, torch.device("cpu")
    )
    whole = fold.batch(torch.arange(7))
    assert augment.augment(whole, AugmentConfig(), fold) is whole


def test_data_without_static_columns_can_have_every_part() -> None:
    data = small_store()
    fold = device_block.place_block(
        [labelled_series.labelled_series(data, INSIDE)], scaler.fit("robust", data, INSIDE, 0), 6, torch.device("cpu")
    )
    config = AugmentConfig(mixup=1.0, mask_static=1.0, shuffle=1.0)
    changed = drawn(augment.augment, fold.batch(torch.arange(7)), config, fold)
    assert changed.x.isfinite().all() and changed.static.shape == (7, 0, 1)


def test_a_batch_in_parts_is_the_batch() -> None:
    for whole in (batch(), replace(batch(), mask=None)):
        parts = whole.parts(3)
        assert [len(part.x) for part in parts] == [3, 3, 2]
        for name, value in vars(whole).items():
            if isinstance(value, Tensor):
                assert torch.equal(torch.cat([getattr(part, name) for part in parts]), value)
            else:
                assert {getattr(part, name) for part in parts} == {value}
        assert all(part.mask is None for part in parts) == (whole.mask is None)
        assert whole.parts(0) == [whole] == whole.parts(8) == whole.parts(99)
