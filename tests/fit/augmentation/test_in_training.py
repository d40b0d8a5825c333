"""Parts of [train.augment] in a training: the same bits however it runs, and other ones than without them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lab import TRAIN, fitted, small_store, weights

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
)
from foldline.fit.train_config import AugmentConfig

ALL = AugmentConfig(
    rotate=Rotate(share=0.5, axes=(("f0", "f1", "f2"),)),
    flip=Flip(share=0.5, columns=("f1",)),
    reverse=Reverse(share=0.5),
    window_slice=WindowSlice(share=0.5),
    time_warp=TimeWarp(share=0.5),
    scale=Scale(share=0.5),
    magnitude_warp=MagnitudeWarp(share=0.5),
    jitter=Jitter(share=0.5),
    drop_features=DropFeatures(share=0.5),
    cutout=Cutout(share=0.5),
    cutmix=CutMix(share=0.5),
)


def test_weights_are_the_same_wherever_features_come_from_and_others_than_without() -> None:
    data = small_store()
    plain = weights(fitted(data))
    made = weights(fitted(data, train=replace(TRAIN, augment=ALL)))
    assert made != plain
    assert made == weights(fitted(data, train=replace(TRAIN, augment=ALL, resident="off")))


@pytest.mark.parametrize("name", ALL.parts)
def test_each_part_reaches_the_network(name: str) -> None:
    only = AugmentConfig(**{name: replace(ALL.parts[name], share=1.0)})
    train = replace(TRAIN, epochs=1)
    assert weights(fitted(train=replace(train, augment=only))) != weights(fitted(train=train))
