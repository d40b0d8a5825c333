"""What a report shows: an experiment's data, cells and predictions, and the errors computed from them.

Letters: N training series, T steps of the longest of them, R answers of the training table, K columns of each.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from foldline.core import files
from foldline.data.exact_rows import Exact
from foldline.data.loading import Competition
from foldline.data.metrics import Kind, Metric
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.ensemble.members import Member
from foldline.experiment import ranked_rows, stored_experiment
from foldline.experiment.config import Config
from foldline.experiment.loss_table import LossTable
from foldline.experiment.ranked_rows import Ranked
from foldline.experiment.result import Result
from foldline.run.cells import Cell

SUBMITTED = "submitted"  # name of the predictions in the last row of the score table, in all other tables
FAR = 10  # times the longest series, from which on the first times are far from 0
UNITS = {"days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}  # s, of an axis of dates
RankedTables = tuple[Ranked | None, Ranked | None]  # the same of ranked rows; None: post.ranked is off
ExactTables = tuple[Exact | None, Exact | None]  # exact rows of the train and test tables; None: post.decode is off


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How an experiment was made."""

    command: str
    environment: Mapping[str, str]  # name of a library or of a property of the machine -> its version or value
    seconds: Mapping[str, float] = field(default_factory=dict)  # step of the run -> time it took, s

    @classmethod
    def here(cls, command: str, seconds: Mapping[str, float] | None = None) -> Provenance:
        """Describe this process on this machine."""
        return cls(command=command, environment=environment_here(), seconds=seconds or {})


def environment_here() -> dict[str, str]:
    """Collect the versions of libraries that decide the last bits, the system, its cores and GPU, and the commit."""
    import torch

    known = {**stored_experiment.environment(), "system": platform.system(), "cores": str(os.cpu_count())}
    if torch.cuda.is_available():
        known["gpu"] = torch.cuda.get_device_name()
    commit = _commit()
    return known | ({"commit": commit} if commit else {})


def _commit() -> str:
    """Return the checkout's commit, with "-dirty" where files differ from it; empty without git."""
    root = files.checkout()
    if root is None or not (root / ".git").exists() or shutil.which("git") is None:
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


