"""Predictions that cells leave: written and checked, and gathered over folds and seeds. A answers, K columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from foldline.core import files
from foldline.core.errors import UserError
from foldline.data import on_disk
from foldline.data.metrics import Metric, NotScorable
from foldline.data.store import Store
from foldline.fit.boosting_cell import BoostingCell
from foldline.fit.estimator_cell import EstimatorCell
from foldline.fit.network_cell import NetworkCell
from foldline.fit.series_cell import SeriesCell
from foldline.run.cells import Cell

Estimator = NetworkCell | BoostingCell | SeriesCell | EstimatorCell


def write_predictions(cell: Cell, estimator: Estimator, store: Store, series: np.ndarray, path: Path) -> None:
    """Write (a, K) predictions of some series to `path`, and their spread beside them where the model estimates it.

    Raises:
        UserError: one is not finite; a blend would carry that everywhere.
    """
    values, spread = estimator.predict(store, series)
    if store.estimate is not None and store.given is not None:  # exact rows are not predicted
        answers = store.answers(series)
        values = np.where(store.given[answers, None], store.estimate[answers, :1], values)
        spread = None if spread is None else np.where(store.given[answers, None], 0.0, spread)
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        broken = np.unique(np.repeat(series, store.answers_of_series[series])[bad])
        raise UserError(
            f"{cell.name}: a prediction must be finite, but that of series {store.keys[broken][0]} is not "
            f"({len(broken)} such series). Look for an extreme input there, or at the losses in "
            f"{cell.folder / 'history.jsonl'}."
        )
    if spread is not None:  # first: where there are predictions, their spread is complete
        files.write_array(spread_path(path), spread)
    files.write_array(path, values)


def spread_path(path: Path) -> Path:
    """Return where the spread of predictions lies: (a, K) expected absolute error, in the target's unit."""
    return path.with_name(f"spread-{path.name}")


def out_of_fold(cells: Sequence[Cell], store: Store) -> np.ndarray:
    """Gather one model's out-of-fold predictions, (A, K): of each answer, the mean over the cells that held it out.

    NaN where none did, as of the first block of time folds.
    """
    return _mean_of_held_out(store, [(cell, cell.folder / "out_of_fold.npy") for cell in cells])


def out_of_fold_spread(cells: Sequence[Cell], store: Store) -> np.ndarray | None:
    """Gather the expected absolute error of those, (A, K); None where the model does not estimate it."""
    paths = [(cell, spread_path(cell.folder / "out_of_fold.npy")) for cell in cells if cell.fold is not None]
    return _mean_of_held_out(store, paths) if paths and all(path.exists() for _, path in paths) else None


def _mean_of_held_out(store: Store, stored: Sequence[tuple[Cell, Path]]) -> np.ndarray:
    total, count = on_disk.zeros(store.y.shape), np.zeros(len(store.scored), dtype=np.uint16)
    for cell, path in stored:
        cell.refuse_damaged()
        answers = store.answers(files.read_array(cell.folder / "held_out.npy"))
        total[answers] += files.read_array(path, mapped=True)
        count[answers] += 1
    np.divide(total, count[:, None], out=total, where=count[:, None] > 0)
    total[count == 0] = np.nan
    return total


def held_out_score(cell: Cell, store: Store, metric: Metric) -> float | None:
    """Score a finished cell on the series it held out, before any post-processing; None where that is not defined."""
    cell.refuse_damaged()
    answers = store.answers(files.read_array(cell.folder / "held_out.npy"))
    scored = store.scored[answers]
    if not scored.any():
        return None
    try:
        predicted = files.read_array(cell.folder / "out_of_fold.npy")[scored]
        return metric(store.y[answers[scored]], predicted, *store.beside(metric, answers[scored]))
    except NotScorable:
        return None
