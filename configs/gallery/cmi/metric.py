"""The metric of CMI Detect Behavior: the mean of the F1 of targets, and of macro F1 with all others as one class."""

import numpy as np
import pandas as pd

TARGETS = [
    "Above ear - pull hair",
    "Cheek - pinch skin",
    "Eyebrow - pull hair",
    "Eyelash - pull hair",
    "Forehead - pull hairline",
    "Forehead - scratch",
    "Neck - pinch skin",
    "Neck - scratch",
]
higher_is_better = True


def score(solution: pd.DataFrame, submission: pd.DataFrame, row_id_column_name: str) -> float:
    """Return the metric, 0 to 1.

    >>> truth = pd.DataFrame({"id": [0, 1, 2], "gesture": ["Neck - scratch", "Wave hello", "Glasses on/off"]})
    >>> score(truth, truth.assign(gesture=["Neck - scratch", "Text on phone", "Neck - scratch"]), "id")
    0.6666666666666666
    """
    truth, said = (frame["gesture"].to_numpy() for frame in (solution, submission))
    classes, codes = np.unique(np.concatenate([truth, said]), return_inverse=True)
    merged = np.where(np.isin(classes, TARGETS), np.arange(len(classes)), -1)[codes]  # -1: the rest
    truth, said = merged[: len(truth)], merged[len(truth) :]
    return float((_f1(truth >= 0, said >= 0) + np.mean([_f1(truth == n, said == n) for n in np.unique(merged)])) / 2)


def _f1(truth: np.ndarray, said: np.ndarray) -> float:
    """Return the F1 of one class, 0 where it is neither true nor said. truth, said: (rows,) bool."""
    return 2 * (truth & said).sum() / max((truth | said).sum() + (truth & said).sum(), 1)