class TimeAxis(NamedTuple):
    """How times are drawn: as the column of the order has them, or from the start of each series.

    From the start where they were dates, and where they begin far from 0, as seconds of Unix do: the axis would have
    numbers of ten digits, and the mean over series that begin at different times would say nothing of a step.
    """

    label: str
    unit: float  # of the order column
    from_start: bool  # whether the first time of a series is 0

    @classmethod
    def of(cls, table: Table) -> TimeAxis:
        """Choose the largest unit that the longest series is a few of."""
        order = table.data.order
        times = table.frame[order].to_numpy()
        first = times[table.starts]
        span = float((times[table.starts + table.lengths - 1] - first).max())
        if not table.of_dates:
            from_start = table.since_start or float(np.abs(first).max()) > FAR * span
            return cls(f"{order}, from the start" if from_start else order, 1.0, from_start)
        unit = next((unit for unit, seconds in UNITS.items() if span >= 3 * seconds), "seconds")
        return cls(f"{order}, {unit} from the start", UNITS[unit], True)

    def of_rows(self, table: Table) -> np.ndarray:
        """Return the time of each row, (R,)."""
        times = table.since_first if self.from_start else table.frame[table.data.order].to_numpy()
        return np.asarray(times / self.unit)

    def of_series(self, table: Table, first: int, shown: slice) -> np.ndarray:
        """Return the times of some rows of the series that begins with row `first`, (rows,)."""
        times = table.frame[table.data.order]
        start = float(times[first]) if self.from_start else 0.0
        return (times.slice(shown.start, shown.stop - shown.start).to_numpy().astype(float) - start) / self.unit


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """An experiment: its config, cells, members, scores and data."""

    config: Config
    plan: list[Cell]
    members: list[Member]  # of the blend, those from outside included
    result: Result
    train: Store
    competition: Competition
    exact: ExactTables
    ranked: RankedTables = (None, None)
    provenance: Provenance

    @property
    def models(self) -> str:
        """What is submitted, before post-processing, in words."""
        return "blend of the models" if len(self.members) > 1 else "model"

    @property
    def metric(self) -> Metric:
        """The competition's metric."""
        return self.result.rows.metric

    @property
    def kind(self) -> Kind:
        """The kind of target."""
        return self.config.data.kind

    @cached_property
    def time_axis(self) -> TimeAxis:
        """How times are drawn."""
        return TimeAxis.of(self.competition.train)

    @property
    def names(self) -> tuple[str, ...]:
        """Name the K columns of truth and prediction."""
        return self.competition.train.task.columns

    @property
    def slice_metric(self) -> Metric:
        """What is shown of slices and steps: the metric, or where it is no mean of losses the nearest one that is."""
        return self.metric if self.metric.loss is not None else self.metric.nearest_loss(self.truth.shape[1])

    @property
    def series_metric(self) -> Metric:
        """What is shown of single series: that of slices, but no right or wrong: it would hardly tell them apart."""
        own = self.metric.loss is not None and self.metric.needs != "labels"
        return self.metric if own else self.metric.nearest_loss(self.truth.shape[1])

    def known(self, values: np.ndarray) -> np.ndarray:
        """Select the scored answers. values: (R, ...)."""
        return np.asarray(values[self.train.scored])

    @property
    def weight(self) -> np.ndarray | None:
        """How much each scored answer counts in the metric; None: all alike."""
        return self.result.rows.weight

    @property
    def weighing(self) -> str:
        """Say that answers count by their weights, as the end of a sentence; empty where they don't."""
        return "" if self.weight is None else f"; each answer counts by its {self.config.data.weight}"

    @cached_property
    def truth(self) -> np.ndarray:
        """Truth of all answers, (R, K)."""
        return np.asarray(self.train.y)

    @cached_property
    def fold(self) -> np.ndarray:
        """Fold of each series, (N,); -1 where no row of it is scored."""
        fold = np.full(len(self.train.lengths), -1)
        fold[self.result.rows.series] = self.result.rows.fold
        return fold

    @cached_property
    def predictions(self) -> dict[str, np.ndarray]:
        """Out-of-fold predictions, (R, K), of each member, and last of SUBMITTED."""
        members = dict(zip(self.result.labels, self.result.member_predictions, strict=True))
        return members | {SUBMITTED: self.result.blended}

    @cached_property
    def has_labels(self) -> bool:
        """Whether what is submitted are decided labels, zeros and ones, of models that predict probabilities."""
        submitted = self.known(self.result.blended)
        zeros_and_ones = bool(((submitted == 0) | (submitted == 1)).all())
        return self.kind in ("binary", "multiclass", "multilabel") and zeros_and_ones

    @cached_property
    def probabilities(self) -> dict[str, np.ndarray]:
        """The predictions; where labels are submitted, the blend before they are decided in their place, (R, K)."""
        if not self.has_labels:
            return self.predictions
        members = dict(zip(self.result.labels, self.result.member_predictions, strict=True))
        return members | {self.models: self.before_post}

    def shown_by(self, metric: Metric) -> dict[str, np.ndarray]:
        """Return the predictions that a metric says something of: of labels a loss of probabilities says nothing."""
        return self.predictions if metric.needs == "labels" else self.probabilities

    @property
    def of_probabilities(self) -> str:
        """Say whose the last of the probabilities are, as in a sentence."""
        return f"the {self.models}, before labels are decided" if self.has_labels else "what is submitted"

    @cached_property
    def before_post(self) -> np.ndarray:
        """The nested blend before post-processing, (R, K); 0 where not scored."""
        values = np.zeros(self.truth.shape)
        values[self.train.scored] = self.result.nested.values
        return values

    @cached_property
    def spreads(self) -> dict[str, np.ndarray]:
        """Expected absolute error, (R, K), of the members whose head predicts it."""
        found = {member.label: member.spread(self.train) for member in self.members if member.cells}
        return {label: spread for label, spread in found.items() if spread is not None and spread.any()}

    @cached_property
    def is_exact(self) -> np.ndarray | None:
        """Whether a row is read back exactly, (R,) bool; None where post.decode is off."""
        found = self.exact[0]
        return None if found is None else found.known

    @cached_property
    def is_ranked(self) -> np.ndarray:
        """Whether a row of the training table is ranked, and scored, (R,) bool."""
        found = self.ranked[0]
        return np.zeros(len(self.train.scored), dtype=bool) if found is None else found.rows & self.train.scored

    @cached_property
    def ranked_counts(self) -> ranked_rows.Counts | None:
        """How many scored rows are ranked; None where post.ranked is off."""
        own, tested = self.ranked
        if own is None:
            return None
        test = None if tested is None else int((tested.rows & self.competition.test.scored).sum())
        wrong = own.wrong(np.where(self.is_ranked, self.truth[:, 0], own.values))
        return ranked_rows.Counts(train=int(self.is_ranked.sum()), wrong=wrong, test=test)

    @cached_property
    def loss_table(self) -> LossTable:
        """The table that sums losses of every scored value by series, phase and exactness."""
        return LossTable.of(self.train, self.is_exact, self.weight)

    def series_error(self, values: np.ndarray) -> np.ndarray:
        """Compute `series_metric` over the scored answers of each series, (N,); NaN without any. values: (R, K)."""
        return self._error(self.series_metric, values, self.train.series_of_answer, len(self.train.lengths))

    def step_error(self, values: np.ndarray) -> np.ndarray:
        """Compute `slice_metric` over all series at each step, (T,); NaN where none is scored. values: (R, K)."""
        return self._error(self.slice_metric, values, self.train.step_of_answer, self.train.longest)

    def _error(self, shown: Metric, values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
        """Compute a metric over the scored answers of each group, as they weigh. group: (R,) int64, below `groups`."""
        scored, weight = self.train.scored, self.weight
        loss = shown.row_loss(self.truth[scored], values[scored], weight)
        count = np.bincount(group[scored], weight, groups)
        loss = loss if weight is None else loss * weight
        mean = np.where(count > 0, np.bincount(group[scored], loss, groups) / np.where(count > 0, count, 1), np.nan)
        return np.array([shown.finish(value) for value in mean])

    @cached_property
    def cells(self) -> list[Cell]:
        """All cells of the experiment, each after those that it needs, equal ones once."""
        found: dict[str, Cell] = {}

        def add(cell: Cell) -> None:
            for other in cell.before:
                add(other)
            found.setdefault(cell.key, cell)

        for cell in self.plan:
            add(cell)
        return list(found.values())
