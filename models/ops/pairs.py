"""Pairs of steps as data: matrices L x L that say how strongly two steps of a series belong together.

The base-pair probabilities of an RNA, for instance. A matrix is a series' own, a feature a row's; so each row names
its strongest partners: `partner(NAME.1)`, how many steps ahead the partner stands (below 0: back; 0: there is none),
and `pair(NAME.1)`, the matrix' entry, then `partner(NAME.2)` and so on, in any order (data/pairs.py makes them of
matrices). All other entries are 0. As distances they are right in any crop or window: it has the sub-matrix, and a
partner outside is none.

A `PairReader` makes the matrices again, (B, T, C) -> (B, T, T) each, from the scaled features; the engine, which has
names and scale of the features, tells it by `set_columns`. Attention adds them to its scores, each head with a weight
of its own (ops/relative_attention.py). Partners are not for the layers: as numbers they say nothing, and may be large.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

PARTNER, PAIR = "partner(", "pair("  # how names of the features begin


def columns_of(name: str, names: Sequence[str]) -> list[tuple[int, int]]:
    """Return where the partners and entries of a matrix are among the features, (partner, entry) each.

    Raises:
        ValueError: there are none, or a partner has no entry.
    """
    places = {feature: place for place, feature in enumerate(names)}
    starts = f"{PARTNER}{name}."
    found = [feature[len(PARTNER) : -1] for feature in names if feature.startswith(starts) and feature.endswith(")")]
    if not found:
        known = sorted({feature[len(PARTNER) :].rpartition(".")[0] for feature in names if feature.startswith(PARTNER)})
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"pairs must name matrices whose partners are among the features, {starts}1) and so on, but {name!r} has "
            f"none.{hint} Known: {', '.join(known) or 'none'}."
        )
    for each in found:
        if f"{PAIR}{each})" not in places:
            raise ValueError(f"pairs: the feature {PARTNER}{each}) needs {PAIR}{each}) beside it, but there is none.")
    return [(places[f"{PARTNER}{each})"], places[f"{PAIR}{each})"]) for each in found]


class PairReader(nn.Module):
    """The matrices of some pairs, from the scaled features: (B, T, C) -> name -> (B, T, T) float32."""

    kept: Tensor  # (C,) 0 at partners, 1 elsewhere

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.columns: dict[str, list[tuple[int, int]]] = {}
        self.scales: dict[int, tuple[float, float]] = {}  # of each of these columns: its center and scale
        self.register_buffer("kept", torch.ones(0), persistent=False)

    def set_columns(self, names: Sequence[str], center: Sequence[float], scale: Sequence[float], channels: int) -> None:
        """Find the columns among F features, scaled as (value - center) / scale. channels: C, of the input.

        Raises:
            ValueError: there are none.
        """
        self.columns = {name: columns_of(name, names) for name in self.names}
        used = sorted({column for columns in self.columns.values() for pair in columns for column in pair})
        self.scales = {column: (float(center[column]), float(scale[column])) for column in used}
        self.kept = torch.tensor(
            [float(not name.startswith(PARTNER)) for name in names] + [1.0] * (channels - len(names))
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """x: (B, T, C) scaled."""
        if not self.columns:
            raise ValueError(
                f"The pairs {', '.join(self.names)} are read from features, but their columns are not set: "
                "call pairs.set_columns(network, names, center, scale, channels) after the network is made."
            )
        return {name: self._matrix(x, columns) for name, columns in self.columns.items()}

    def _matrix(self, x: Tensor, columns: Sequence[tuple[int, int]]) -> Tensor:
        """Add up the partners of each row, (B, T, T); by comparisons: a scatter's sums have no fixed order on a GPU."""
        steps = torch.arange(x.shape[1], device=x.device)
        found = torch.zeros(*x.shape[:2], x.shape[1], device=x.device)
        for partner, entry in columns:
            distance = self._own_unit(x, partner).round()  # (B, T)
            hit = ((steps + distance).unsqueeze(-1) == steps) & (distance != 0).unsqueeze(-1)
            found = found + hit * self._own_unit(x, entry).unsqueeze(-1)
        return found

    def _own_unit(self, x: Tensor, column: int) -> Tensor:
        center, scale = self.scales[column]
        return x[..., column].float() * scale + center

    def without_partners(self, x: Tensor) -> Tensor:
        """Return the input of the layers: partners are 0."""
        return x * self.kept


def set_columns(
    network: nn.Module, names: Sequence[str], center: Sequence[float], scale: Sequence[float], channels: int
) -> None:
    """Tell a new network's readers of pairs where their features are: see `PairReader.set_columns`.

    Raises:
        ValueError
    """
    for module in network.modules():
        if isinstance(module, PairReader):
            module.set_columns(names, center, scale, channels)


def readers(network: nn.Module) -> list[PairReader]:
    """Return a network's readers of pairs; none: it reads none."""
    return [module for module in network.modules() if isinstance(module, PairReader)]
