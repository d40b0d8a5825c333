"""[train.sample]: which series an epoch of a network sees; sampling.py draws them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from foldline.core.errors import UserError
from foldline.data.roles import DataConfig

CLASSES = ("binary", "multiclass", "ordinal")  # kinds of a target that has one of several labels


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """[train.sample]: which series an epoch sees, and how often; it always has as many as there are."""

    # "all", each series once; "class", each class alike, at the level "series"; "group", each of data.group alike;
    # "weight", by data.weight, which the loss then leaves out
    by: Literal["all", "class", "group", "weight"] = "all"
    curriculum: float = (
        0.0  # share of the epochs, the first ones, in which long series come one after the other; 0: none
    )
    shortest: float = 0.25  # share of the series, the shortest ones, that the first epoch has then

    def __post_init__(self) -> None:
        if not 0 <= self.curriculum <= 1:
            raise ValueError(f"curriculum must be a share from 0 to 1, but is {self.curriculum}")
        if not 0 < self.shortest <= 1:
            raise ValueError(f"shortest must be above 0 and at most 1, but is {self.shortest}")

    @property
    def used(self) -> bool:
        """Whether an epoch is anything but each series once."""
        return self.by != "all" or self.curriculum > 0


def check(label: str, config: SampleConfig, data: DataConfig, windows: bool) -> None:
    """Refuse what the data do not have. label: of the model, for messages. windows: whether series are cut.

    Raises:
        UserError
    """
    where = f"model {label!r}: train.sample"
    if config.by == "class" and (not data.on_series or data.kind not in CLASSES):
        raise UserError(
            f"{where}.by = 'class' needs series of one label each, but here are {data.kind} answers of each "
            f"{data.level}: leave it out, or weigh classes in the loss (class_weights of its head)."
        )
    if config.by == "group" and not data.group:
        raise UserError(
            f"{where}.by = 'group' needs groups, but there is no data.group: name its column, or leave it out."
        )
    if config.by == "weight" and (not data.weight or data.known):
        why = "weights are drawn anew with the known values (data.known)" if data.weight else "there is no data.weight"
        raise UserError(f"{where}.by = 'weight' needs a weight of each series, but {why}: leave it out.")
    if config.curriculum and windows:
        raise UserError(
            f"{where}.curriculum goes by the lengths of series, but [train.windows] cuts them to one: leave one out."
        )
