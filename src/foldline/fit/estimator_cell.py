"""An estimator of open rows on one fold: fitted to exact rows and to the labels of its series, it leaves channels.

R rows, C channels.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foldline import models
from foldline.data import open_rows
from foldline.data.store import Store
from foldline.fit.trainer import Emit
from foldline.models.systems.smoother import Smoother

if TYPE_CHECKING:
    from ventilator.open_rows import Estimate

VERSION = 2  # part of every cell's key: raise it when a change here changes what comes out
ERROR = math.sqrt(2 / math.pi)  # mean absolute error of a normal variable of deviation 1


class EstimatorCell:
    """It reads the tables' own rows, prepared (data/open_rows.py), not features, and uses nothing of [train]."""

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        self.name = name
        self.model: Smoother = models.MODELS[name].make(models.MODELS[name].config(**params))
        self._latest: tuple[str, Estimate] | None = None  # fingerprint of a table, and what is estimated of it

    def fit(self, data: Store, series: np.ndarray, test: Store, emit: Emit) -> None:
        """Fit to what is known of the given series, (n,), and to exact rows of the test table."""
        own, others = open_rows.read(data.fingerprint), open_rows.read(test.fingerprint)
        rows, known = data.answers(series), np.full(len(data.scored), np.nan)
        known[rows] = open_rows.exact(own)[rows]  # not of held-out series: nothing is fitted to those
        labelled = rows[data.scored[rows]] if self.model.config.labels else rows[:0]
        known[labelled] = data.y[labelled, 0]
        self.model.fit([(own, known), (others, open_rows.exact(others))])
        self._latest = None
        told = rows[~np.isnan(known[rows])]
        left = np.abs(self.estimated(data).mean[told] - known[told])
        emit("epoch", epoch=1, loss=float(left.mean()) if len(told) else 0.0)

    def predict(self, data: Store, series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predict every row of some series, (r, 1), and its expected absolute error: 0 where it is exact."""
        found, rows = self.estimated(data), data.answers(series)
        return found.mean[rows, None], ERROR * found.sd[rows, None]

    apply = predict

    def estimated(self, data: Store) -> Estimate:
        """Estimate all rows of a table: once, as long as no other table is asked for in between."""
        if self._latest is None or self._latest[0] != data.fingerprint:
            self._latest = data.fingerprint, self.model.estimate(open_rows.read(data.fingerprint))
        return self._latest[1]

    def of_copy(self, data: Store, number: int, series: np.ndarray) -> Estimate:
        """Estimate all rows of a table of whose exact rows some are hidden: those that one of `series` (n,) lacks.

        number: of the copy (open_rows.masked).
        """
        among = np.zeros(len(data.scored), dtype=bool)
        among[data.answers(series)] = True
        return self.model.estimate(open_rows.masked(open_rows.read(data.fingerprint), number, among))

    def save(self, folder: Path) -> None:
        """Write what was fitted."""
        self.model.save(folder)

    def load(self, folder: Path, data: Store) -> None:
        """Read what `save` wrote."""
        self.model.load(folder)
        self._latest = None
