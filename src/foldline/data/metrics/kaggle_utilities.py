"""What metric files import as `kaggle_metric_utilities`: Kaggle's utility script of that name, written anew.

kaggle_file.py offers it under that name while a metric file runs, unless the real one is there. Its five names and what
they do are Kaggle's (https://www.kaggle.com/code/metric/kaggle-metric-utilities). Frames are pandas ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class ParticipantVisibleError(Exception):
    """An error that Kaggle shows to participants. Metric files define classes of this name, too: names count."""


class HostVisibleError(Exception):
    """An error that Kaggle shows to the host only."""


def treat_as_participant_error(error_message: str, solution: Any) -> bool:
    """Return whether a message can't tell the solution: all of that is numbers, and the message has no digit.

    With bool columns it has not the words true or false, either.
    """
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if not all(is_numeric_dtype(kind) for kind in solution.dtypes):
        return False
    words = ("true", "false") if any(is_bool_dtype(kind) for kind in solution.dtypes) else ()
    has_digit = any(letter.isdigit() for letter in error_message)
    return not has_digit and not any(word in error_message.lower() for word in words)


def safe_call_score(
    metric_function: Callable[..., Any], solution: Any, submission: Any, **metric_func_kwargs: Any
) -> Any:
    """Call a metric; of its errors those that tell nothing of the solution become ParticipantVisibleError."""
    try:
        return metric_function(solution, submission, **metric_func_kwargs)
    except Exception as error:
        message = str(error)
        if type(error).__name__ == "ParticipantVisibleError":
            raise ParticipantVisibleError(message) from error
        if type(error).__name__ == "HostVisibleError":
            raise HostVisibleError(message) from error
        if treat_as_participant_error(message, solution):
            raise ParticipantVisibleError(message) from error
        raise


def verify_valid_probabilities(df: Any, df_name: str) -> None:
    """Refuse a frame whose columns are not numbers from 0 to 1, or whose rows do not sum to one."""
    from pandas.api.types import is_numeric_dtype

    if not all(is_numeric_dtype(kind) for kind in df.dtypes):
        raise ParticipantVisibleError(f"{df_name}: probabilities must be numbers, but a column holds something else.")
    if df.min().min() < 0 or df.max().max() > 1:
        raise ParticipantVisibleError(f"{df_name}: probabilities must lie between zero and one.")
    if not np.allclose(df.sum(axis=1), 1):
        raise ParticipantVisibleError(f"{df_name}: the probabilities of a row must sum to one.")
