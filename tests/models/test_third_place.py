"""The 3rd place's network: the published shape, its windows, its difference targets."""

from __future__ import annotations

import pytest
import torch

from foldline.models.contract import Targets
from foldline.models.systems.third_place import Config, ConvBranch, ThirdPlace


def test_at_the_published_sizes_it_has_the_published_layers() -> None:
    with torch.device("meta"):
        network = ThirdPlace(Config(), 8, (), Targets(count=1))
    assert [layer.hidden_size for layer in network.layers] == [1024, 512, 256, 128]
    assert network.layers[0].input_size == 8 + 3 * 64
    assert network.head.out.out_features == 5  # the pressure and its differences at lags 1 to 4


@torch.no_grad()
@pytest.mark.parametrize(("kernel", "reach"), [(2, (0, 1)), (3, (1, 1)), (4, (1, 2))])
def test_a_window_reaches_as_far_as_its_kernel(kernel: int, reach: tuple[int, int]) -> None:
    torch.manual_seed(0)
    branch, x = ConvBranch(1, 16, kernel), torch.zeros(1, 9, 1)
    x[0, 4] = 1.0
    touched = (branch(x) != branch(torch.zeros(1, 9, 1))).any(dim=-1)[0].nonzero().flatten()
    assert touched.tolist() == list(range(4 - reach[1], 4 + reach[0] + 1))


@torch.no_grad()
def test_the_first_bilstm_gets_the_input_and_all_convolutions_beside_it() -> None:
    torch.manual_seed(0)
    network, x = ThirdPlace(Config(width=8, layers=2, channels=2), 3, (), Targets(count=1)), torch.randn(2, 6, 3)
    hidden = torch.cat([x, *(branch(x) for branch in network.branches)], dim=2)
    assert len(network.branches) == 3 and hidden.shape == (2, 6, 3 + 3 * 2)
    for layer in network.layers:
        hidden = layer(hidden)[0]
    torch.testing.assert_close(network(x, torch.zeros(2, 0, dtype=torch.long), None), hidden)


def test_the_auxiliary_outputs_are_held_to_the_targets_differences() -> None:
    head = ThirdPlace(Config(width=8, channels=2), 3, (), Targets(count=1)).head
    y = torch.tensor([2.0, 3.0, 5.0, 4.0, 9.0, 1.0]).view(1, 6, 1)
    raw = torch.zeros(1, 6, 5)
    raw[..., :1] = y
    for lag in (1, 2, 3, 4):
        raw[:, lag:, lag] = (y[:, lag:] - y[:, :-lag]).squeeze(-1)
    assert float(head.loss(raw, y, torch.ones(1, 6), None)) == 0.0
    raw[0, 5, 4] += 1.0
    assert float(head.loss(raw, y, torch.ones(1, 6), None)) > 0.0


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 8, but it is 7"):
        Config(width=7)
    with pytest.raises(ValueError, match="must be at least 1, but are 0"):
        Config(channels=0)
