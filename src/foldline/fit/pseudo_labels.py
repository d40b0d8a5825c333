"""Pseudo-labels: test series that a network is trained on too, labelled by other cells or by exact rows.

Teachers label the scored rows, exact rows take their place where they are found; all other targets stay unknown, but
for a known start (data.observed).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foldline.core import files
from foldline.data import exact_rows
from foldline.data.store import open_store
from foldline.fit.labelled_series import LabelledSeries


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """teacher = {...} in a [[model]]: pseudo-labels of test series that it is trained on, beside the labelled ones."""

    of: tuple[str, ...] = ()  # labels of models further up in the config: the mean of their cells of the same fold
    weight: float = 0.5  # how much a row with a teacher's label counts; a labelled row counts 1
    exact: bool = False  # rows that are decoded exactly from the inputs are labels too, and count 1 (ventilator only)

    def __post_init__(self) -> None:
        if not self.of and not self.exact:
            raise ValueError("a teacher needs labels to give: of = [labels of other models], exact = true, or both")
        if not 0 < self.weight <= 1:
            raise ValueError(f"weight must be above 0 and at most 1, but is {self.weight}")


@dataclass(frozen=True)
class PseudoLabels:
    """Where the pseudo-labels of a test table are: paths only, small enough to be sent to a worker."""

    store: Path  # of the test table
    exact: Path | None  # exact rows of the test table
    teachers: tuple[Path, ...]  # (A, K) predictions for the test table, one file a teacher
    weight: float  # of a row that teachers label

    def labelled_series(self) -> LabelledSeries:
        """Read the test series that have any label, with the mean of the teachers' predictions."""
        store = open_store(self.store)
        count = len(store.scored)
        # Copies: the stored arrays are read-only. They hold the known start.
        y, known, weight = np.array(store.y), np.array(store.known), np.zeros(count, dtype=np.float32)
        if self.teachers:
            mean = np.zeros(y.shape)
            for path in self.teachers:
                mean += files.read_array(path, mapped=True) / len(self.teachers)
            y[store.scored], known[store.scored], weight[store.scored] = mean[store.scored], True, self.weight
        if self.exact is not None:
            values = exact_rows.read(self.exact, count).values
            found = ~np.isnan(values) & store.scored
            y[found, 0], known[found, 0] = values[found], True
            weight[found & known.all(axis=1)] = 1.0  # a row counts for all its targets
        labelled = np.bincount(store.series_of_answer, weight > 0, len(store.lengths)) > 0
        whole = LabelledSeries(store, np.arange(len(store.lengths)), y, known, weight, store.scored)
        return whole.subset(labelled)
