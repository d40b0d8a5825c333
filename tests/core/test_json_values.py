"""Values that JSON lacks."""

from __future__ import annotations

import json

from foldline.core.json_values import without_nan


def test_what_is_not_finite_is_null_wherever_it_stands() -> None:
    value = {"scores": {"one": [0.5, float("nan")]}, "low": float("-inf"), "names": ("a",), "count": 3, "none": None}
    found = without_nan(value)
    assert found == {"scores": {"one": [0.5, None]}, "low": None, "names": ["a"], "count": 3, "none": None}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
