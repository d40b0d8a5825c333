"""What boosted trees need: a library, and targets that an objective allows; a library's own errors as the user's.

Without the check a model of rows that doesn't fit the targets would end a run after its networks were trained.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldline.core import requirements
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
BAGS = ("bagging_fraction", "subsample")  # key of the share of rows that a tree is grown on
PLACE = re.compile(r"^(\[[\d:]+\] )?\S+\.(cc|cpp|cu|h):\d+: ")  # time, file and line before a library's sentence


@dataclass(frozen=True)
class Library:
    """What a model of rows is made by."""

    called: str
    error: str  # dotted name of its own errors' class
    extra: str = ""  # of pyproject.toml; empty: it is in every installation
    requirement: str = ""  # of the extra: older versions predict other numbers, or fail where all targets are alike


LIBRARIES = {  # name of the model, which is that of the module
    "lightgbm": Library("LightGBM", "lightgbm.basic.LightGBMError"),
    "catboost": Library("CatBoost", "_catboost.CatBoostError", "catboost", "catboost>=1.2.8"),
    "xgboost": Library("XGBoost", "xgboost.core.XGBoostError", "xgboost", "xgboost>=3.2"),
}


def check_folds(label: str, name: str, params: dict[str, Any], table: Table, folds: Folds) -> None:
    """Refuse a model of rows that can't be fitted on the scored rows that one of the folds trains on.

    Args:
        label: of the model, for messages.
        name: of the model.
        params: its table.
        table: the training table.

    Raises:
        UserError
    """
    counted = table.scored if table.weight is None else table.scored & (table.weight > 0)
    series = np.repeat(np.arange(len(table.lengths)), table.answers_of_series)[counted]
    y = table.y[counted]
    for fold in range(folds.k):
        inside = np.isin(series, folds.inside(fold))
        place = f"{'outside' if folds.time is None else 'before'} fold {fold} of {table.path}"
        check(label, params, y[inside], table.task.columns, place, name)


def check(
    label: str, params: dict[str, Any], y: np.ndarray, targets: tuple[str, ...], place: str, name: str = "lightgbm"
) -> None:
    """Refuse a model of rows that can't be fitted on these targets, (m, K). place: where the rows are, for messages.

    Raises:
        UserError
    """
    objective, bag = params["objective"], next(key for key in BAGS if key in params)
    share = params[bag]
    if share * len(y) < 1:
        raise UserError(
            f"model {label!r}: {bag} = {share:g} must leave at least one row to grow a tree on, but there "
            f"are {len(y)} scored rows {place}. Take a larger one."
        )
    with np.errstate(over="ignore", under="ignore"):
        rounded = y.astype(np.float32)  # as all libraries keep them
    for target, (column, values) in enumerate(zip(targets, rounded.T, strict=True)):
        if not np.isfinite(values).all():
            raise UserError(
                f"model {label!r}: {LIBRARIES[name].called} keeps targets in float32, whose largest number is 3.4e38, "
                f"but {column!r} reaches {np.abs(y[:, target]).max():.3g} {place}. Rescale it, or leave the model out."
            )
        if not _fits(objective, values):
            raise UserError(
                f"model {label!r}: objective = {objective!r} needs targets {NEEDED[objective]}, but {column!r} goes "
                f"from {y[:, target].min():.6g} to {y[:, target].max():.6g} {place}. Choose another objective, such as "
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


def check_library(label: str, name: str, params: dict[str, Any], watched: bool = False) -> None:
    """Refuse a model of rows whose library is not installed, or can't train where its table says.

    Args:
        label: of the model, for messages.
        name: of the model.
        params: its table.
        watched: whether early stopping scores rows.

    Raises:
        UserError
    """
    _require(name, f"model {label!r}")
    if params.get("device", "cpu") != "cuda":
        return
    import torch

    if not torch.cuda.is_available():
        raise UserError(
            f"model {label!r}: device = 'cuda' needs an NVIDIA GPU, but none is seen here: leave device out."
        )
    if name == "catboost" and watched:
        raise UserError(
            f"model {label!r}: CatBoost scores no metric of ours on a GPU: leave device = 'cuda' out, or give it "
            "train = {watch = {stop = 0, best = false}}."
        )
    if name == "xgboost" and not _xgboost_has_cuda():
        raise UserError(
            f"model {label!r}: device = 'cuda' needs an XGBoost that was built for it, but this one is the wheel for "
            "CPUs: install the package xgboost in place of xgboost-cpu, or leave device out."
        )


def _xgboost_has_cuda() -> bool:
    import xgboost

    return bool(xgboost.build_info()["USE_CUDA"])


def _require(name: str, what: str) -> None:
    library, extra = LIBRARIES[name], LIBRARIES[name].extra
    if importlib.util.find_spec(name) is None:
        raise UserError(
            f"{what} needs {library.called}, which is not installed here: set FOLDLINE_EXTRAS={extra} once, as "
            f"in `FOLDLINE_EXTRAS={extra} ./run.sh doctor`, install '.[{extra}]' into an environment of your own, or "
            "leave the model out."
        )
    if library.requirement and (older := requirements.lacking([library.requirement])):
        raise UserError(
            f"{what} needs a newer {library.called}: {older[0]} is here. Update that package, or leave the model out."
        )


@contextmanager
def library_errors(name: str, what: str) -> Iterator[None]:
    """Raise an error of a library of trees inside the block as a UserError.

    Args:
        name: of the model that it is the library of.
        what: which part of the run uses it.

    Raises:
        UserError: also where it is not installed.
    """
    _require(name, what)
    library = LIBRARIES[name]
    module, _, error_type = library.error.rpartition(".")
    try:
        yield
    except getattr(importlib.import_module(module), error_type) as error:
        reason = PLACE.sub("", str(error).partition("\nStack trace")[0].strip()).rstrip(". ")
        raise UserError(f"{what}: {library.called} refuses its parameters or its data: {reason}.") from error
