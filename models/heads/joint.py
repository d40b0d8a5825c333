"""Heads on auxiliary targets of other kinds beside the head of the target. (B, T, H) -> (B, T, P + P_1 + P_2 + ...).

    head = {kind = "l1", beside = [{target = "behaviour", kind = "softmax", label_smoothing = 0.1, weight = 0.2}]}

Multitask learning (Caruana 1997, https://doi.org/10.1023/A:1007379606734): what else is labelled shapes the body. Each
has any head that serves its kind, with its own loss and pooling. The loss is that of the target's head plus the
weighted sum of theirs; they are thrown away after training, and prediction and spread are those of the target's head.
An auxiliary target counts at the steps at which the target counts and all its columns are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from foldline.models.contract import Head

KEY = "beside"  # of a head's table


@dataclass(frozen=True, kw_only=True)
class BesideConfig:
    """An entry of `beside` in a head's table; its other keys, kind among them, are those of a head."""

    target: str  # first column of a [[data.auxiliary]]
    weight: float = 0.2  # of its loss, beside the head's own of weight 1

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ValueError(f"weight must be above 0, but is {self.weight}; without the entry it is not learned")


def split_table(table: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Split a head's table into that of the head itself and its entries of `beside`."""
    return {key: value for key, value in table.items() if key != KEY}, list(table.get(KEY, ()))


def split_entry(entry: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split an entry of `beside` into the fields of `BesideConfig` and the table of its head."""
    own = ("target", "weight")
    return {key: entry[key] for key in own if key in entry}, {k: value for k, value in entry.items() if k not in own}


@dataclass(frozen=True)
class Beside:
    """A head on an auxiliary target."""

    head: Head
    weight: float  # of its loss
    columns: slice  # of all auxiliary columns


class JointHead(Head):
    """The head of the target, and those beside it. Its truth has their columns behind the K of the target."""

    def __init__(self, main: Head, targets: int, beside: Sequence[Beside], hidden: int) -> None:
        """targets: K; hidden: H."""
        super().__init__()
        self.main, self.others = main, nn.ModuleList([each.head for each in beside])
        self.targets, self.beside = targets, [(each.weight, each.columns) for each in beside]
        with torch.no_grad():
            nothing = torch.zeros(1, 1, hidden)
            self.sizes = [head(nothing).shape[-1] for head in (main, *self.others)]  # P, P_1, P_2, ...

    def _heads(self) -> list[Head]:
        return [cast(Head, head) for head in self.others]

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        return torch.cat([head(hidden, mask) for head in (self.main, *self.others)], dim=-1)

    def loss_sum(self, raw: Tensor, y: Tensor, weight: Tensor, known: Tensor | None) -> Tensor:
        """Return the weighted sum of all losses; y: (B, T, K + auxiliary columns), these NaN where they are not known.

        known: (B, T, K), of the target's columns.
        """
        own, *others = torch.split(raw, self.sizes, dim=-1)
        total = self.main.loss_sum(own, y[..., : self.targets], weight, known)
        for head, (share, columns), outputs in zip(self._heads(), self.beside, others, strict=True):
            truth = y[..., self.targets :][..., columns]
            given = ~truth.isnan()
            counted = weight * given.all(dim=-1)
            total = total + share * head.loss_sum(outputs, truth.nan_to_num(), counted, given)
        return total

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        return self.main.predict(raw[..., : self.sizes[0]], scored)

    def spread(self, raw: Tensor) -> Tensor | None:
        return self.main.spread(raw[..., : self.sizes[0]])
