"""Members of a blend: a model's cells, or predictions that were made elsewhere. A blend treats both alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from foldline.core import artefacts, files
from foldline.core.errors import UserError
from foldline.data import on_disk
from foldline.data.store import Store
from foldline.run import predictions
from foldline.run.cells import Cell

OUT_OF_FOLD = "out_of_fold.npy"  # of a member from outside, beside its test predictions


@dataclass(frozen=True)
class Member:
    """One input of a blend: it predicts all training rows that are held out, and all test rows. R rows, K targets."""

    label: str
    cells: tuple[Cell, ...] = ()
    source: str = ""  # hash of predictions from outside
    rows: np.ndarray | None = None  # (R, K) out-of-fold predictions from outside
    tests: Mapping[str, Path] = field(default_factory=dict)  # test table's fingerprint -> predictions from outside

    def out_of_fold(self, store: Store) -> np.ndarray:
        """Return (R, K) predictions of the training rows, each by models that were not trained on its series.

        NaN where no fold holds a row out.
        """
        if self.rows is not None:
            return self.rows
        return predictions.out_of_fold(self.cells, store)

    def spread(self, store: Store) -> np.ndarray | None:
        """Return the (R, K) expected absolute error of these, mean over seeds; None: the head does not predict it."""
        return predictions.out_of_fold_spread(self.cells, store)

    @property
    def test_cells(self) -> tuple[Cell, ...]:
        """Cells that predict test series: all, or with time folds those that have seen all the past."""
        return tuple(cell for cell in self.cells if not cell.only_past)

    def test(self, store: Store, spread: bool = False) -> np.ndarray:
        """Return (R, K) test predictions, or their spread: mean over the cells.

        Raises:
            UserError: they were made elsewhere, and not for this file.
        """
        if not self.cells:
            return self._from_outside(store.fingerprint)
        for cell in self.test_cells:
            cell.refuse_damaged(store.fingerprint)
        paths = [cell.test_path(store.fingerprint) for cell in self.test_cells]
        paths = [predictions.spread_path(path) for path in paths] if spread else paths
        # one file at a time, added up in the order of the cells: little memory, and the same last bits every time
        total = on_disk.kept_array(files.read_array(paths[0], mapped=True).astype(np.float64))
        for path in paths[1:]:
            total += files.read_array(path, mapped=True)
        total /= len(paths)
        return total

    def _from_outside(self, fingerprint: str) -> np.ndarray:
        path = self.tests.get(fingerprint)
        if path is None or not path.exists():
            raise UserError(
                f"The member {self.label!r} came from outside, and there are no predictions of it for this test file. "
                "Run `./run.sh blend` without it, or with its predictions for this file."
            )
        return read_outside(path)


def read_outside(path: Path, mapped: bool = False) -> np.ndarray:
    """Read predictions that came from outside, (R, K). Those that older versions stored have no checksums.

    Raises:
        Damaged: they are not what was written.
    """
    mark = path.with_name(artefacts.CHECKSUMS)
    if mark.exists() and (why := artefacts.damage(mark, path.name)):
        raise artefacts.Damaged(
            f"{path.parent} is damaged: {why}. Run the command again that blended it, with its files."
        )
    return files.read_array(path, mapped)


def of_plan(plan: Sequence[Cell], prefix: str = "") -> list[Member]:
    """Make one member of each model's cells, in the order of the plan. prefix: of the labels."""
    labels = dict.fromkeys(cell.model.label for cell in plan)
    return [Member(prefix + label, tuple(cell for cell in plan if cell.model.label == label)) for label in labels]


def refuse_same_names(members: Sequence[Member]) -> None:
    """Refuse members of one name: tables and `infer` could not tell them apart.

    Raises:
        UserError: two members have the same label.
    """
    labels = [member.label for member in members]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise UserError(
            f"Members need different names, but {', '.join(twice)} comes twice: rename what is from outside."
        )


def by_labels(labels: Sequence[str], members: Sequence[Member]) -> list[Member]:
    """Select the members of those labels, in that order."""
    by_label = {member.label: member for member in members}
    return [by_label[label] for label in labels]


def without_duplicates(members: Sequence[Member]) -> list[Member]:
    """Keep the first of members with the same cells: two configs of a blend may have a model in common."""
    found: dict[frozenset[str], Member] = {}
    for member in members:
        found.setdefault(frozenset(cell.key for cell in member.cells), member)
    return list(found.values())
