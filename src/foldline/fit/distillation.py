"""Distillation: labelled series whose labels are mixed with what teachers predict for them, out of fold.

What a student of fold f is trained on may know nothing of f, and a teacher's out-of-fold prediction of another fold g
comes from a cell that was trained on f. So each pair of folds has a teacher of its own that holds out both
(run/teachers.py): it labels g for the student of f, and f for the student of g. Source: Hinton, Vinyals & Dean 2015,
https://arxiv.org/abs/1503.02531; why not the predictions of rows that a teacher was trained on: they repeat the labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from foldline.core import files
from foldline.data.store import Store
from foldline.fit import soft_labels
from foldline.fit.pseudo_labels import TeacherConfig

HELD_OUT, OUT_OF_FOLD = "held_out.npy", "out_of_fold.npy"  # of a cell's folder


def mixed_labels(store: Store, held_out: np.ndarray, teachers: Sequence[Path], config: TeacherConfig) -> np.ndarray:
    """Return the labels of all series as a student sees them, (A, K): truths, mixed with the teachers' mean.

    Args:
        store: of the training table.
        held_out: (n,) series that the student holds out: no teacher labels them.
        teachers: folders of finished cells, each of which labels the other series that it held out.
    """
    sums, count = np.zeros(store.y.shape), np.zeros(len(store.y))
    for folder in teachers:
        answers = store.answers(files.read_array(folder / HELD_OUT))
        theirs = ~np.isin(store.series_of_answer[answers], held_out)
        sums[answers[theirs]] += files.read_array(folder / OUT_OF_FOLD)[theirs]
        count[answers[theirs]] += 1
    y = np.array(store.y)
    found = (count > 0) & store.scored
    predicted = soft_labels.tempered(sums[found] / count[found, None], config.temperature, store.task.kind)
    y[found] = (1 - config.distil) * y[found] + config.distil * predicted
    return y
