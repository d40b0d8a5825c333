"""The task: what an answer is. Its level and kind, the columns of truth and prediction, the labels of its classes.

An *answer* is what the competition asks for: one a row at the level "step", one a series at the level "series", one a
window at the level "window", where each window is a series (windows.py). Truth and prediction are arrays of the same
shape (A, K), A answers, K columns:

| kind | columns of the file | K | truth | prediction |
|---|---|---|---|---|
| regression | one or more numbers | as many | numbers | numbers |
| binary | one label | 1 | 1 where it is the second class | its probability |
| multilabel | two or more, 0 or 1 each | as many | 0 or 1 | probabilities of 1 |
| multiclass | one label | the classes | 1 at the class, else 0 | probabilities, of sum 1 |
| ordinal | one label | 1 | its rank, from 0 | the expected rank |
| distribution | two or more shares or votes | as many | shares, of sum 1 | shares, of sum 1 |
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from foldline.core.errors import UserError, shortened
from foldline.data import identity, metrics, number_texts
from foldline.data.metrics import Metric, labels
from foldline.data.roles import DataConfig

WITH_LABELS = ("binary", "multiclass", "ordinal")  # kinds whose target is one column of labels
SHARES = ("multiclass", "distribution")  # kinds whose predictions are probabilities of sum 1
MOST_CLASSES = 1000  # more are no classes: a column of numbers or names, read as labels by mistake
FLAGS: dict[object, float] = {0: 0.0, 1: 1.0, **{word: float(flag) for word, flag in number_texts.FLAGS.items()}}


@dataclass(frozen=True)
class Task:
    """Level, kind and columns of the answers, with the labels of the training table."""

    data: DataConfig
    classes: tuple[object, ...] = ()  # labels of a kind that has them: numbers or text, in the order of the columns

    @staticmethod
    def of(data: DataConfig, frame: pl.DataFrame, path: Path) -> Task:
        """Find the classes in a training table.

        frame: with the target's columns, labels in their normal form. path: of its file, for messages.

        Raises:
            UserError: too few classes or too many, or not those of data.classes.
        """
        if data.kind not in WITH_LABELS:
            return Task(data)
        found = frame[data.target[0]].unique().drop_nulls().sort().to_list()
        where = f"{path}: {data.target[0]!r}"
        if not 2 <= len(found) <= MOST_CLASSES or (data.kind == "binary" and len(found) > 2):
            wanted = "2 labels" if data.kind == "binary" else f"between 2 and {MOST_CLASSES:,} labels"
            raise UserError(
                f"{where} must hold {wanted}, because data.kind is {data.kind!r}, but holds "
                f"{len(found)}: {shortened([str(label) for label in found[:20]])}. Choose another data.kind."
            )
        return Task(data, _ordered(data, found, where))

    @property
    def columns(self) -> tuple[str, ...]:
        """Name the K columns of truth and prediction."""
        return tuple(str(label) for label in self.classes) if self.data.kind == "multiclass" else self.data.target

    @property
    def on_series(self) -> bool:
        """Whether there is one answer a series."""
        return self.data.on_series

    @property
    def is_numeric(self) -> bool:
        """Whether the targets are numbers in a unit of their own, to be scaled."""
        return self.data.kind == "regression"

    @property
    def metric(self) -> Metric:
        """The competition's metric."""
        return metrics.metric(*self.data.metric_choice(len(self.classes), self.classes))

    @property
    def submits_labels(self) -> bool:
        """Whether a submission holds a label for each answer: data.answer, else what the metric needs."""
        if self.data.answer:
            return self.data.answer == "label"
        return self.data.kind in WITH_LABELS and self.metric.needs == "labels"

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {str(label): number for number, label in enumerate(self.classes)}

    def encode(self, frame: pl.DataFrame, path: Path) -> np.ndarray:
        """Return the truth of a frame's rows: (rows, K) float64, NaN where a target is missing.

        path: of its file, for messages.

        Raises:
            UserError: a label or a number that the kind does not have.
        """
        kind, names = self.data.kind, self.data.target
        if kind in WITH_LABELS:
            codes = self.codes_of(frame[names[0]], path)
            one_hot = np.where(np.isnan(codes), np.nan, codes == np.arange(len(self.classes)))
            return one_hot if kind == "multiclass" else codes
        if kind == "multilabel":
            return np.stack([self._flags(frame[name], path) for name in names], axis=1)
        # A single column without gaps is no copy of it.
        values = frame[names[0]].to_numpy()[:, None] if len(names) == 1 else frame.select(names).to_numpy(order="c")
        values = values.astype(np.float64, copy=False)
        return self._shares(frame, values, path) if kind == "distribution" else values

    def codes_of(self, labels: pl.Series, path: Path) -> np.ndarray:
        """Return the place of each label among the classes, (rows, 1) float64; NaN where it is missing.

        path: of its file, for messages.

        Raises:
            UserError: a label that training has not.
        """
        distinct = labels.unique(maintain_order=True).drop_nulls()
        odd = [label for label in distinct.to_list() if str(label) not in self._codes]
        if odd:
            raise UserError(
                f"{path}: {labels.name!r} must hold labels of the training table "
                f"({shortened([str(label) for label in self.classes])}), but holds {odd[0]!r}."
            )
        old, new = distinct.to_list(), [float(self._codes[str(label)]) for label in distinct.to_list()]
        found = labels.replace_strict(old, new, default=None, return_dtype=pl.Float64)
        return np.asarray(found.to_numpy()[:, None])

    def _flags(self, values: pl.Series, path: Path) -> np.ndarray:
        """Return 0 or 1 of each value, (rows,) float64; NaN where it is missing."""
        odd = [value for value in values.unique(maintain_order=True).drop_nulls().to_list() if value not in FLAGS]
        if odd:
            raise UserError(
                f"{path}: {values.name!r} must hold 0 and 1, or false and true, because data.kind is 'multilabel', "
                f"but holds {odd[0]!r}."
            )
        distinct = values.unique(maintain_order=True).drop_nulls().to_list()
        flags = [FLAGS[value] for value in distinct]
        found = values.replace_strict(distinct, flags, default=None, return_dtype=pl.Float64)
        return np.asarray(found.to_numpy())

    def _shares(self, frame: pl.DataFrame, values: np.ndarray, path: Path) -> np.ndarray:
        """Divide votes by their sum in each row."""
        sums = values.sum(axis=1, keepdims=True)
        bad = (values < 0).any(axis=1) | (sums[:, 0] == 0)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            shown = ", ".join(f"{value:g}" for value in values[row])
            raise UserError(
                f"{path}, row {row + 1} ({self.data.id} {frame[self.data.id][row]}): shares of a distribution must not "
                f"be below 0, nor all 0, but are {shown}; {int(bad.sum())} such row{'s' if bad.sum() > 1 else ''}."
            )
        return np.asarray(values / sums)

    def labels(self, values: np.ndarray) -> pl.Series:
        """Return the label of each answer, (A,), in the form in which the files have it. values: (A, K) predictions."""
        codes = self.codes(values)
        return pl.Series(self.data.target[0], list(self.classes)).gather(codes)

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Decide on a class for each answer, (A,) int64, as metrics of labels do."""
        said = labels.decided(values, metrics.Answers(self.data.kind, len(self.classes)))
        return np.asarray(said.argmax(axis=1) if self.data.kind == "multiclass" else said[:, 0].astype(np.int64))

    def to_json(self) -> dict[str, Any]:
        """Return what a store keeps of it: level, kind, the K columns' names, the number of classes."""
        names = list(self.columns)
        value = {
            "level": self.data.level_inside,
            "kind": self.data.kind,
            "columns": names,
            "classes": len(self.classes),
        }
        return value | ({"labels": list(self.classes)} if self.data.kind in WITH_LABELS else {})


