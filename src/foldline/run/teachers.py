"""Which cells teach a student: none of them was trained on what the student holds out.

test series       the teachers' cells of the student's fold, or its own cells of the round before
labelled series   out of fold (teacher.distil): for the student of fold f and the series of g, teachers that hold
                  out f and g both, one cell a pair of folds, which labels f for the student of g in turn. Where
                  folds go by time the earlier folds' own cells do, as they know nothing of later ones; and so do
                  all folds' cells for a student of all series, which holds out none
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from foldline.core.errors import UserError
from foldline.data.folds import Folds
from foldline.run.cells import Cell, ModelConfig


def rounds(model: ModelConfig) -> Iterator[tuple[int, ModelConfig]]:
    """Yield the rounds of a model with their numbers: 1, 2, ..., of the last one 0; most models have that one alone."""
    count = 1 if model.teacher is None else model.teacher.rounds
    for number in range(1, count + 1):
        yield number % count, model


def of_test(model: ModelConfig, fold: int | None, made: Sequence[Cell], before: Sequence[Cell]) -> tuple[Cell, ...]:
    """Return the cells whose predictions of test series a cell learns.

    Args:
        made: the cells of models further up.
        before: those of the model's round before; empty in its first round.

    Raises:
        UserError: a teacher has no cell of this fold.
    """
    if before:
        return tuple(cell for cell in before if cell.fold == fold)
    labels = () if model.teacher is None else model.teacher.of
    found = tuple(cell for cell in made if cell.model.label in labels and cell.fold == fold)
    for label in labels:
        if not any(teacher.model.label == label for teacher in found):
            raise UserError(
                f"model {model.label!r}: its teacher {label!r} has no cell of "
                f"{'all series' if fold is None else f'fold {fold}'}. Teachers stand further up in the config, and "
                "need full_seeds where the student has them."
            )
    return found if model.teacher is not None and model.teacher.weight else ()


def out_of_fold(
    model: ModelConfig, fold: int | None, made: Sequence[Cell], folds: Folds, pair: Callable[[Cell, int], Cell]
) -> tuple[Cell, ...]:
    """Return the cells whose out-of-fold predictions are mixed into a cell's labels.

    Args:
        made: the cells of models further up.
        pair: makes the cell that holds out another fold beside a cell's own.

    Raises:
        UserError: there are two folds only, so that a pair of them leaves nothing to be trained on.
    """
    if model.teacher is None or not model.teacher.distil:
        return ()
    theirs = [cell for cell in made if cell.model.label in model.teacher.of and cell.fold is not None]
    if fold is None:
        return tuple(theirs)
    if folds.time is not None:
        return tuple(cell for cell in theirs if cell.fold is not None and cell.fold < fold)
    if folds.k < 3:
        raise UserError(
            f"model {model.label!r}: teacher.distil needs teachers that hold out two folds each, and at least a third "
            f"one to be trained on, but folds.k is {folds.k}: take more folds, or leave distil out."
        )
    return tuple(pair(cell, fold) for cell in theirs if cell.fold != fold)


def of_pair(cell: Cell, other: int) -> tuple[ModelConfig, int, int]:
    """Return model and folds, the lower one first, of the cell that holds out another fold beside a cell's own."""
    assert cell.fold is not None, "a cell of all series holds out none"
    return replace(cell.model, teacher=None), min(cell.fold, other), max(cell.fold, other)
