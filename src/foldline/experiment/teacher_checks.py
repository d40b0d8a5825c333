"""What a `teacher` of a [[model]] asks for that its model, its teachers or the kind of target cannot give."""

from __future__ import annotations

from collections.abc import Sequence

from foldline.core.errors import UserError
from foldline.data.roles import DataConfig
from foldline.fit import soft_labels
from foldline.fit.pseudo_labels import TeacherConfig
from foldline.run.cells import ModelConfig


def check(model: ModelConfig, before: Sequence[ModelConfig], data: DataConfig, where: str) -> None:
    """Refuse a teacher that cannot be followed. before: the models further up in the config.

    Raises:
        UserError
    """
    teacher = model.teacher
    if teacher is None:
        return
    if model.fitted_as not in ("network", "rows"):
        raise UserError(f"{where}: {model.name} learns from its fold's {model.fitted_as} only; leave out teacher.")
    _check_kind(teacher, data, f"{where}.teacher")
    soft = teacher.distil or (teacher.weight and teacher.of and teacher.labels == "soft")
    if model.fitted_as == "rows" and data.kind == "multilabel" and soft:
        raise UserError(
            f"{where}: {model.name} has a booster a label, which takes no labels between 0 and 1: set teacher.labels = "
            '"hard", without distil.'
        )
    if teacher.distil:
        _check_teachers([other for other in before if other.label in teacher.of], f"{where}.teacher")


def _check_kind(teacher: TeacherConfig, data: DataConfig, where: str) -> None:
    """Refuse what a kind of target has no meaning for: probabilities, classes, or their shares."""
    with_shares = ("binary", "multiclass")
    asked = {
        'labels = "hard"': (teacher.labels == "hard", (*soft_labels.WITH_CLASSES, "multilabel")),
        f"temperature = {teacher.temperature:g}": (teacher.temperature != 1, soft_labels.OF_PROBABILITIES),
        f"confident = {teacher.confident:g}": (teacher.confident < 1, soft_labels.WITH_CLASSES),
        "align = true": (teacher.align, with_shares),
    }
    for key, (used, kinds) in asked.items():
        if used and data.kind not in kinds:
            raise UserError(f"{where}: {key} is for {', '.join(kinds)} targets, but data.kind is {data.kind!r}.")


def _check_teachers(teachers: Sequence[ModelConfig], where: str) -> None:
    """Refuse teachers that are no cells by themselves: they are trained once more for each pair of folds."""
    for other in teachers:
        parts = {"teacher": other.teacher, "pretrain": other.pretrain, "channels_from": other.channels_from}
        used = [name for name, part in parts.items() if part]
        if used or other.fitted_as == "estimator":
            what = f"has {used[0]}" if used else "estimates open rows"
            raise UserError(
                f"{where}: distil trains teachers anew for each pair of folds, from labels alone, but "
                f"{other.label!r} {what}: name another teacher, or leave distil out."
            )