def check_answer(data: DataConfig, metric: Metric) -> None:
    """Refuse to submit what the metric does not score: a label for a probability, or the other way round.

    Raises:
        UserError
    """
    wrong = {"probability": ("labels",), "label": ("probabilities", "ranks")}.get(data.answer, ())
    if metric.needs in wrong and not (data.kind == "ordinal" and data.answer == "label"):
        raise UserError(
            f"data.answer = {data.answer!r} is not what {metric.name} scores, which needs {metric.needs}: leave it "
            "out, or name the competition's own metric."
        )


def _ordered(data: DataConfig, found: list[object], where: str) -> tuple[object, ...]:
    """Bring labels into the order of data.classes; without it numbers, and classes without order, are sorted."""
    if data.classes:
        given = identity.normal(pl.Series(data.classes)).to_list()
        if sorted(map(str, given)) != sorted(map(str, found)):
            raise UserError(
                f"{where} must hold just the labels of data.classes, {shortened([str(label) for label in given])}, but "
                f"holds {shortened([str(label) for label in found])}."
            )
        order = [str(label) for label in given]
        return tuple(sorted(found, key=lambda label: order.index(str(label))))
    if data.kind == "ordinal" and isinstance(found[0], str):
        if (numbers := _as_numbers(found)) is not None:
            return numbers
        raise UserError(
            f"{where} holds text, {shortened([str(label) for label in found])}, whose order only you know: give it, "
            "from low to high, as data.classes."
        )
    flags = all(label in FLAGS for label in found)
    if data.kind == "binary" and isinstance(found[0], str) and not flags:
        raise UserError(
            f"{where} holds the labels {found[0]!r} and {found[1]!r}: say which one a prediction is the probability "
            f"of, by naming it second: data.classes = [{found[0]!r}, {found[1]!r}]."
        )
    return tuple(sorted(found, key=lambda label: FLAGS[label]) if flags else found)


def _as_numbers(labels: list[object]) -> tuple[object, ...] | None:
    """Sort labels such as 0.5, 1 and 10.5 as numbers; None where one is no finite number, or two are the same."""
    values = pl.Series(labels, dtype=pl.String).cast(pl.Float64, strict=False)
    if values.null_count() or not values.is_finite().all() or values.n_unique() < len(labels):
        return None
    return tuple(labels[place] for place in values.arg_sort())
