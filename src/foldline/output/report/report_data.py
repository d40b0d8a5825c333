"""What a report shows: an experiment's data, cells and predictions, and what follows from them.

Letters: N training series, T steps (padded), K targets, M members, R scored rows.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from foldline.blend.members import Member
from foldline.core import files
from foldline.data.exact_rows import Exact
from foldline.data.loading import Competition
from foldline.data.metrics import Metric, metric
from foldline.data.store import Store
from foldline.experiment import recorded
from foldline.experiment.config import Config
from foldline.experiment.loss_table import LossTable
from foldline.experiment.scoring import Result
from foldline.run.cells import Cell

SUBMITTED = "submitted"  # what the last row of the score table is called elsewhere
Found = tuple[Exact | None, Exact | None]  # decoded rows of the train and test tables; None: post.decode is off


@dataclass(frozen=True, kw_only=True)
class Made:
    """How an experiment was made."""

    command: str
    environment: Mapping[str, str]  # name -> version, or what the machine is
    seconds: Mapping[str, float] = field(default_factory=dict)  # step of the run -> time it took, s

    @classmethod
    def here(cls, command: str, seconds: Mapping[str, float] | None = None) -> Made:
        """By this process, on this machine."""
        return cls(command=command, environment=surroundings(), seconds=seconds or {})


def surroundings() -> dict[str, str]:
    """Versions that decide the last bits, and what is worth knowing of the machine."""
    import torch

    known = {**recorded.environment(), "system": platform.system(), "cores": str(os.cpu_count())}
    if torch.cuda.is_available():
        known["gpu"] = torch.cuda.get_device_name()
    commit = _commit()
    return known | ({"commit": commit} if commit else {})


def _commit() -> str:
    """The checkout's commit, "-dirty" behind it where files differ; empty where there is no git."""
    root = files.checkout()
    if root is None or not (root / ".git").exists() or shutil.which("git") is None:
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a report is made from."""

    config: Config
    plan: list[Cell]
    members: list[Member]  # of the blend, from outside too
    result: Result
    train: Store
    competition: Competition
    exact: Found
    made: Made

    @property
    def models(self) -> str:
        """What is submitted, before any post-processing, in words."""
        return "blend of the models" if len(self.members) > 1 else "model"

    @property
    def metric(self) -> Metric:
        return metric(self.config.data.metric)

    @cached_property
    def truth(self) -> np.ndarray:
        """(R, K) targets of all rows."""
        return np.asarray(self.train.y)

    @cached_property
    def fold(self) -> np.ndarray:
        """(N,) fold of each series; -1 where nothing of it is scored."""
        fold = np.full(len(self.train.lengths), -1)
        fold[self.result.rows.series] = self.result.rows.fold
        return fold

    @cached_property
    def predictions(self) -> dict[str, np.ndarray]:
        """Member, and at last SUBMITTED -> (R, K) out-of-fold predictions."""
        members = dict(zip(self.result.labels, self.result.members, strict=True))
        return members | {SUBMITTED: self.result.blended}

    @cached_property
    def modelled(self) -> np.ndarray:
        """(R, K) the nested blend before any post-processing; 0 where nothing is scored."""
        values = np.zeros(self.truth.shape)
        values[self.train.scored] = self.result.nested.values
        return values

    @cached_property
    def spreads(self) -> dict[str, np.ndarray]:
        """Member -> (R, K) expected absolute error, of members whose head knows it."""
        found = {member.label: member.spread(self.train) for member in self.members if member.cells}
        return {label: spread for label, spread in found.items() if spread is not None and spread.any()}

    @cached_property
    def known(self) -> np.ndarray | None:
        """(R,) bool: rows that are read back exactly; None where no decoder was asked."""
        found = self.exact[0]
        return None if found is None else found.known

    @cached_property
    def book(self) -> LossTable:
        """Where the loss of every scored value goes."""
        return LossTable.of(self.train, self.known)

    def series_error(self, values: np.ndarray) -> np.ndarray:
        """(N,) the metric over the scored steps of each series; NaN without any. values: (R, K)."""
        return self._error(values, self.train.series_of_row, len(self.train.lengths))

    def step_error(self, values: np.ndarray) -> np.ndarray:
        """(T,) the metric over all series at each step; NaN where none is scored. values: (R, K)."""
        return self._error(values, self.train.step_of_row, self.train.longest)

    def _error(self, values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
        """The metric over the scored rows of each group. group: (R,) int64, below `groups`."""
        scored = self.train.scored
        loss = self.metric.loss(self.truth[scored], values[scored]).mean(axis=1)
        count = np.bincount(group[scored], minlength=groups)
        mean = np.where(count > 0, np.bincount(group[scored], loss, groups) / np.maximum(count, 1), np.nan)
        return np.array([self.metric.finish(value) for value in mean])

    @cached_property
    def cells(self) -> list[Cell]:
        """All cells that had to be trained, those before others first, equal ones once."""
        found: dict[str, Cell] = {}

        def add(cell: Cell) -> None:
            for other in cell.before:
                add(other)
            found.setdefault(cell.key, cell)

        for cell in self.plan:
            add(cell)
        return list(found.values())
