"""What looks ahead is found by trying: the trial agrees with what blocks and models declare."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from foldline.experiment.lookahead import network_looks_ahead
from foldline.models import MODELS
from foldline.models.blocks import BLOCKS, configure
from foldline.models.contract import Targets
from foldline.models.ops.covariates import set_clocks

FEATURES = 5
STORE: Any = SimpleNamespace(channels=FEATURES, levels=(3,))
FORMS: list[dict[str, Any]] = [
    *({"kind": kind} for kind in BLOCKS),
    {"kind": "tcn", "causal": True},
    {"kind": "glu", "causal": True},
    {"kind": "wavenet", "kernel": 2, "causal": True},
    *({"kind": kind, "bidirectional": False} for kind in ("mingru", "minlstm", "lru")),
]
CAUSAL = {"tft": {"causal": True}, "esrnn": {"causal": True}, "wavenet": {}}
AHEAD: dict[str, dict[str, Any]] = {"tft": {}, "esrnn": {}, "first_place": {}, "third_place": {}}


def network(name: str, params: dict[str, Any]) -> torch.nn.Module:
    torch.manual_seed(0)
    made: torch.nn.Module = MODELS[name].make(MODELS[name].config(**params), FEATURES, STORE.levels, Targets(count=2))
    set_clocks(made, [f"x{place}" for place in range(FEATURES - 1)] + ["t"], [0.0] * FEATURES, [1.0] * FEATURES)
    return made


@pytest.mark.parametrize("block", FORMS, ids=str)
def test_a_block_looks_ahead_where_it_says_so(block: dict[str, Any]) -> None:
    hybrid = network("hybrid", {"blocks": ({"width": 8, **block},), "width": 8, "time": "t"})
    assert network_looks_ahead(hybrid, STORE) == (configure({"width": 8, **block})[1].reach[1] > 0)


@pytest.mark.parametrize("name", CAUSAL)
def test_causal_models_do_not(name: str) -> None:
    assert not network_looks_ahead(network(name, CAUSAL[name]), STORE)


@pytest.mark.parametrize("name", AHEAD)
def test_others_do(name: str) -> None:
    assert network_looks_ahead(network(name, AHEAD[name]), STORE)


def test_it_leaves_the_network_as_it_is() -> None:
    one = network("hybrid", {"blocks": ({"kind": "lstm"},)}).train()
    network_looks_ahead(one, STORE)
    assert one.training
