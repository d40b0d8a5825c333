"""Durations in a unit that fits."""

from __future__ import annotations

import pytest

from foldline.core.durations import duration

CASES = [(0.44, "0.4 s"), (3.96, "4 s"), (45.2, "45 s"), (100.0, "1.7 min"), (7200.0, "2.0 h")]


@pytest.mark.parametrize(("seconds", "text"), CASES)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text
