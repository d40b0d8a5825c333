"""A hierarchical F1 of gestures: half of it target gesture or not, half the macro-F1 over targets and "the rest"."""

import pandas as pd
from sklearn.metrics import f1_score


class ParticipantVisibleError(Exception):
    pass


class HostVisibleError(Exception):
    pass


TARGETS = ["scratch", "pinch"]
OTHERS = ["wave", "drink"]


def score(solution: pd.DataFrame, submission: pd.DataFrame, row_id_column_name: str) -> float:
    """Mean of the binary F1 and the macro-F1.

    >>> ids = [10, 11, 12, 13]
    >>> solution = pd.DataFrame({"id": ids, "gesture": ["scratch", "pinch", "wave", "drink"]})
    >>> score(solution, solution.copy(), "id")
    1.0
    """
    known = [*TARGETS, *OTHERS]
    unknown = set(submission["gesture"].tolist()) - set(known)
    if unknown:
        raise ParticipantVisibleError(f"Unknown gestures: {sorted(unknown)}")
    true, said = solution["gesture"], submission["gesture"]
    binary = f1_score(true.isin(TARGETS), said.isin(TARGETS), zero_division=0)
    true, said = (each.where(each.isin(TARGETS), "rest") for each in (true, said))
    return 0.5 * binary + 0.5 * f1_score(true, said, average="macro", zero_division=0)
