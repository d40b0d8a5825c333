"""[train.windows]: what stands for what is left out, and numbers that make no sense."""

from __future__ import annotations

from typing import Any

import pytest

from foldline.fit.window_config import TrainingWindowsConfig


def test_what_is_left_out_follows_from_the_length() -> None:
    assert not TrainingWindowsConfig().used
    config = TrainingWindowsConfig(length=100)
    assert (config.used, config.step, config.predicted, config.shared) == (True, 100, 100, 25)
    config = TrainingWindowsConfig(length=100, stride=30, predict=1000, overlap=0)
    assert (config.step, config.predicted, config.shared) == (30, 1000, 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"length": -1}, "length must be from 0"),
        ({"length": 5, "stride": 1 << 40}, "stride must be from 0"),
        ({"stride": 5}, "need a length"),
        ({"overlap": 0}, "need a length"),
        ({"length": 5, "overlap": 5}, "overlap must be below the 5 steps"),
        ({"length": 5, "predict": 9, "overlap": 9}, "overlap must be below the 9 steps"),
        ({"length": 5, "predict": 40, "loss": "centre"}, "give a smaller overlap"),
        ({"length": 5, "overlap": -2}, "overlap must be below"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingWindowsConfig(**given)
