"""Values as JSON has them."""

from __future__ import annotations

import math
from typing import Any


def without_nan(value: Any) -> Any:
    """Return a value with None in place of floats that are not finite: JSON has neither NaN nor infinities.

    A fold without a score has NaN, for example. Python writes and reads them all the same; other readers refuse them.
    """
    if isinstance(value, dict):
        return {name: without_nan(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
