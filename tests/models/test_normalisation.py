"""Norms of channels: torch's own where nothing is padded, and where something is, as if it were not there."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from foldline.models.ops.normalisation import ChannelNorm, RealBatchNorm, make_norm

CHANNELS, STEPS = 3, 7
LENGTHS = torch.tensor([7, 2, 5, 1])
REAL = (torch.arange(STEPS) < LENGTHS[:, None]).unsqueeze(1)  # (B, 1, T)


def values(seed: int = 0) -> Tensor:
    """(B, C, T), of different size in each channel."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(len(LENGTHS), CHANNELS, STEPS, generator=random) * torch.tensor([1.0, 5.0, 0.2])[:, None] + 2


def steps_of(x: Tensor) -> Tensor:
    """Its real steps, (steps, C)."""
    return x.transpose(1, 2)[REAL.squeeze(1)]


def twins() -> tuple[RealBatchNorm, nn.BatchNorm1d]:
    """Ours and torch's, with the same weights that are not 1 and 0."""
    torch.manual_seed(0)
    ours, theirs = RealBatchNorm(CHANNELS), nn.BatchNorm1d(CHANNELS)
    nn.init.normal_(ours.weight)
    nn.init.normal_(ours.bias)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def test_on_padded_series_it_is_torchs_layer_on_the_real_steps_alone() -> None:
    ours, theirs = (each.double() for each in twins())
    for seed in range(3):  # the running statistics follow, too
        x = values(seed).double().requires_grad_()
        alone = steps_of(x.detach()).requires_grad_()
        found, expected = steps_of(ours(x, REAL)), theirs(alone)
        torch.testing.assert_close(found, expected)
        found.square().sum().backward()
        expected.square().sum().backward()
        torch.testing.assert_close(steps_of(x.grad), alone.grad)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, msg=name)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(steps_of(ours(values(9).double(), REAL)), theirs(steps_of(values(9).double())))


def test_what_stands_in_the_padding_is_not_seen() -> None:
    (ours, _), (other, _) = twins(), twins()
    for rest in (1e6, torch.inf, torch.nan):
        soiled = values().masked_fill(~REAL, rest)
        assert torch.equal(steps_of(ours(soiled, REAL)), steps_of(other(values(), REAL)))
    assert torch.equal(ours.running_var, other.running_var) and ours.running_var.isfinite().all()


def test_one_step_alone_has_no_spread_and_is_its_own_mean() -> None:
    ours, _ = twins()
    for real in (None, torch.ones(1, 1, 1, dtype=torch.bool)):
        out = ours(torch.full((1, CHANNELS, 1), 5.0), real)
        torch.testing.assert_close(out[0, :, 0], ours.bias)
    assert ours.running_var.isfinite().all()


def test_statistics_are_taken_in_full_precision() -> None:
    ours, theirs = twins()
    x = (values() + 100).bfloat16()
    assert ours(x, REAL).dtype == torch.bfloat16
    theirs(steps_of(x).float())
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)


@torch.no_grad()
def test_a_channel_norm_sees_one_step() -> None:
    norm = ChannelNorm(CHANNELS)
    out = norm(values(), REAL)
    torch.testing.assert_close(out.mean(dim=1), torch.zeros(len(LENGTHS), STEPS), atol=1e-5, rtol=0)
    assert torch.equal(norm(values()[:, :, 2:3]), out[:, :, 2:3])


@pytest.mark.parametrize(("name", "kind"), [("layer", ChannelNorm), ("batch", RealBatchNorm)])
def test_a_norm_is_made_by_its_name(name: str, kind: type) -> None:
    assert type(make_norm(name, 4)) is kind
