"""What looks ahead: parts of a config whose answer at a step depends on later steps of its series.

A server that reveals steps one by one (serve.per = "step") can't have them. Feature families say it themselves
(`Family.lookahead`), and so do a hybrid's blocks (`reach`), which tests hold to. Of networks it is also tried: later
steps are changed, and no earlier output may move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from foldline.core.errors import UserError
from foldline.data.store import Store
from foldline.experiment.config import Config
from foldline.features import FAMILIES, Family
from foldline.models import MODELS
from foldline.models.blocks import configure
from foldline.run.cells import ModelConfig

STEPS = 32  # of the series that a network is tried on: windows that look ahead see the next step, whatever their width
SEEN = 16  # leading ones that stay as they are


def refuse(config: Config, families: Sequence[Family], networks: Mapping[str, nn.Module], store: Store) -> None:
    """Refuse a config with parts that look ahead, naming all of them.

    Args:
        families: of its features.
        networks: by the label of their model, trained or not.
        store: of series with its features.

    Raises:
        UserError
    """
    of_models = [name for model in config.models for name in _of_model(model, networks.get(model.label), store)]
    if found := [*_of_data(config), *_of_features(families), *of_models]:
        raise UserError(
            f'{config.name}: an answer at each step, before the next one is known (serve.per = "step"), can\'t have '
            f"parts that look ahead, but these do: {'; '.join(found)}. Leave them out, or take forms that look back: "
            "leads = [], causal = true, bidirectional = false, lstm, gru."
        )


def _of_data(config: Config) -> list[str]:
    data, found = config.data, []
    if data.on_series:
        found.append(f"answers of whole series, whose steps are pooled (data.level = {data.level!r})")
    if data.has_start:
        found.append(
            "targets known at the first steps (data.observed, data.forecast), which trees see from the first on"
        )
    if data.known:
        found.append("targets known anywhere in a series (data.known)")
    if config.blend.aggregates:
        found.append("statistics of whole series, which a stack sees (blend.aggregates)")
    if config.post.decode:
        found.append("exact rows, which are read back from later ones (post.decode)")
    return found


def _of_features(families: Sequence[Family]) -> list[str]:
    names = {kind: name for name, kind in FAMILIES.items()}
    found = [names.get(type(family), "competition") for family in families if family.lookahead]
    return [f"the features {', '.join(found)}"] if found else []


def _of_model(model: ModelConfig, network: nn.Module | None, store: Store) -> list[str]:
    """Name what looks ahead in a model. Trees see the features of one row: they have no network."""
    if network is None:
        return []
    if model.train.patches.used:
        return [f"the model {model.label}, whose steps are several rows (train.patches)"]
    if model.train.windows.used:
        return [f"the model {model.label}, whose windows are put together (train.windows)"]
    if model.train.tta.reverse:
        return [f"the model {model.label}, which sees series backwards, too (train.tta.reverse)"]
    if not network_looks_ahead(network, store):
        return []
    tables: Any = model.params.get("blocks") or getattr(MODELS[model.name].config(), "blocks", ())
    blocks = [f"{each['kind']} (block {place})" for place, each in enumerate(tables, start=1) if _looks_ahead(each)]
    return [f"the model {model.label}{', by ' + ', '.join(blocks) if blocks else ''}"]


def _looks_ahead(block: dict[str, Any]) -> bool:
    return bool(configure(block)[1].reach[1] > 0)


@torch.no_grad()
def network_looks_ahead(network: nn.Module, store: Store) -> bool:
    """Try whether a network's predictions at the first steps move where later steps change."""
    device, training = next(network.parameters()).device, network.training
    random = torch.Generator().manual_seed(0)
    x, later = (torch.randn(1, STEPS, store.channels, generator=random) for _ in range(2))
    static = torch.zeros(1, len(store.levels), dtype=torch.int64, device=device)
    scored = torch.ones(1, STEPS, dtype=torch.bool, device=device)
    head: Any = network.head
    found = []
    network.eval()
    for series in (x, torch.cat([x[:, :SEEN], later[:, SEEN:]], dim=1)):
        raw = head(network(series.to(device), static, None).float(), None)
        found.append(head.predict(raw, scored)[:, :SEEN])
    network.train(training)
    return not torch.allclose(found[0], found[1], rtol=1e-4, atol=1e-5)
