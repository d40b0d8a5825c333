from __future__ import annotations

import numpy as np
import pytest

from foldline.core.distinct import distinct


@pytest.mark.parametrize("values", [[], [3], [2, 2, 2], [5, -1, 5, 0, 7, -1]])
def test_each_value_comes_once_in_ascending_order(values: list[int]) -> None:
    given = np.array(values, dtype=np.int64)
    found = distinct(given)
    assert found.tolist() == sorted(set(values)) and found.dtype == np.int64
    assert given.tolist() == values
