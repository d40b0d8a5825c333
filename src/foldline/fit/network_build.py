"""Networks by their names in the registry: built for the series of a store, with what a config's table asks of them.

What changes a network before it is trained or after stands here too: heads beside, blocks that are compiled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from foldline import models
from foldline.core.errors import UserError
from foldline.data.store import Store
from foldline.fit.scaler import Scaler
from foldline.models.contract import Targets
from foldline.models.heads import joint
from foldline.models.heads.joint import JointHead
from foldline.models.ops import covariates, entities, pairs


def with_known_start(targets: Targets, store: Store) -> Targets:
    """Add to a network's targets how many leading steps of them are given in this store."""
    return replace(targets, observed=store.observed)


def network_of(name: str, params: dict[str, Any], data: Store, scaler: Scaler) -> nn.Module:
    """Build a network for a store's series as a fold's scaler scales them, and show it which features hold time.

    Raises:
        UserError: see `build`; or it reads a feature that is not there.
    """
    targets = with_known_start(scaler.targets, data)
    network = build(name, params, data.channels, data.levels, targets, data.names, data.places)
    entities.set_scales(network, scaler.center.tolist(), scaler.scale.tolist())
    try:
        covariates.set_clocks(network, data.names, scaler.center.tolist(), scaler.scale.tolist())
        pairs.set_columns(network, data.names, scaler.center.tolist(), scaler.scale.tolist(), data.channels)
    except ValueError as error:
        raise UserError(f"model {name}: {error}") from error
    return network


def build(
    name: str,
    params: dict[str, Any],
    features: int,
    levels: tuple[int, ...],
    targets: Targets,
    names: Sequence[str] = (),
    places: Mapping[str, int] | None = None,
) -> nn.Module:
    """Build a network by its name in the registry and its table.

    Args:
        features: of its input.
        levels: of static columns.
        names: of the features, for networks that tell them apart.
        places: number of known values of each feature that is the place of one among them (Store.places).

    Raises:
        UserError: the model refuses its parts, for instance a head that needs a grid where the targets have none.
    """
    part = models.MODELS[name]
    more = {"names": names, "places": places or {}} if getattr(part.make, "takes_names", False) else {}
    try:
        network: nn.Module = part.make(part.config(**params), features, levels, targets, **more)
    except ValueError as error:
        raise UserError(f"model {name}: {error}") from error
    head = params.get("head")
    if isinstance(head, dict) and joint.split_table(head)[1] and not isinstance(network.head, JointHead):
        raise UserError(
            f"model {name}: its head has a form of its own, which takes no head beside it: leave out beside."
        )
    return network


def without_beside(params: dict[str, Any]) -> dict[str, Any]:
    """Return a network's table without heads on auxiliary targets: as it predicts."""
    head = params.get("head")
    return {**params, "head": joint.split_table(head)[0]} if isinstance(head, dict) else params


def without_heads_beside(network: nn.Module) -> nn.Module:
    """Drop, in place, a trained network's heads on auxiliary targets: nothing that predicts needs them."""
    if isinstance(network.head, JointHead):
        network.head = network.head.main
    return network


def compile_parts(network: nn.Module) -> None:
    """Compile, in place, the blocks that declare it (`compiles`).

    Never in torch's mode "reduce-overhead": its CUDA graphs keep gradients and outputs where their next run overwrites
    them, which breaks a batch of several passes and cells in turn. train.graphs takes whole steps, and refuses these.
    """
    for module in network.modules():
        if getattr(module, "compiles", False):
            module.compile()
