"""What goes not with pairs of steps is refused before any training, and so are columns that are none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foldline.core.errors import UserError
from foldline.data.pairs import pair_names
from foldline.fit import pair_checks
from foldline.fit.augmentation import CutMix, Flip, Jitter, Reverse
from foldline.fit.augmentation.views import TtaConfig
from foldline.fit.patches import PatchesConfig
from foldline.fit.train_config import AugmentConfig, TrainConfig

NAMES = ("u", *pair_names("bpp", 1))


def store(x: list[list[float]]) -> Any:
    """Two series, of two rows and of the rest."""
    absent = {"sensor": SimpleNamespace(features=np.array([1])), "other": SimpleNamespace(features=np.array([0]))}
    values = np.array(x, dtype=np.float32)
    return SimpleNamespace(names=NAMES, x=values, offsets=np.array([0, 2]), keys=np.array(["a", "b"]), absent=absent)


GOOD = [[0.5, 1, 0.9], [0.1, -1, 0.9], [0.2, 0, 0]]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"augment": AugmentConfig(shuffle=0.5)}, "train.augment.shuffle"),
        ({"augment": AugmentConfig(mixup=0.5)}, "train.augment.mixup"),
        ({"augment": AugmentConfig(reverse=Reverse(share=0.5))}, "train.augment.reverse"),
        ({"augment": AugmentConfig(cutmix=CutMix(share=0.5))}, "train.augment.cutmix"),
        ({"augment": AugmentConfig(jitter=Jitter(share=0.5, columns=("partner(bpp.1)",)))}, "train.augment.jitter"),
        ({"augment": AugmentConfig(drop_channels={"sensor": 0.5})}, "train.augment.drop_channels.sensor"),
        ({"tta": TtaConfig(reverse=True)}, "train.tta.reverse"),
        ({"patches": PatchesConfig(rows=2)}, "train.patches"),
    ],
)
def test_what_moves_steps_is_refused(table: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=f"'net' reads pairs of steps, .* it takes no {says}"):
        pair_checks.refuse_training("net", TrainConfig(**table), store(GOOD), resampled=False)


def test_the_rest_is_taken() -> None:
    parts = {"jitter": Jitter(share=0.5), "flip": Flip(share=0.5, columns=("u",)), "drop_channels": {"other": 0.5}}
    train = TrainConfig(augment=AugmentConfig(**parts), tta=TtaConfig(scale=(1.1,)))
    pair_checks.refuse_training("net", train, store(GOOD), resampled=False)
    with pytest.raises(UserError, match=r"no data\.resample"):
        pair_checks.refuse_training("net", train, store(GOOD), resampled=True)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        (1, np.nan, r"partner\(bpp.1\) must be a whole number .* is missing at step 0 of series b"),
        (1, 1.5, "but is 1.5 at step 0 of series b"),
        (2, np.nan, r"pair\(bpp.1\) must be a number at each row, but is missing"),
    ],
)
def test_columns_that_are_no_pairs_are_refused(column: int, value: float, says: str) -> None:
    pair_checks.check_store("net", ("bpp",), store(GOOD))
    wrong = [list(row) for row in GOOD]
    wrong[2][column] = value
    pair_checks.check_store("net", (), store(wrong))  # a network that reads none
    with pytest.raises(UserError, match=says):
        pair_checks.check_store("net", ("bpp",), store(wrong))


def test_a_table_says_what_it_reads() -> None:
    block = {"kind": "conformer", "pairs": ["bpp", "other"]}
    assert pair_checks.named("hybrid", {"blocks": ({"kind": "conv"}, block)}) == ("bpp", "other")
    assert pair_checks.named("branches", {"branches": ({"blocks": (block,)},), "blocks": (block,)}) == ("bpp", "other")
    assert pair_checks.named("tft", {}) == ()
