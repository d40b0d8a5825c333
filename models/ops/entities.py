"""Entity embeddings: the values of a categorical column as learned vectors, whether it changes by the step or not.

Source: Guo & Berkhahn 2016, https://arxiv.org/abs/1604.06737 (section 3). A column is read from its features, brought
back from the scaler: its one-hots (`road=paved`, `road=gravel`, ...), or where it has too many values for these the
place of its value among them, `place(road)`.

The vector of value k is u + d_k, u one for all values, d_k its own, 0 at the start. So a value that the fold's
training series never had, whose d_k no gradient reaches, is u, as an unknown or a missing one: the vocabulary is the
fold's own, and its row for what it has not seen is learned from all that it has (a drawn row would be noise that no
training touches). Values that are mixed (mixup) have the mean of their vectors; mixed places, which mean nothing, u.

Size: min(600, 1.6 n^0.56) for n values, the rule of thumb of fastai (https://docs.fast.ai/tabular.model.html), unless a
size is given. (B, T, F) -> (B, T, F' + sizes): the columns' features are gone, their vectors stand behind all others.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

CLOSE = 0.01  # a place is one if it is that close to a whole number: the scaler rounds


def size_of(values: int) -> int:
    """Return the size of the vectors of a column with so many values, by the rule of thumb."""
    return min(600, round(1.6 * math.pow(values, 0.56)))


class Entity(nn.Module):
    """The vectors of one column: its features (B, T, n) in their own unit -> (B, T, size)."""

    def __init__(self, values: int, size: int, coded: bool) -> None:
        """values: number of known ones. coded: whether its feature is the place of a value, from 1 on, not one-hots."""
        super().__init__()
        self.coded = coded
        self.common = nn.Parameter(torch.randn(size))  # u
        self.own = nn.Parameter(torch.zeros(values, size))  # d

    def forward(self, x: Tensor) -> Tensor:
        if not self.coded:
            return self.common + x @ self.own
        place = x[..., 0].round()
        known = ((x[..., 0] - place).abs() < CLOSE) & (place >= 1) & (place <= len(self.own))
        own = functional.embedding(place.long().clamp(1, len(self.own)) - 1, self.own)
        return self.common + own * known.unsqueeze(-1)


class Entities(nn.Module):
    """Some columns' features replaced by their vectors; `names` are those of what it returns, `width` wide."""

    order: Tensor  # of all channels: what is kept, the features of each column, the known target
    center: Tensor
    scale: Tensor

    def __init__(
        self, columns: Sequence[str], size: int, names: Sequence[str], places: Mapping[str, int], channels: int
    ) -> None:
        """Find the columns' features.

        Args:
            columns: categorical ones.
            size: of each vector; 0: by the rule of thumb.
            names: of the features, the first channels.
            places: number of known values of each feature place(column).
            channels: of the input; those behind the features, of a known target, stay behind.

        Raises:
            ValueError: a column has no such features.
        """
        super().__init__()
        found = {column: _features_of(column, names) for column in columns}
        used = {place for each in found.values() for place in each}
        kept = [place for place in range(len(names)) if place not in used]
        self.names, made = [names[place] for place in kept], []
        for column, each in found.items():
            coded = names[each[0]] == f"place({column})"
            values = places.get(names[each[0]], 0) if coded else len(each)
            if not values:
                raise ValueError(
                    f"entities: an older version made these features, and has not said how many values {column!r} has: "
                    "delete runs/store, and run again."
                )
            made.append(Entity(values, size or size_of(values), coded))
            self.names += [f"{column}[{number}]" for number in range(made[-1].own.shape[1])]
        self.entities = nn.ModuleList(made)
        self.added = sum(entity.own.shape[1] for entity in made)
        self.width = channels - len(used) + self.added
        groups = [kept, *found.values(), list(range(len(names), channels))]
        self.sizes = [len(group) for group in groups]
        order = torch.tensor([place for group in groups for place in group])
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("center", torch.zeros(channels), persistent=False)
        self.register_buffer("scale", torch.ones(channels), persistent=False)

    def set_scale(self, center: Sequence[float], scale: Sequence[float]) -> None:
        """Say how features are scaled: (value - center) / scale; (F,) each."""
        self.center[: len(center)] = torch.tensor(center)
        self.scale[: len(scale)] = torch.tensor(scale)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T, C) scaled -> (B, T, `width`)."""
        kept, *_, known = self._parts(x)
        columns = self._parts(x * self.scale + self.center)[1:-1]  # in their own unit
        vectors = [entity(column) for entity, column in zip(self.entities, columns, strict=True)]
        return torch.cat([kept, *vectors, known], dim=-1)

    def _parts(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return what is kept, the features of each column, and the known target."""
        return torch.split(x.index_select(-1, self.order), self.sizes, dim=-1)


def _features_of(column: str, names: Sequence[str]) -> list[int]:
    """Return where the one-hots of a column are, or its place.

    Raises:
        ValueError: there are none.
    """
    if f"place({column})" in names:
        return [list(names).index(f"place({column})")]
    labels = set(names)

    def is_pair(name: str) -> bool:  # a=1*b=2, of two columns
        cuts = [cut for cut, letter in enumerate(name) if letter == "*"]
        return any(name[:cut] in labels and name[cut + 1 :] in labels for cut in cuts)

    found = [place for place, name in enumerate(names) if name.startswith(f"{column}=") and not is_pair(name)]
    if found:
        return found
    known = sorted({name.split("=")[0] for name in names if "=" in name and not is_pair(name)})
    known += [name[6:-1] for name in names if name.startswith("place(")]
    near = difflib.get_close_matches(column, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(
        f"entities must name categorical columns that have features (data.categorical with the family categories, "
        f"data.static with static), but {column!r} has none.{hint} Known: {', '.join(known) or 'none'}."
    )


def set_scales(network: nn.Module, center: Sequence[float], scale: Sequence[float]) -> None:
    """Tell a new network's entities how its F features are scaled."""
    for module in network.modules():
        if isinstance(module, Entities):
            module.set_scale(center, scale)
