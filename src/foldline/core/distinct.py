"""Each of many numbers once."""

from __future__ import annotations

import numpy as np


def distinct(values: np.ndarray) -> np.ndarray:
    """Return each value once, ascending, of (n,) whole numbers.

    np.unique does the same, but hashes them since numpy 2.3: of a million different ones a hundred times as long
    (findings/numpy-unique-of-whole-numbers.sh).
    """
    ordered = np.sort(values)
    return np.asarray(ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered)
