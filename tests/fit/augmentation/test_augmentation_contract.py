"""What every part of [train.augment] with a table of its own must keep, over the registry."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from augmented import MASK, batch, channels, drawn, same
from lab import small_store
from torch import Tensor

from foldline.core.errors import UserError
from foldline.data.store import Store
from foldline.fit import augment
from foldline.fit.augmentation import AUGMENTATIONS
from foldline.fit.train_config import NEWER_IN, AugmentConfig, TrainConfig

STRONG: dict[str, dict[str, Any]] = {
    "rotate": {"axes": (("a", "b", "c"),), "degrees": 180.0},
    "flip": {"columns": ("a", "c")},
    "reverse": {},
    "window_slice": {"length": 0.5},
    "time_warp": {"sigma": 1.0},
    "scale": {"sigma": 0.5},
    "magnitude_warp": {"sigma": 0.5},
    "jitter": {"sigma": 0.5},
    "drop_features": {"rate": 0.5},
    "cutout": {"length": 0.5},
    "cutmix": {"longest": 1.0},
}
NONE: dict[str, dict[str, Any]] = {  # settings at which a series that is chosen stays as it is
    "rotate": {"axes": (("a", "b", "c"),), "degrees": 0.0},
    "window_slice": {"length": 1.0},
    "time_warp": {"sigma": 0.0},
    "scale": {"sigma": 0.0},
    "magnitude_warp": {"sigma": 0.0},
    "jitter": {"sigma": 0.0},
    "drop_features": {"rate": 0.0},
    "cutout": {"length": 0.0},
    "cutmix": {"longest": 0.0},
}
every = pytest.mark.parametrize("name", AUGMENTATIONS)
BATCHES = [(mask, on_series) for mask in (MASK, None) for on_series in (False, True)]
forms = pytest.mark.parametrize(("mask", "on_series"), BATCHES, ids=["padded", "padded series", "full", "full series"])


def strong(name: str, share: float = 1.0) -> Any:
    return AUGMENTATIONS[name](share=share, **STRONG[name])


def test_the_registry_is_the_config_and_all_of_it_is_tested_here() -> None:
    assert list(AUGMENTATIONS) == [field.name for field in fields(AugmentConfig) if field.name in AUGMENTATIONS]
    assert set(STRONG) == set(AUGMENTATIONS) and set(AUGMENTATIONS) <= set(NEWER_IN["augment"])
    assert set(AUGMENTATIONS) - set(NONE) == {"flip", "reverse"}  # these have no strength
    assert not any(part.share for part in AugmentConfig().parts.values())


@every
@forms
def test_it_changes_series_and_nothing_where_it_is_off(name: str, mask: Tensor | None, on_series: bool) -> None:
    given = batch(mask, on_series)
    assert not same(drawn(strong(name), given), given)
    assert same(drawn(strong(name, share=0.0), given), given)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    off = AugmentConfig(**{name: strong(name, share=0.0)})
    assert augment.augment(given, off, None) is given  # type: ignore[arg-type]
    assert torch.equal(torch.get_rng_state(), before)  # what comes after it is drawn as without it


@pytest.mark.parametrize("name", NONE)
@forms
def test_without_strength_it_is_the_identity_to_the_bit(name: str, mask: Tensor | None, on_series: bool) -> None:
    given = batch(mask, on_series)
    assert same(drawn(AUGMENTATIONS[name](share=1.0, **NONE[name]), given), given)


@every
def test_the_same_seed_draws_the_same_and_another_another(name: str) -> None:
    given, part = batch(), strong(name, share=0.5)
    one, again = (drawn(part, given) for _ in range(2))
    assert same(one, again) and not all(same(one, drawn(part, given, seed=seed)) for seed in range(1, 6))


@every
@pytest.mark.parametrize("on_series", [False, True])
def test_padding_masks_statics_and_what_is_missing_stay(name: str, on_series: bool) -> None:
    given = batch(on_series=on_series)
    for seed in range(5):
        made = drawn(strong(name), given, seed=seed)
        assert (made.x[~MASK] == 0).all() and made.mask is given.mask and made.static is given.static
        assert torch.equal(made.x[..., 4], given.x[..., 4])  # a feature of a static column
        gone = made.x[..., 3] > 0  # where `missing(c)` says so: it is the flag of the step that c came from
        assert (made.x[..., 2][gone] == 0).all() and made.x.isfinite().all()
        if not on_series:
            pad = ~MASK
            assert not made.weight[pad].any() and not made.scored[pad].any() and not made.known[pad].any()  # type: ignore[index]
            assert made.auxiliary is not None and made.auxiliary[pad].isnan().all()


@every
def test_a_flag_keeps_its_two_values(name: str) -> None:
    given = batch()
    made = drawn(strong(name), given)
    assert set(made.x[..., 3][MASK].unique().tolist()) <= set(given.x[..., 3][MASK].unique().tolist())


@every
def test_of_a_whole_series_only_what_mixes_changes_the_answer(name: str) -> None:
    given, part = batch(on_series=True), strong(name)
    made = drawn(part, given)
    assert torch.equal(made.y, given.y) != part.mixes
    torch.testing.assert_close(made.y.sum(dim=-1), torch.ones(8, 1))


@every
def test_only_the_share_is_changed_and_every_series_may_be(name: str) -> None:
    given = batch(None)
    part, seen = strong(name, share=0.25), torch.zeros(8)
    for seed in range(60):
        seen += (drawn(part, given, seed=seed).x != given.x).flatten(1).any(dim=1)
    assert (seen > 0).all() and seen.sum() <= 0.35 * 60 * 8


@every
def test_steps_move_with_their_targets_only_where_it_says_so(name: str) -> None:
    given, part = batch(None), strong(name)
    steps = torch.arange(12.0).expand(8, -1).clone()
    made = drawn(part, replace(given, weight=steps + 1))
    assert torch.equal(made.weight, steps + 1) != part.moves_steps


@every
def test_features_that_are_none_are_refused_with_those_that_are(name: str) -> None:
    data: Store = small_store()
    part = strong(name)
    train = TrainConfig(augment=AugmentConfig(**{name: part}))
    if not (hasattr(part, "columns") or hasattr(part, "axes")):
        augment.check_store("net", train, data)
        return
    bad = {"axes": (("f0", "f1", "nowhere"),)} if hasattr(part, "axes") else {"columns": ("nowhere",)}
    train = TrainConfig(augment=AugmentConfig(**{name: replace(part, **bad)}))
    with pytest.raises(UserError, match=f"'net': train.augment.{name}.*'nowhere'"):
        augment.check_store("net", train, data)


@every
def test_steps_with_known_targets_are_not_moved(name: str) -> None:
    train = TrainConfig(augment=AugmentConfig(**{name: strong(name)}))
    augment.check("net", train, known=False)
    if AUGMENTATIONS[name].moves_steps:
        with pytest.raises(UserError, match=f"train.augment.{name} moves the steps"):
            augment.check("net", train, known=True)
    else:
        augment.check("net", train, known=True)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        *((name, {"share": 1.5}, "share must be a share from 0 to 1") for name in AUGMENTATIONS),
        ("jitter", {"sigma": -1.0}, "sigma must be from 0"),
        ("scale", {"sigma": -1.0}, "sigma must be from 0"),
        ("magnitude_warp", {"knots": 0}, "knots must be from 1"),
        ("time_warp", {"knots": 1000}, "knots must be from 1"),
        ("time_warp", {"sigma": 11.0}, "sigma must be from 0 to 10"),
        ("window_slice", {"length": 0.0}, "length must be above 0"),
        ("cutout", {"length": 1.1}, "length must be from 0 to 1"),
        ("drop_features", {"rate": 1.1}, "rate must be from 0 to 1"),
        ("cutmix", {"longest": 1.1}, "longest must be from 0 to 1"),
        ("rotate", {"degrees": 200.0}, "degrees must be from 0 to 180"),
        ("rotate", {"axes": (("a", "b"),)}, "must be triplets"),
        ("rotate", {"axes": (("a", "b", "a"),)}, "must be triplets of different"),
        ("rotate", {"share": 0.5}, "needs the features that are axes"),
        ("flip", {"share": 0.5}, "needs the features whose sign flips"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(name: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AUGMENTATIONS[name](**given)


def test_channels_are_those_that_are_named_or_all_numbers() -> None:
    about = channels()
    assert about.chosen(()) is about.numbers
    assert about.chosen(("b", "age")).tolist() == [False, True, False, False, True]
