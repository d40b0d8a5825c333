"""What all cells of an experiment share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from foldline.data.featurize import FeaturesConfig
from foldline.data.folds import Folds
from foldline.data.metrics import MetricChoice
from foldline.data.roles import DataConfig
from foldline.data.store import Store
from foldline.fit.pretraining import PretrainConfig


@dataclass(frozen=True)
class PlanInputs:
    """What all cells of an experiment share."""

    data: DataConfig
    features: FeaturesConfig
    train: Store
    folds: Folds
    test: str = ""  # fingerprint of the test table
    exact: str = ""  # what the exact rows of the test table hash to, where a teacher gives them
    pretraining_data: Callable[[PretrainConfig, int | None], Store] | None = None  # series to pre-train a fold's cells

    @property
    def metric(self) -> MetricChoice:
        """What the competition's metric is made of."""
        return self.train.metric_choice(self.data)
