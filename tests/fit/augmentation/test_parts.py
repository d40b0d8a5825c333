"""Each part of [train.augment] against its claim, on batches whose values say where they came from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from augmented import LENGTHS, MASK, NAMES, SPREAD, STEPS, batch, channels, drawn, numbered, own, with_features
from scipy.interpolate import CubicSpline
from torch import Tensor

from foldline.fit import augment
from foldline.fit.augmentation import (
    CutMix,
    Cutout,
    DropFeatures,
    Flip,
    Jitter,
    MagnitudeWarp,
    Reverse,
    Rotate,
    Scale,
    TimeWarp,
    WindowSlice,
    smooth_curves,
)


def test_jitter_is_noise_of_its_sigma_on_each_value() -> None:
    given = numbered(series=400)
    noise = (drawn(Jitter(share=1.0, sigma=0.3), given, channels(missing=False)).x - given.x)[..., :3]
    assert abs(float(noise.std()) - 0.3) < 0.01 and abs(float(noise.mean())) < 0.01
    assert abs(float((noise[:, 1:] * noise[:, :-1]).mean())) < 0.005  # steps are drawn each for itself
    some = drawn(Jitter(share=1.0, columns=("b",)), given, channels(missing=False)).x != given.x
    assert some[..., 1].all() and not some[..., [0, 2, 3, 4]].any()


def test_scale_is_one_gain_a_feature_and_series() -> None:
    given = batch(None)
    gain = (drawn(Scale(share=1.0, sigma=0.5), given).x / given.x)[..., :2]
    torch.testing.assert_close(gain, gain[:, :1].expand_as(gain))
    assert len(gain[:, 0].flatten().unique()) > 12
    many = drawn(Scale(share=1.0, sigma=0.2), with_features(numbered(3000), a=torch.ones(3000, STEPS))).x[:, 0, 0]
    assert abs(float(many.mean()) - 1) < 0.02 and abs(float(many.std()) - 0.2) < 0.02


def test_magnitude_warp_is_a_natural_spline_through_evenly_placed_knots() -> None:
    """Over the real steps of each series, whatever their number: at the ends stand the first and the last knot."""
    knots = 0.4 * torch.randn(5, 6, 3, generator=torch.Generator().manual_seed(0))
    at = torch.rand(5, 200, generator=torch.Generator().manual_seed(1))
    found = smooth_curves.spline(knots, at)
    for series in range(5):
        right = CubicSpline(np.linspace(0, 1, 6), knots[series].numpy(), bc_type="natural")(at[series].numpy())
        np.testing.assert_allclose(found[series], right, atol=2e-5)
    given = with_features(batch(), a=torch.ones(8, STEPS) * MASK)
    made = drawn(MagnitudeWarp(share=1.0, sigma=0.3, knots=2), given).x[..., 0]
    torch.manual_seed(0)
    torch.rand(8)
    own_knots = 0.3 * torch.randn(8, 4, len(NAMES))[..., 0]
    for series, length in enumerate(LENGTHS.tolist()):
        right = CubicSpline(np.linspace(0, 1, 4), own_knots[series].numpy(), bc_type="natural")
        np.testing.assert_allclose(made[series, :length], 1 + right(np.linspace(0, 1, length)), atol=2e-5)


def test_flip_turns_the_sign_in_the_unit_of_the_column() -> None:
    given = batch()
    made = drawn(Flip(share=1.0, columns=("a",)), given)
    torch.testing.assert_close(own(made.x, "a")[MASK], -own(given.x, "a")[MASK])
    assert torch.equal(made.x[..., 1:], given.x[..., 1:])


def test_rotate_turns_triplets_in_their_own_unit_and_no_further_than_it_may() -> None:
    given = batch(None, series=40)
    about, part = channels(missing=False), Rotate(share=1.0, axes=(("c", "a", "b"),), degrees=40.0)
    made = drawn(part, given, about)
    before, after = (torch.stack([own(each.x, name) for name in ("c", "a", "b")], dim=-1) for each in (given, made))
    torch.testing.assert_close(after.norm(dim=-1), before.norm(dim=-1), rtol=1e-4, atol=1e-4)
    angles = []
    for first, second in zip(before.double(), after.double(), strict=True):
        turned = torch.linalg.lstsq(first, second).solution
        assert abs(float(torch.linalg.det(turned)) - 1) < 1e-3  # never a mirror
        angles.append(float(torch.rad2deg(torch.arccos(((turned.trace() - 1) / 2).clamp(-1, 1)))))
    assert 30 < max(angles) < 40.1 and min(angles) < 15
    assert torch.equal(made.x[..., 3:], given.x[..., 3:])


def test_a_triplet_that_lacks_an_axis_is_not_turned() -> None:
    given = batch(None)
    made = drawn(Rotate(share=1.0, axes=(("a", "b", "c"),)), given)
    lacking = given.x[..., 2] == 0
    assert lacking.any() and torch.equal(made.x[lacking], given.x[lacking])
    assert (made.x[~lacking][:, :3] != given.x[~lacking][:, :3]).any(dim=1).all()


# ---------------------------------------------------------------- time


def test_reverse_runs_over_the_real_steps_and_twice_is_nothing() -> None:
    given = numbered(mask=MASK)
    made = drawn(Reverse(share=1.0), given)
    for series, length in enumerate(LENGTHS.tolist()):
        backwards = torch.arange(length - 1, -1, -1.0)
        assert torch.equal(made.weight[series, :length], backwards)
        assert torch.equal(made.y[series, :length, 0], backwards)
        assert torch.equal(made.x[series, :length, 0], backwards)
        assert torch.equal(made.weight[series, length:], given.weight[series, length:])
    twice = drawn(Reverse(share=1.0), made)
    assert torch.equal(twice.x, given.x) and torch.equal(twice.y, given.y) and torch.equal(twice.scored, given.scored)


@pytest.mark.parametrize("mask", [None, MASK], ids=["full", "padded"])
def test_a_slice_is_drawn_out_to_the_steps_of_its_series(mask: Tensor | None) -> None:
    lengths = LENGTHS if mask is not None else torch.full((8,), STEPS)
    given, firsts = numbered(mask=mask), []
    made = drawn(WindowSlice(share=1.0, length=0.6), given, channels(missing=False))
    for series, length in enumerate(lengths.tolist()):
        came_from = made.x[series, :length, 0]
        firsts.append(float(came_from[0]) / max(length - 1, 1))
        torch.testing.assert_close(came_from, came_from[0] + 0.6 * torch.arange(float(length)))
        assert came_from[0] >= 0 and came_from[-1] <= length - 1
        torch.testing.assert_close(made.y[series, :length, 0], came_from)  # targets are of the same places
        assert (made.weight[series, :length] - came_from).abs().max() <= 0.5  # weights of the nearer step
        assert torch.equal(made.x[series, :length, 3], made.weight[series, :length])  # flags, too
    assert max(firsts) > 0.2 and min(firsts) < 0.1


def test_a_warp_keeps_the_ends_and_never_runs_backwards() -> None:
    given = numbered(series=200, steps=50)
    made = drawn(TimeWarp(share=1.0, sigma=1.0, knots=3), given, channels(missing=False))
    came_from = made.x[..., 0]
    assert (came_from.diff(dim=1) > -1e-4).all()
    torch.testing.assert_close(came_from[:, [0, -1]], torch.tensor([[0.0, 49.0]]).expand(200, -1), atol=1e-3, rtol=0)
    torch.testing.assert_close(made.y[..., 0], came_from)
    moved = (came_from - torch.arange(50.0)).abs().amax(dim=1)
    assert float(moved.median()) > 3
    gentle = drawn(TimeWarp(share=1.0, sigma=0.05, knots=3), given, channels(missing=False)).x[..., 0]
    assert 0 < float((gentle - torch.arange(50.0)).abs().max()) < 5


def test_the_map_of_a_warp_is_smooth_and_goes_through_its_knots() -> None:
    stretch = torch.tensor([[0.0, 0.5, -0.6, 2.0]])
    at = torch.linspace(0, 1, 2001)[None]
    found = at + smooth_curves.monotone_shift(stretch, at)
    knots = torch.tensor([0.0, *(1 + stretch[0]).cumsum(0)]) / (1 + stretch[0]).sum()
    torch.testing.assert_close(found[0, ::500], knots, atol=1e-5, rtol=0)
    slopes = found[0].diff() * 2000
    assert (slopes > 0).all() and float(slopes.diff().abs().max()) < 0.05  # no corner


def test_nothing_is_interpolated_with_what_is_missing_or_not_known() -> None:
    given = numbered(series=1)
    known = torch.ones(1, STEPS, 1, dtype=torch.bool)
    known[0, 5] = False
    x = given.x.clone()
    x[0, 7] = 0.0
    part = WindowSlice(share=1.0, length=0.5)
    made = drawn(part, type(given)(x, given.static, None, given.y * known, given.weight, given.scored, known, True))
    came_from = drawn(part, given, channels(missing=False)).x[0, :, 0]
    beside = ((came_from - 5).abs() < 1) & (came_from != 5)
    assert beside.any()
    near = came_from.round()
    assert torch.equal(made.y[0, beside, 0], torch.where(near == 5, 0.0, near)[beside])
    assert torch.equal(made.known[0, :, 0], near != 5)  # type: ignore[index]
    hole = (came_from - 7).abs() < 1
    assert hole.any() and torch.equal(made.x[0, hole, 0], torch.where(near == 7, 0.0, near)[hole])


# ---------------------------------------------------------------- covers, pieces


def test_cutout_covers_one_stretch_of_its_length() -> None:
    given = with_features(batch(), a=torch.ones(8, STEPS) * MASK)
    seen = torch.zeros(STEPS)
    for seed in range(40):
        made = drawn(Cutout(share=1.0, length=0.4), given, seed=seed)
        covered = (made.x[..., 0] == 0) & MASK
        assert torch.equal(covered.sum(dim=1), (0.4 * LENGTHS).round().long())
        edges = torch.nn.functional.pad(covered, (1, 1)).float().diff(dim=1)
        assert ((edges == 1).sum(dim=1) <= 1).all()  # in one piece
        assert torch.equal(made.y, given.y) and torch.equal(made.x[..., 3:], given.x[..., 3:])
        seen += covered[0]
    assert (seen > 0).all()


def test_dropped_features_are_gone_at_all_steps() -> None:
    given = batch(None)
    gone = drawn(DropFeatures(share=1.0, rate=0.5), given).x[..., :2] == 0
    assert torch.equal(gone, gone[:, :1].expand_as(gone)) and 0 < gone[:, 0].sum() < 16
    some = drawn(DropFeatures(share=1.0, rate=1.0, columns=("b",)), given).x
    assert not some[..., 1].any() and torch.equal(some[..., [0, 2, 3, 4]], given.x[..., [0, 2, 3, 4]])


def test_pieces_bring_their_targets_weights_and_masks_with_them() -> None:
    given = with_features(batch(), a=(torch.arange(8.0)[:, None] + 1).expand(-1, STEPS) * MASK)
    for seed in range(10):
        made = drawn(CutMix(share=1.0, longest=1.0), given, seed=seed)
        source = made.x[..., 0].long() - 1  # which series a step came from
        assert ((source >= 0) == MASK).all() and (
            source[MASK] != torch.arange(8)[:, None].expand(-1, STEPS)[MASK]
        ).any()
        place = source.clamp(min=0), torch.arange(STEPS).expand(8, -1)
        for name in ("x", "y", "weight", "scored", "known"):
            values, before = getattr(made, name), getattr(given, name)
            assert torch.equal(values[MASK][..., :4], before[place][MASK][..., :4])
        other = (source != torch.arange(8)[:, None]) & MASK
        assert all(len(row[moved].unique()) <= 1 for row, moved in zip(source, other, strict=True))  # of one series


def test_an_answer_of_a_series_is_mixed_by_the_share_of_its_steps() -> None:
    given = with_features(batch(on_series=True), a=(torch.arange(8.0)[:, None] + 1).expand(-1, STEPS) * MASK)
    made = drawn(CutMix(share=1.0, longest=1.0), given)
    for series, length in enumerate(LENGTHS.tolist()):
        sources = made.x[series, :length, 0].long() - 1
        shares = torch.nn.functional.one_hot(sources, 8).float().mean(dim=0)
        torch.testing.assert_close(made.y[series, 0], shares)
        parents = (shares > 0) | (torch.arange(8) == series)
        assert made.weight[series, 0] == given.weight[parents, 0].min()


# ---------------------------------------------------------------- mixup of like phases


def phased(on_series: bool = False) -> tuple[Tensor, Tensor]:
    """Eight series whose flag, b, is 1 for 3 or 8 of 12 steps; targets are the identity. -> mixed y, weight"""
    ones = torch.tensor([3, 8, 3, 8, 3, 8, 3, 8])
    flag = (torch.arange(STEPS) < ones[:, None]).float()
    given = with_features(batch(None, on_series), b=(flag + 2.0) / 0.5)
    given = type(given)(**{**vars(given), "weight": torch.ones_like(given.weight), "known": None})
    torch.manual_seed(0)
    made = augment.mixup(given, 1.0, 0.0, 4, channels().in_own_unit(given.x, "b"))
    return made.y, made.weight


def test_series_are_mixed_with_those_whose_phases_last_as_long() -> None:
    for on_series in (False, True):
        y, weight = phased(on_series)
        assert torch.equal(y[:, 0, 0::2].sum(dim=1) > 0, torch.arange(8) % 2 == 0)
        assert int((y[:, 0] > 0).sum(dim=1).min()) == 2 and (weight == 1).all()


def test_mixed_steps_of_two_phases_do_not_count() -> None:
    """Three series: one of them has a partner whose phase is longer."""
    ones = torch.tensor([3, 8, 8])
    flag = (torch.arange(STEPS) < ones[:, None]).float()
    given = with_features(batch(None, series=3), b=(flag - (-2.0)) * (1 / SPREAD[1]))
    given = type(given)(**{**vars(given), "weight": torch.ones(3, STEPS), "known": None, "auxiliary": None})
    torch.manual_seed(0)
    made = augment.mixup(given, 1.0, 0.0, 4, channels().in_own_unit(given.x, "b"))
    unlike = torch.zeros(3, STEPS, dtype=torch.bool)
    for series in range(3):
        other = int((made.y[series, 0] * (torch.arange(3) != series)).argmax())
        unlike[series] = (torch.arange(STEPS) < ones[series]) != (torch.arange(STEPS) < ones[other])
    assert unlike.any() and torch.equal(made.weight == 0, unlike) and made.has_unknown
    assert torch.equal(made.known[..., 0], ~unlike)  # type: ignore[index]


@pytest.mark.parametrize("part", [TimeWarp(share=1.0, sigma=0.5), WindowSlice(share=1.0, length=0.6)])
def test_a_target_of_weight_0_is_not_mixed_into_its_neighbours(part: TimeWarp | WindowSlice) -> None:
    """It may be a mark that there is none."""
    given = numbered(series=50)
    idle = torch.arange(STEPS).expand(50, -1) % 3 == 1
    weight, scored = torch.where(idle, 0.0, 1.0), torch.ones_like(idle)
    marked = replace(given, y=torch.where(idle[..., None], -999.0, given.y), weight=weight, scored=scored)
    made = drawn(part, marked, channels(missing=False))
    counted = made.y[..., 0][made.weight > 0]
    assert (counted >= 0).all() and (counted != counted.round()).any()  # between two that count it still is
