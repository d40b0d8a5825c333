"""The layout of a submission: which of its columns holds which prediction, and whether as a label or as a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foldline.core.errors import UserError, shortened
from foldline.data.task import WITH_LABELS, Task


@dataclass(frozen=True)
class Layout:
    """The columns of a submission beside its id."""

    columns: tuple[str, ...]  # (K,), that of each column of a prediction; of labels the target's alone
    labels: bool  # one label an answer, instead of numbers

    @staticmethod
    def of(task: Task, sample: Sequence[str] | None, path: Path | None = None) -> Layout:
        """Find the layout that a sample submission asks for; without one, the metric's needs decide.

        sample: its columns. path: of its file, for messages.

        Raises:
            UserError: it has columns for some of the classes only; without it, a class is called like the row id.
        """
        data = task.data
        if data.kind not in WITH_LABELS:
            return Layout(data.target, labels=False)
        if data.kind == "multiclass" and sample is not None and data.target[0] not in sample:
            return Layout(tuple(_column_of(name, sample, data.id, path) for name in task.columns), labels=False)
        labels = task.submits_labels
        if labels or data.kind != "multiclass":
            return Layout(data.target, labels)
        if sample is not None and not set(task.columns) <= set(sample):
            raise UserError(
                f"{path} has the column {data.target[0]!r}, for labels, but {data.metric} scores probabilities, a "
                "column for each class: name the competition's own metric, or take the sample that belongs to this one."
            )
        if data.id in task.columns:
            raise UserError(
                f"A submission has a column for each class, but one class is called like the row id, {data.id!r}: put "
                "the competition's sample_submission, which names its columns, beside the test table."
            )
        return Layout(task.columns, labels)


def _column_of(name: str, sample: Sequence[str], row_id: str, path: Path | None) -> str:
    """Find the column of a class: called like it, or ending in it behind an underscore, as Status_C of the class C."""
    others = [column for column in sample if column != row_id]
    found = [column for column in others if column == name] or [
        column for column in others if column.endswith(f"_{name}")
    ]
    if len(found) == 1:
        return found[0]
    raise UserError(
        f"{path} must have the target's column, for labels, or one column for each class, for probabilities, but has "
        f"{'no column' if not found else 'several columns'} for the class {name!r}; it has {shortened(list(sample))}."
    )
