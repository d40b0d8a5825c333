"""What stands in each channel of a network's input: what may be augmented as a number, and what its own unit is.

C channels: F features, and behind them those of a known start, if any (models/ops/known_target.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from foldline.core.errors import UserError, unknown
from foldline.data.store import Store
from foldline.models.ops.pairs import PAIR, PARTNER
from foldline.models.packing import sent

# How names of features begin that are no numbers; one-hots are called `column=value`
FLAGS = ("missing(", "place(", PARTNER, PAIR)


@dataclass(frozen=True)
class InputChannels:
    """The channels of a network's input, on the device."""

    names: tuple[str, ...]  # (F,) of the features
    steps: Tensor  # (C,) bool, what belongs to a step: all but features of static columns alone
    numbers: Tensor  # (C,) bool, features of these that are numbers: neither flags nor one-hots
    zero: Tensor  # (C,) float32, what 0 in a feature's own unit is once scaled
    unit: Tensor  # (C,) float32, what 1 in a feature's own unit is wide once scaled
    missing: bool  # whether features may be missing, which are 0 once scaled

    def places(self, columns: Sequence[str]) -> list[int]:
        """Return the places of some features by their names."""
        return [self.names.index(name) for name in columns]

    def in_own_unit(self, x: Tensor, name: str) -> Tensor:
        """Return a feature in its own unit, (B, T). x: (B, T, C) scaled."""
        place = self.names.index(name)
        return (x[..., place] - self.zero[place]) / self.unit[place]

    def chosen(self, columns: Sequence[str]) -> Tensor:
        """Return which channels some features are, (C,) bool; none named: all numbers."""
        if not columns:
            return self.numbers
        named = torch.zeros(len(self.zero), dtype=torch.bool)
        named[self.places(columns)] = True
        return sent(named, self.zero.device)


def of_store(store: Store, center: Tensor, inverse: Tensor) -> InputChannels:
    """Describe the input of a network on a store. center, inverse: (F,) of the features' scale, on the device."""
    behind = torch.zeros(store.channels - len(store.names), device=center.device)  # of a known start: steps' own
    of_static = torch.tensor(store.of_static, dtype=torch.bool)
    flags = torch.tensor([name.startswith(FLAGS) or "=" in name for name in store.names], dtype=torch.bool)
    of_features = {"steps": ~of_static, "numbers": ~of_static & ~flags}
    wide = {
        name: torch.cat([values.to(center.device), behind.bool() | (name == "steps")])
        for name, values in of_features.items()
    }
    return InputChannels(
        names=store.names,
        zero=torch.cat([-center * inverse, behind]),
        unit=torch.cat([inverse, behind + 1]),
        missing=store.missing,
        **wide,
    )


def check_columns(columns: Sequence[str], store: Store, where: str, own_unit: bool = False) -> None:
    """Refuse columns that are no features. own_unit: and those whose own zero features no longer have.

    Raises:
        UserError
    """
    for name in columns:
        if name not in store.names:
            raise unknown("feature", name, store.names, where)
        if own_unit and name in store.facts.get("offsets", {}):
            raise UserError(
                f"{where}: {name!r} is a number so large that a constant is subtracted from it before float32, so that "
                "its sign is lost: leave it out, or bring its column to a smaller range (tables() of competition.py)."
            )
