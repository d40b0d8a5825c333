"""Auxiliary targets: further columns of the training table, that networks may learn beside the target; never predicted.

A label of another kind (the behaviour beside a pressure) shapes what a network's body learns; its head stands in the
model's table (models/heads/joint.py) and is thrown away after training. Values may be missing anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from foldline.data.metrics.options import Kind

ONE: tuple[Kind, ...] = ("binary", "multiclass", "ordinal")  # kinds of one column of labels
SEVERAL: tuple[Kind, ...] = ("multilabel", "distribution")  # kinds of two columns or more


@dataclass(frozen=True, kw_only=True)
class AuxiliaryTarget:
    """[[data.auxiliary]]: a target of the training table that is only learned beside the target, by models that say so.

    A head's `beside` names it by its first column.
    """

    target: tuple[str, ...]  # one column, or several alike; values may be missing
    kind: Kind = "regression"  # as data.kind
    classes: tuple[str, ...] = ()  # as data.classes

    def __post_init__(self) -> None:
        if not self.target:
            raise ValueError("target must name at least one column")
        check_columns(self.kind, self.target, self.classes)

    @property
    def name(self) -> str:
        """Its first column: what `beside` calls it."""
        return self.target[0]


def check_columns(kind: Kind, target: tuple[str, ...], classes: tuple[str, ...]) -> None:
    """Raise ValueError where a kind of target does not go with its columns, or with labels."""
    if (kind in ONE and len(target) > 1) or (kind in SEVERAL and len(target) < 2):
        wanted = "one column" if kind in ONE else "two columns or more"
        raise ValueError(f"kind = {kind!r} needs {wanted} as target, but target is {list(target)}")
    if classes and kind not in ONE:
        raise ValueError(f"classes are labels of one column, but kind is {kind!r}: leave them out")
