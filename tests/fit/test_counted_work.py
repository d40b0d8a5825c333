"""Which blocks' work grows faster than the steps of a series: those that look from each step to each."""

from __future__ import annotations

import pytest
import torch

from foldline.fit.counted_work import grows_faster, work
from foldline.fit.network_build import build
from foldline.models.blocks import BLOCKS
from foldline.models.contract import Targets
from foldline.models.ops import covariates

EACH_TO_EACH = {"conformer", "relative-transformer", "squeezeformer", "transformer"}
DEEPER = {"hierarchical"}  # a level more where steps double


def test_work_is_what_operations_put_out_and_pairs_of_attention() -> None:
    x = torch.zeros(2, 3, 5, 4)
    assert work(lambda: x + 1) == x.numel()
    assert work(lambda: torch.nn.functional.scaled_dot_product_attention(x, x, x)) >= x.numel() + 2 * 3 * 5 * 5


@pytest.mark.parametrize("kind", BLOCKS)
def test_a_blocks_work_grows_faster_where_it_attends(kind: str) -> None:
    params = {"width": 8, "time": "time", "blocks": [{"kind": kind}]}
    names = ("a", "b", "time")
    network = build("hybrid", params, 3, (), Targets(count=1), names).eval()
    covariates.set_clocks(network, names, [0.0] * 3, [1.0] * 3)
    static = torch.zeros(2, 0, dtype=torch.long)
    assert grows_faster(lambda steps: network(torch.randn(2, steps, 3), static, None)) == (
        kind in EACH_TO_EACH | DEEPER
    )
