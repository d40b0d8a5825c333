"""What LightGBM needs of a fold's targets, checked before any training, and its own errors as the user's.

Without the check a model of rows that doesn't fit the targets would end a run after its networks were trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from foldline.core.errors import UserError
from foldline.data.folds import Folds
from foldline.data.table import Table

POSITIVE, COUNT, SHARE, OTHER = "above 0", "not below 0, nor all 0", "from 0 to 1", "other than 0"
NEEDED = {  # objective -> what targets must be; others: any
    "gamma": POSITIVE,
    "rmspe": OTHER,
    "poisson": COUNT,
    "tweedie": COUNT,
    **dict.fromkeys(("binary", "multiclass", "cross_entropy"), SHARE),
}


def check_folds(label: str, params: dict[str, Any], table: Table, folds: Folds) -> None:
    """Refuse a model of rows that can't be fitted on the scored rows that one of the folds trains on.

    Args:
        label: of the model, for messages.
        params: its table.
        table: the training table.

    Raises:
        UserError
    """
    series = np.repeat(np.arange(len(table.lengths)), table.answers_of_series)[table.scored]
    y = table.y[table.scored]
    for fold in range(folds.k):
        inside = np.isin(series, folds.inside(fold))
        place = f"{'outside' if folds.time is None else 'before'} fold {fold} of {table.path}"
        check(label, params, y[inside], table.task.columns, place)


def check(label: str, params: dict[str, Any], y: np.ndarray, targets: tuple[str, ...], place: str) -> None:
    """Refuse a model of rows that can't be fitted on these targets, (m, K). place: where the rows are, for messages.

    Raises:
        UserError
    """
    objective, share = params["objective"], params["bagging_fraction"]
    if share * len(y) < 1:
        raise UserError(
            f"model {label!r}: bagging_fraction = {share:g} must leave at least one row to grow a tree on, but there "
            f"are {len(y)} scored rows {place}. Take a larger one."
        )
    with np.errstate(over="ignore", under="ignore"):
        rounded = y.astype(np.float32)  # as LightGBM keeps them
    for target, (name, values) in enumerate(zip(targets, rounded.T, strict=True)):
        if not np.isfinite(values).all():
            raise UserError(
                f"model {label!r}: LightGBM keeps targets in float32, whose largest number is 3.4e38, but {name!r} "
                f"reaches {np.abs(y[:, target]).max():.3g} {place}. Rescale it, or leave the model out."
            )
        if not _fits(objective, values):
            raise UserError(
                f"model {label!r}: objective = {objective!r} needs targets {NEEDED[objective]}, but {name!r} goes from "
                f"{y[:, target].min():.6g} to {y[:, target].max():.6g} {place}. Choose another objective, such as "
                "'l1' or 'l2'."
            )


def _fits(objective: str, values: np.ndarray) -> bool:
    """Return whether an objective can be fitted on a target, (m,) float32."""
    needed = NEEDED.get(objective)
    if needed is None:
        return True
    if needed == OTHER:
        return bool(values.all())
    if needed == SHARE:
        return bool(values.min() >= 0 and values.max() <= 1)
    return bool(values.min() > 0 if needed == POSITIVE else values.min() >= 0 and values.any())


@contextmanager
def lightgbm_errors(what: str) -> Iterator[None]:
    """Raise a LightGBM error inside the block as a UserError. what: which part of the run uses LightGBM."""
    import lightgbm

    try:
        yield
    except lightgbm.basic.LightGBMError as error:
        reason = str(error).strip().rstrip(".")
        raise UserError(f"{what}: LightGBM refuses its parameters or its data: {reason}.") from error
