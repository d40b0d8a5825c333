"""Pseudo-labels: test series that a model is trained on too, labelled by other cells or by exact rows.

Teachers label the scored rows, exact rows take their place where they are found; all other targets stay unknown, but
for a known start (data.observed). Of classes a label is a probability or, decided, a class, and only the surest may get
one (soft_labels.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from foldline.core import files, strict_tables
from foldline.data import exact_rows
from foldline.data.store import Store, open_store
from foldline.fit import soft_labels
from foldline.fit.labelled_series import LabelledSeries

OF_TEST = ("labels", "confident", "align", "rounds")  # keys that say something of the labels of test series alone
NEWER = (*OF_TEST, "temperature", "distil")  # keys that older versions did not have: records hold them where used
MOST_ROUNDS = 20


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """teacher = {...} in a [[model]]: labels that other models give, of test series and of those it is trained on."""

    of: tuple[str, ...] = ()  # labels of models further up in the config: the mean of their cells of the same fold
    weight: float = 0.5  # how much a test row with a teacher's label counts; a labelled row counts 1
    exact: bool = False  # rows that are decoded exactly from the inputs are labels too, and count 1 (ventilator only)
    # "soft": what teachers predict, of classes their probabilities (of ranks the expected one); "hard": the class
    labels: Literal["soft", "hard"] = "soft"
    temperature: float = 1.0  # of probabilities, which get the power 1/temperature: below 1 sharper, above softer
    confident: float = 1.0  # share of each predicted class's test answers that get a label, the surest ones first
    align: bool = False  # classes are weighed until they have the shares in test that they have in the fold's labels
    rounds: int = 1  # trained so many times: from the second on, its cells of the round before, of all seeds, teach it
    # Share of teachers' out-of-fold predictions in the labels of the series that it is trained on; 0: none. For a fold
    # they come from teachers that hold out that fold, too: cells of their own, one a pair of folds.
    distil: float = 0.0

    def __post_init__(self) -> None:
        if not self.of and not self.exact:
            raise ValueError("a teacher needs labels to give: of = [labels of other models], exact = true, or both")
        if not (0 < self.weight <= 1 or (self.weight == 0 and self.distil)):
            raise ValueError(f"weight must be above 0 and at most 1, or 0 beside distil, but is {self.weight}")
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature must be finite and above 0, but is {self.temperature}")
        if not 0 < self.confident <= 1:
            raise ValueError(f"confident must be above 0 and at most 1, but is {self.confident}")
        if not 1 <= self.rounds <= MOST_ROUNDS:
            raise ValueError(f"rounds must be from 1 to {MOST_ROUNDS}, but is {self.rounds}")
        if not 0 <= self.distil <= 1:
            raise ValueError(f"distil must be from 0 to 1, but is {self.distil}")
        self._refuse_what_is_ignored()

    def _refuse_what_is_ignored(self) -> None:
        if self.labels == "hard" and self.temperature != 1:
            raise ValueError('temperature is of soft labels, but labels is "hard": leave one of them out')
        if self.distil and not self.of:
            raise ValueError("distil mixes in what teachers predict: name them, of = [labels of other models]")
        if self.distil and self.rounds > 1:
            raise ValueError(
                f"distil is of one round: it trains teachers for each pair of folds; but rounds is {self.rounds}"
            )
        default = {name: TeacherConfig.__dataclass_fields__[name].default for name in OF_TEST}
        ignored = [name for name, value in default.items() if getattr(self, name) != value]
        if not self.weight and ignored:
            raise ValueError(f"{ignored[0]} is of test series, but weight is 0: give a weight, or leave it out")

    @property
    def labels_test(self) -> bool:
        """Whether test series are learned from, too."""
        return self.weight > 0 or self.exact

    @property
    def newer(self) -> dict[str, Any]:
        """The keys that older versions did not have and that matter here, but for rounds, which are cells."""
        default, table = strict_tables.plain(TeacherConfig(exact=True)), strict_tables.plain(self)
        return {name: table[name] for name in NEWER if table[name] != default[name] and name != "rounds"}


def to_table(config: TeacherConfig | None) -> dict[str, Any] | None:
    """Return the table that a config is read back from: as older versions wrote it, where it uses nothing newer."""
    if config is None:
        return None
    table = {name: value for name, value in strict_tables.plain(config).items() if name not in NEWER}
    return table | config.newer | ({"rounds": config.rounds} if config.rounds > 1 else {})


@dataclass(frozen=True)
class PseudoLabels:
    """Where the pseudo-labels of a test table are: paths only, small enough to be sent to a worker."""

    store: Path  # of the test table
    exact: Path | None  # exact rows of the test table
    teachers: tuple[Path, ...]  # (A, K) predictions for the test table, one file a teacher
    config: TeacherConfig
    shares: tuple[float, ...] = ()  # of the classes among the labels of the fold, where they are aligned

    def labelled_series(self) -> LabelledSeries:
        """Read the test series that have any label, with those of the teachers' mean."""
        store = open_store(self.store)
        count = len(store.scored)
        # Copies: the stored arrays are read-only. They hold the known start.
        y, known, weight = np.array(store.y), np.array(store.known), np.zeros(count, dtype=np.float32)
        if self.teachers and self.config.weight:
            labels, places = self._given(store)
            y[places], known[places], weight[places] = labels, True, self.config.weight
        if self.exact is not None:
            values = exact_rows.read(self.exact, count).values
            found = ~np.isnan(values) & store.scored
            y[found, 0], known[found, 0] = values[found], True
            weight[found & known.all(axis=1)] = 1.0  # a row counts for all its targets
        labelled = np.bincount(store.series_of_answer, weight > 0, len(store.lengths)) > 0
        whole = LabelledSeries(store, np.arange(len(store.lengths)), y, known, weight, store.scored)
        return whole.subset(labelled)

    def _given(self, store: Store) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels that teachers give, (m, K), and to which answers, (m,) int64."""
        mean, kind, config = np.zeros(store.y.shape), store.task.kind, self.config
        for path in self.teachers:
            mean += files.read_array(path, mapped=True) / len(self.teachers)
        places = np.flatnonzero(store.scored)
        given = mean[places]
        if self.shares:
            given = soft_labels.aligned(given, np.array(self.shares))
        if config.confident < 1:
            chosen = soft_labels.surest(given, config.confident, kind, store.task.classes)
            given, places = given[chosen], places[chosen]
        if config.labels == "hard":
            return soft_labels.decided(given, kind, store.task.classes), places
        return soft_labels.tempered(given, config.temperature, kind), places


def class_shares(store: Store, series: np.ndarray) -> tuple[float, ...]:
    """Return the shares of the classes among the answers of some series that count, (C,): of 0 and 1 where binary."""
    answers = store.answers(series)
    counted = store.counted if store.counted[answers].any() else store.scored
    mean = store.y[answers[counted[answers]]].mean(axis=0)
    return tuple(mean.tolist()) if len(mean) > 1 else (1 - float(mean[0]), float(mean[0]))
