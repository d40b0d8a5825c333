"""U-Net beside the contract: any length comes back, skips are used, the window is the declared one, what it refuses."""

from __future__ import annotations

from functools import partial
from typing import Any

import padding
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from foldline.models import packing
from foldline.models.blocks.unet import Config, UNet, halved
from foldline.models.probes import receptive_field


def make(inputs: int = 3, **table: Any) -> UNet:
    torch.manual_seed(0)
    return UNet(Config(**{"width": 8, **table}), inputs).eval()


def series(steps: int, count: int = 2) -> Tensor:
    return torch.randn(count, steps, 3, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize("middle", ["gru", "attention", "none"])
def test_every_length_comes_back_as_it_is_in_a_longer_batch(middle: str) -> None:
    network, x = make(middle=middle), series(19)
    for steps in (1, 2, 3, 7, 8, 9, 15, 17):
        alone = network(x[:, :steps], None)
        mask = (torch.arange(19) < steps).expand(2, -1)
        assert alone.shape == (2, steps, 8)
        torch.testing.assert_close(network(x, mask)[:, :steps], alone)


@torch.no_grad()
def test_it_is_stages_down_and_up_with_each_level_beside() -> None:
    network, x = make(levels=2, middle="none", growth=2, norm="batch"), series(12).transpose(1, 2)

    def stage(of: Any, hidden: Tensor) -> Tensor:
        for convolution, norm in ((of.first, of.norm_first), (of.second, of.norm_second)):
            hidden = norm(functional.conv1d(hidden, convolution.conv.weight, padding=1)).relu()
        return hidden

    fine = stage(network.down[0], x)
    middle = stage(network.down[1], functional.max_pool1d(fine, 2))
    bottom = stage(network.bottom, functional.max_pool1d(middle, 2))
    assert [part.shape[1:] for part in (fine, middle, bottom)] == [(8, 12), (16, 6), (32, 3)]
    back = stage(network.up[0].stage, torch.cat([middle, network.up[0].spread(bottom)], dim=1))
    out = stage(network.up[1].stage, torch.cat([fine, network.up[1].spread(back)], dim=1))
    torch.testing.assert_close(network(x.transpose(1, 2), None), out.transpose(1, 2))


def test_skips_carry_single_steps_that_the_way_through_the_middle_lost() -> None:
    """With nothing from below, an output is that of two stages; with nothing beside, a pair has one answer."""
    cut, x = make(middle="none"), series(33).double()
    with torch.no_grad():
        cut.up[-1].spread.weight.zero_()
    assert receptive_field(partial(cut.double(), mask=None), x, 16) == list(range(16 - 4, 16 + 5))
    lame = make(middle="none", kernel=1)
    with torch.no_grad():
        for up in lame.up:
            up.stage.first.conv.weight[:, :8].zero_()
        ordered = series(16)
        swapped = ordered.unflatten(1, (8, 2)).flip(2).flatten(1, 2)  # the two steps of each pair change places
        torch.testing.assert_close(lame(swapped, None), lame(ordered, None))
        whole = make(middle="none", kernel=1)
        assert not torch.allclose(whole(swapped, None), whole(ordered, None))


@pytest.mark.parametrize(("levels", "kernel", "reach"), [(1, 3, 9), (2, 3, 23), (1, 5, 17), (2, 1, 3), (3, 1, 7)])
def test_its_window_without_a_middle_is_the_declared_one(levels: int, kernel: int, reach: int) -> None:
    config = {"levels": levels, "kernel": kernel, "middle": "none", "width": 16}
    assert Config(**config).reach == (reach, reach)
    network, x = make(**config).double(), series(80, count=8).double()
    found = [(step, receptive_field(partial(network, mask=None), x, step)) for step in range(36, 36 + 2**levels)]
    assert max(step - seen[0] for step, seen in found) == max(seen[-1] - step for step, seen in found) == reach
    assert all(seen == list(range(seen[0], seen[-1] + 1)) for _, seen in found)


def test_pairs_have_the_maximum_of_their_real_steps() -> None:
    x = torch.tensor([[[-3.0, -1.0, -2.0, 9.0, 9.0]]])
    real = torch.tensor([[[True] * 3 + [False] * 2]])
    values, pairs = halved(x, real)
    assert values.tolist() == [[[-1, -2, 0]]] and pairs is not None and pairs.tolist() == [[[True, True, False]]]
    assert halved(x, None)[0].tolist() == [[[-1, 9, 9]]]


def test_the_host_tells_the_middle_the_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU would be waited for where they are looked up in the mask."""
    network, x = make(), series(19)
    mask = torch.arange(19) < torch.tensor([17, 3])[:, None]
    packing.set_lengths(mask, torch.tensor([17, 3]))
    found = []
    monkeypatch.setattr(packing, "set_lengths", lambda *given: found.append(given))
    network(x, mask)
    assert found == []
    assert packing.lengths_of(mask).tolist() == [17, 3]


@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("middle", ["gru", "attention"])
def test_in_training_padding_changes_neither_output_nor_gradient(norm: str, middle: str) -> None:
    padding.assert_changes_nothing(lambda: make(norm=norm, middle=middle, levels=2))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"levels": 0}, "levels and growth must be at least 1, but are 0 and 1"),
        ({"kernel": 4}, "kernel must be odd, so that it is centred on its step, but is 4"),
        ({"width": 7}, "width must be even, a GRU's directions have half of it each, but is 7"),
        ({"width": 6, "middle": "attention"}, "width must be a multiple of heads, but is 6 with 4 heads"),
        ({"norm": "none"}, "norm must be"),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**table)
