"""The size of a network is known before it is made, and one too large for the machine is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from lab import PARAMS, small_store

from foldline import models
from foldline.core import strict_tables
from foldline.core.errors import UserError
from foldline.data.store import Store
from foldline.fit import network_build, network_size
from foldline.models import heads
from foldline.models.blocks import BLOCKS
from foldline.models.contract import Targets

TARGETS = Targets(count=1, grids=((0.0, 0.1, 50),))
NETWORKS = {
    **{name: {} for name, part in models.MODELS.items() if part.config.kind == "network"},
    "nhits": {"history": 3, "horizon": 3},
    **{f"block {kind}": {"blocks": ({"kind": kind},), "time": "f0", "embed": 4} for kind in BLOCKS},
    **{f"head {kind}": {"head": {"kind": kind}} for kind in heads.serving(TARGETS)},
}


def weights(network: Any) -> int:
    return sum(weight.nbytes for weight in network.state_dict().values())


@pytest.fixture
def data() -> Store:
    return small_store(static=True)


@pytest.mark.parametrize("case", NETWORKS)
def test_the_size_is_that_of_the_network(case: str, data: Store) -> None:
    name = case if case in models.MODELS else "hybrid"
    params = strict_tables.plain(models.MODELS[name].config(**NETWORKS[case]))
    data = replace(data, observed=int(case == "nhits"))  # which is made for a known start alone
    targets = network_build.with_known_start(TARGETS, data)
    made = network_build.build(name, params, data.channels, data.levels, targets)
    assert network_size.check("label", name, params, data, TARGETS, "cpu") == weights(made) > 0


def test_a_network_too_large_for_the_machine_is_refused(data: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    size = network_size.check("label", "hybrid", PARAMS, data, TARGETS, "cpu")
    monkeypatch.setattr(network_size, "memory", lambda device: 4 * size - 1)
    with pytest.raises(UserError, match=r"model 'label': its \d+ weights need 0\.0 GiB while"):
        network_size.check("label", "hybrid", PARAMS, data, TARGETS, "cpu")
    monkeypatch.undo()
    huge = {"width": 16_384, "blocks": [{"kind": "bilstm"}] * 256}
    with pytest.raises(UserError, match=r"its 4\d\d,\d{3},\d{3},\d{3} weights need [67],\d{3}\.\d GiB while"):
        network_size.check("label", "hybrid", huge, data, TARGETS, "cpu")


def test_the_memory_of_this_machine_is_known() -> None:
    assert 2**28 < network_size.memory("cpu") < 2**50 and np.isfinite(network_size.memory("cpu"))
