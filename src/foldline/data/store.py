"""The store: series of one table as arrays that a model can be fitted on.

It is ragged: the rows of all series lie one series after the other, whatever their lengths, so that memory follows
rows; all access goes through (series: offset, length). What has a value per answer (targets, masks, predictions) is a
flat array of A answers, series after series, too; `answers` leads from series to theirs. At the level "step" an answer
is a row, and A = R; at the level "series" it is a series, and trees see the features of its last row. The features are
memory-mapped: workers open the same file, and nothing big is sent between processes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from foldline.core import artefacts, files
from foldline.core.chunks import chunks
from foldline.data import on_disk
from foldline.data.known_masks import KnownMasks
from foldline.data.metrics import FileMetric, Kind, Metric, MetricChoice
from foldline.data.ragged import consecutive, pad
from foldline.data.roles import DataConfig

MARK = "meta.json"  # says what is in a store, with the checksums of its files
MAPPED = ("x", "y", "times")  # arrays that are not read into memory
SERIES = 1 << 14  # whose steps are counted at once
SOLUTION = "solution.parquet"  # data.metric_columns, a row an answer


@dataclass(frozen=True, kw_only=True)
class StoredTask:
    """What a store knows of its answers (task.py): numbers at every step, unless it says otherwise."""

    level: Literal["step", "series"] = "step"
    kind: Kind = "regression"
    columns: tuple[str, ...] = ()  # (K,) names of the columns
    classes: int = 0  # number of labels of a target that has any
    labels: tuple[object, ...] = ()  # these


@dataclass(frozen=True, kw_only=True)
class StoredAuxiliary:
    """What a store knows of an auxiliary target (auxiliary.py)."""

    name: str
    kind: Kind
    count: int  # of its columns, as its kind encodes them
    classes: int  # number of labels, if it has any


@dataclass(frozen=True, kw_only=True)
class AbsentChannel:
    """What features are in a series that lacks a channel (data.channels)."""

    features: np.ndarray  # (f,) int64, places of those that are made of its inputs
    values: np.ndarray  # (f,) float64, what they are without: NaN missing


@dataclass(frozen=True, kw_only=True)
class Store:
    """Series of one table. N series, R rows in all, A answers, F features, S static columns, K columns of an answer."""

    path: Path
    names: tuple[str, ...]  # (F,)
    x: np.ndarray  # (R, F) float32 features, memory-mapped: `features` and `features_padded` read what is needed
    static: np.ndarray  # (N, S) int64 codes: 1 + place among the known values; 0: a value not in the training table
    lengths: np.ndarray  # (N,) int64, rows of each series
    scored: np.ndarray  # (A,) bool, answers that the metric counts
    y: np.ndarray  # (A, K) float64 targets, 0 where they are not known
    known: np.ndarray  # (A, K) bool, whether a target's value is given; of a test table only the known start
    labelled: bool  # a training table
    # Leading steps of each series whose targets are given in test tables, too; the most, in training. Where they are
    # given anywhere (data.known) it is 1.
    observed: int
    fingerprint: str  # of the table it was made from
    levels: tuple[int, ...]  # (S,) number of known values of each static column
    places: dict[str, int] = field(default_factory=dict)  # number of known values of each feature place(column)
    of_static: tuple[bool, ...]  # (F,) whether a feature is computed from static columns
    task: StoredTask = StoredTask()  # what an answer is
    group_numbers: np.ndarray | None = None  # (N,) int64 group of each series (data.group); None: each is its own
    # (N,) int64: series of one number are never split nor drawn apart, clusters of similar ones with their groups
    # (Folds.with_units, folds.similar); None: just groups are not
    units: np.ndarray | None = None
    windows: bool = False  # whether these groups are just the series that windows were cut from
    known_steps: np.ndarray | None = None  # (N,) int64, such leading steps of each series; None: `observed` of all
    given: np.ndarray | None = None  # (A,) bool, answers whose targets are given, with data.known; None: without it
    eligible: np.ndarray | None = None  # (A,) bool, of a training table, those that count where they are not given
    masks: KnownMasks | None = None  # likewise: which steps of test series are given
    estimate: np.ndarray | None = None  # (A, 2) float64, mean and deviation of an estimator whose channels are in x
    weight: np.ndarray | None = None  # (A,) float64, how much an answer counts; None: all alike
    missing: bool = False  # whether a feature is missing somewhere (NaN)
    facts: dict[str, Any] = field(default_factory=dict)  # of the training table, and what uses them; see featurize.py
    absent: dict[str, AbsentChannel] = field(default_factory=dict)  # of each channel of data.channels
    auxiliary: tuple[StoredAuxiliary, ...] = ()  # targets of a training table that are only learned beside these
    # (R,) float64, by how much a row is later than the first one of its series; None: no network needs it
    times: np.ndarray | None = None
    auxiliary_y: np.ndarray | None = None  # (A, all their columns) float64, NaN where not known; None: there are none

    @cached_property
    def auxiliary_columns(self) -> dict[str, np.ndarray]:
        """Known and missing (NaN) values of each auxiliary target by its name, (A, its columns)."""
        ends = np.cumsum([each.count for each in self.auxiliary])
        values = np.zeros((0, 0)) if self.auxiliary_y is None else self.auxiliary_y
        return {each.name: values[:, end - each.count : end] for each, end in zip(self.auxiliary, ends, strict=True)}

    @property
    def keys(self) -> np.ndarray:
        """Names of the series, (N,); only messages need them, so they are read on demand."""
        return np.asarray(files.read_json(self.path / "keys.json"))

    @property
    def targets(self) -> int:
        """K, the number of targets."""
        return int(self.y.shape[1])

    @property
    def longest(self) -> int:
        """Steps of the longest series."""
        return int(self.lengths.max())

    @cached_property
    def offsets(self) -> np.ndarray:
        """Row with which each series begins, (N,) int64."""
        return np.asarray(np.cumsum(self.lengths) - self.lengths)

    @property
    def held_together(self) -> np.ndarray | None:
        """Which series are never split nor drawn apart, (N,) int64: those of one number; None: each is by itself."""
        return self.group_numbers if self.units is None else self.units

    @cached_property
    def counted(self) -> np.ndarray:
        """Which answers are learned from, (A,) bool: scored ones, but for those that data.weight weighs as 0."""
        if self.weight is None or (self.weight[self.scored] > 0).all():
            return self.scored
        return np.asarray(self.scored & (self.weight > 0))

    @property
    def on_series(self) -> bool:
        """Whether there is one answer a series."""
        return bool(self.task.level == "series")

    @cached_property
    def answers_of_series(self) -> np.ndarray:
        """Number of answers of each series, (N,) int64."""
        return np.ones_like(self.lengths) if self.on_series else self.lengths

    @cached_property
    def series_of_answer(self) -> np.ndarray:
        """Series of each answer, (A,) int64."""
        return on_disk.kept_array(np.repeat(np.arange(len(self.lengths)), self.answers_of_series))

    @cached_property
    def step_of_answer(self) -> np.ndarray:
        """Place of each answer's row in its series, (A,) int64: the last one at the level "series"."""
        if self.on_series:
            return self.lengths - 1
        steps = on_disk.zeros((len(self.scored),), np.int64)
        for series in chunks(len(self.lengths), SERIES):
            first, lengths = int(self.offsets[series.start]), self.lengths[series]
            count = int(lengths.sum())
            begins = np.repeat(np.cumsum(lengths) - lengths, lengths)
            steps[first : first + count] = np.arange(count) - begins
        return steps

    @cached_property
    def in_start(self) -> np.ndarray:
        """Whether each answer's targets are given in test tables, too, (A,) bool: leading steps, or by data.known."""
        if self.given is not None:
            return self.given
        known = self.observed if self.known_steps is None else self.known_steps[self.series_of_answer]
        return np.asarray(self.step_of_answer < known)

    def metric_choice(self, data: DataConfig) -> MetricChoice:
        """Return what the metric that scores these answers is made of."""
        solution = str(self.path / SOLUTION) if data.metric_columns else ""
        return data.metric_choice(self.task.classes, self.task.labels, solution)

    def beside(self, metric: Metric, answers: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return what a metric gets of some answers beside truth and prediction: weights, and groups or numbers.

        answers: (a,) int64.
        """
        weight = self.weight[answers] if self.weight is not None and metric.weighted else None
        if isinstance(metric, FileMetric):
            return weight, answers
        if self.group_numbers is None or metric.options.groups == "pooled":
            return weight, None
        return weight, self.group_numbers[self.series_of_answer[answers]]

    def answers(self, series: np.ndarray) -> np.ndarray:
        """Return the answers of some series, one series after the other: (a,) int64."""
        return series if self.on_series else self.rows(series)

    def row_of_answer(self, answers: np.ndarray) -> np.ndarray:
        """Return the row whose features stand for each answer, (a,) int64."""
        return np.asarray(self.offsets[answers] + self.lengths[answers] - 1) if self.on_series else answers

    def rows(self, series: np.ndarray) -> np.ndarray:
        """Return the rows of some series, one series after the other: (r,) int64."""
        return consecutive(self.offsets[series], self.lengths[series])

    def features(self, rows: np.ndarray) -> np.ndarray:
        """Return the features of some rows, (r, F) float32: one copy of just these."""
        return np.asarray(self.x[rows])

    def features_padded(self, series: np.ndarray, steps: int) -> np.ndarray:
        """Return the features of the first `steps` rows of some series, (n, steps, F) float32; 0 in padding."""
        lengths = np.minimum(self.lengths[series], steps)
        if self._equal_length:  # a view side by side: series are read whole, without a list of their rows
            kept = np.asarray(self.x.reshape(len(self.lengths), self.longest, -1)[series, :steps])
            return kept if kept.shape[1] == steps else np.pad(kept, ((0, 0), (0, steps - kept.shape[1]), (0, 0)))
        return pad(self.features(consecutive(self.offsets[series], lengths)), lengths, steps)

    @cached_property
    def _equal_length(self) -> bool:
        return bool((self.lengths == self.lengths[0]).all())

    def pad(self, values: np.ndarray, series: np.ndarray | None = None, steps: int | None = None) -> np.ndarray:
        """Lay answers side by side: (A, ...) of all -> (n, steps, ...) of some series.

        series: None: all of them. steps: None: those of the longest series; 1 at the level "series".
        """
        steps = 1 if self.on_series else steps or self.longest
        if series is None:
            return pad(values, self.answers_of_series, steps)
        return pad(values[self.answers(series)], self.answers_of_series[series], steps)

    def mask(self, series: np.ndarray | None = None, steps: int | None = None) -> np.ndarray:
        """Return which steps are real, not padding: (n, steps) bool; arguments as for `pad`."""
        lengths = self.lengths if series is None else self.lengths[series]
        return np.arange(steps or self.longest)[None, :] < lengths[:, None]

    @property
    def channels(self) -> int:
        """Number of features in a network's input: F, and those with the known start (models/ops/known_target.py)."""
        return len(self.names) + (self.targets + 1 if self.observed else 0)


def open_store(path: Path) -> Store:
    """Open a finished store; features and targets are memory-mapped.

    Raises:
        Damaged: a file of it is not what was written.
    """
    artefacts.refuse_damaged(path / MARK, "Run the same command again: features are made again.")
    meta = artefacts.read_json(path / MARK)
    arrays = {name: files.read_array(path / f"{name}.npy", mapped=name in MAPPED) for name in meta["arrays"]}
    return of_arrays(path, meta, arrays)


def of_arrays(path: Path, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> Store:
    """Make a store of what its files hold (store_contents.py), or would hold. path: of them, if there are."""
    shape = (len(arrays["scored"]), meta["targets"])
    return Store(
        path=path,
        names=tuple(meta["names"]),
        x=arrays["x"],
        static=arrays["static"],
        lengths=arrays["lengths"],
        scored=arrays["scored"],
        y=arrays.get("y", np.broadcast_to(0.0, shape)),  # of a test table without known targets; takes no memory
        group_numbers=arrays.get("groups"),
        windows=meta.get("windows", False),
        known_steps=arrays.get("known_steps"),
        known=arrays.get("known", np.broadcast_to(meta["labelled"], shape)),
        labelled=meta["labelled"],
        observed=meta["observed"],
        task=_task_of(meta["task"]),
        weight=arrays.get("weight"),
        given=arrays.get("given"),
        eligible=arrays.get("eligible"),
        masks=KnownMasks(arrays["masks"], arrays["mask_lengths"]) if "masks" in arrays else None,
        auxiliary=tuple(StoredAuxiliary(**each) for each in meta.get("auxiliary", ())),
        times=arrays.get("times"),
        auxiliary_y=arrays.get("auxiliary"),
        fingerprint=meta["fingerprint"],
        levels=tuple(meta["levels"]),
        places=meta.get("places", {}),  # a store without such features says nothing
        of_static=tuple(meta["of_static"]),
        missing=meta.get("missing", False),  # a store of complete tables says nothing
        facts=meta.get("facts", {}),
        absent={name: _absent_of(value) for name, value in meta.get("absent", {}).items()},
    )


def _absent_of(value: dict[str, Any]) -> AbsentChannel:
    return AbsentChannel(
        features=np.array(value["features"], dtype=np.int64), values=np.array(value["values"], dtype=np.float64)
    )


def _task_of(value: dict[str, Any]) -> StoredTask:
    fields: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in value.items()}
    return StoredTask(**fields)
