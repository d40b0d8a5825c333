"""What networks were fitted on, recorded while they are fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldline.core import files
from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.network_cell import NetworkCell


@dataclass
class TrainingData:
    """What a cell was fitted on."""

    labelled_sets: list[LabelledSeries]
    scaler: dict[str, Any]

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, TrainingData)
        return self.scaler == other.scaler and all(
            np.array_equal(getattr(one, name), getattr(two, name)) and np.array_equal(features(one), features(two))
            for one, two in zip(self.labelled_sets, other.labelled_sets, strict=True)
            for name in ("series", "y", "known", "weight")
        )


def features(labelled: LabelledSeries) -> np.ndarray:
    return np.asarray(labelled.store.features(labelled.store.rows(labelled.series)))


@pytest.fixture
def training_data(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], TrainingData]:
    """(home, folder of the cell) -> what it was fitted on, for every network that is fitted."""
    seen: dict[tuple[str, str], TrainingData] = {}
    honest: Callable[..., Iterator[None]] = NetworkCell.fit

    def fit(
        self: NetworkCell,
        labelled_sets: list[LabelledSeries],
        seed: int,
        emit: Any,
        folder: Path,
        start: Any,
        **more: Any,
    ) -> Iterator[None]:
        seen[str(files.home()), folder.name] = TrainingData(labelled_sets, self.scaler.to_json())
        return honest(self, labelled_sets, seed, emit, folder, start, **more)

    monkeypatch.setattr(NetworkCell, "fit", fit)
    return seen
