"""Branches: which features each sees, that none sees another's, how they merge, and which tables are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from foldline import models
from foldline.core.errors import UserError
from foldline.fit import network_build
from foldline.models.contract import Targets
from foldline.models.systems import hybrid
from foldline.models.systems.branches import Branch, Branches, Config, columns_of

NAMES = ("acc_x", "d(acc_x)", "thm_1", "missing(thm_1)", "time")
TARGETS = Targets(count=1)
NONE = torch.zeros(2, 0, dtype=torch.int64)  # static columns of two series
CONV, LSTM = {"kind": "conv", "kernel": 3}, {"kind": "bilstm"}
GROUPS = [{"inputs": ["*acc*"], "blocks": [CONV], "width": 4}, {"blocks": [LSTM]}]  # acceleration, all others


def make(levels: tuple[int, ...] = (), channels: int = len(NAMES), **table: Any) -> Branches:
    torch.manual_seed(0)
    config = Config(**{"width": 6, "branches": GROUPS, **table})
    return Branches(config, channels, levels, TARGETS, NAMES).eval()


def x_of(channels: int = len(NAMES)) -> Tensor:
    return torch.randn(2, 7, channels, generator=torch.Generator().manual_seed(1))


def test_patterns_name_features_and_a_branch_without_any_has_the_others() -> None:
    branches = [Branch(inputs=("*acc*", "time")), Branch(inputs=("*thm*", "time")), Branch()]
    with pytest.raises(ValueError, match=r"branches\[2\] must see a feature, but all others are named"):
        columns_of(branches, NAMES, 5)
    assert columns_of(branches[:2], NAMES, 5) == [[0, 1, 4], [2, 3, 4]]
    assert columns_of(branches[::2], NAMES, 5) == [[0, 1, 4], [2, 3]]
    assert columns_of(branches[1:], NAMES, 7) == [[2, 3, 4, 5, 6], [0, 1, 5, 6]]  # 5, 6: the known target


def test_what_sees_nothing_and_what_is_not_seen_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"branches\[1\] must see a feature, but none fits \['rot\*'\]. Features: acc_x, "
    ):
        columns_of([Branch(), Branch(inputs=("rot*",))], NAMES, 5)
    with pytest.raises(ValueError, match=r"seen by a branch, but thm_1, missing\(thm_1\), time fit no pattern: add"):
        columns_of([Branch(inputs=("*acc*",))], NAMES, 5)
    table = {"branches": [{"inputs": ["rot*"]}]}
    with pytest.raises(UserError, match=r"model branches: branches\[0\] must see a feature"):
        network_build.build("branches", table, 5, (), TARGETS, NAMES)


def test_no_gradient_leads_from_one_branch_to_anothers_inputs_or_weights() -> None:
    network, x = make(), x_of().requires_grad_()
    hidden = network(x, NONE, None)  # (2, 7, 4 + 6): acceleration, others
    assert hidden.shape == (2, 7, 10)
    for own, (part, columns) in enumerate(((hidden[..., :4], [0, 1]), (hidden[..., 4:], [2, 3, 4]))):
        weights = [list(branch.parameters()) for branch in network.branches]
        found = torch.autograd.grad(part.square().sum(), [x, *weights[0], *weights[1]], retain_graph=True)
        assert found[0].abs().sum(dim=(0, 1)).nonzero().flatten().tolist() == columns
        of_branch = [found[1 : 1 + len(weights[0])], found[1 + len(weights[0]) :]]
        assert all(slope is not None and slope.any() for slope in of_branch[own])
        assert not any(slope.any() for slope in of_branch[1 - own])


@torch.no_grad()
def test_one_branch_of_all_features_is_the_hybrid() -> None:
    blocks, x = (CONV, LSTM, {"kind": "transformer", "heads": 2}), x_of()
    network = make(branches=[{"blocks": blocks}])
    same = hybrid.Hybrid(hybrid.Config(width=6, blocks=blocks), len(NAMES), (), TARGETS).eval()
    same.load_state_dict({name.removeprefix("branches.0."): value for name, value in network.state_dict().items()})
    assert torch.equal(same(x, NONE, None), network(x, NONE, None))


@torch.no_grad()
def test_blocks_behind_the_merge_see_all_branches_and_the_statics() -> None:
    network, x, codes = (
        make(levels=(3,), embed=2, blocks=[{"kind": "conv", "width": 5}]),
        x_of(),
        torch.tensor([[1], [2]]),
    )
    merged = network.trunk.blocks[0].block.norm.normalized_shape
    hidden = network(x, codes, None)
    assert merged == (4 + 6 + 2,) and hidden.shape == (2, 7, 5)
    for column in range(len(NAMES)):
        changed = x.clone()
        changed[:, 3, column] += 1
        assert not torch.allclose(network(changed, codes, None), hidden)
    assert not torch.allclose(network(x, codes.flip(0), None), hidden)


@torch.no_grad()
def test_every_branch_sees_the_known_target() -> None:
    network, x = make(channels=7), x_of(7)
    changed = x.clone()
    changed[..., 5:] += 1
    before, after = network(x, NONE, None), network(changed, NONE, None)
    assert not torch.allclose(before[..., :4], after[..., :4]) and not torch.allclose(before[..., 4:], after[..., 4:])


def test_it_looks_as_far_as_its_furthest_branch_and_what_is_behind() -> None:
    config = Config(branches=({"blocks": [CONV]}, {"blocks": [{"kind": "lstm"}]}), blocks=(CONV,))
    assert config.reach == (float("inf"), 4)
    assert Config(branches=({"blocks": [CONV, CONV]}, {"blocks": [CONV]})).reach == (4, 4)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"branches": []}, "branches must hold at least one branch"),
        ({"branches": [{}, {"blocks": []}]}, r"branches\[1\]: blocks must hold at least one block"),
        ({"branches": [{"blocks": [{"kind": "lstm", "static": "state"}]}]}, r"branches\[0\].*embed is 0"),
        ({"branches": [{"blocks": [{"kind": "time2vec"}]}]}, r"branches\[0\].*reads the time of each step"),
        ({"branches": [{"width": 0}]}, r"branches\[0\]: width must be at least 1, but is 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), but is 1.0"),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**table)


def test_its_weights_depend_on_the_files_of_its_branches_blocks() -> None:
    table = {"branches": [{"blocks": [{"kind": "tcn"}]}, {}], "blocks": [{"kind": "conformer"}]}
    of = {path.name for path in models.source_of("branches", table)}
    assert {"branches.py", "hybrid.py", "tcn.py", "conv.py", "bilstm.py"} > of & {"gru.py", "lstm.py"} == set()
    assert {"branches.py", "hybrid.py", "tcn.py", "conformer.py", "relative_attention.py", "l1.py"} <= of
