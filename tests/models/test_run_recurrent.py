"""Running a recurrent layer: half precision on processors that have no such LSTM."""

from __future__ import annotations

import pytest
import torch
from devices import EVERYWHERE
from torch import nn

from foldline.models import contract


@torch.no_grad()
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("supported", [True, False])
def test_under_autocast_an_unpacked_layer_runs_on_any_processor(
    kind: type[nn.LSTM | nn.GRU], supported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """oneDNN's half-precision LSTM needs AVX-512; where it is missing the layer runs in float32."""
    torch.manual_seed(0)
    layer, x, zeros = kind(3, 4, batch_first=True), torch.randn(2, 5, 3), torch.zeros(1, 2, 4)
    if not supported:
        monkeypatch.setattr(contract, "onednn_has_half_lstm", lambda: False)
    exact = layer(x)[0]
    with torch.autocast("cpu", torch.bfloat16):
        start = (zeros.bfloat16(), zeros.bfloat16()) if kind is nn.LSTM else zeros.bfloat16()
        outputs = [contract.run_recurrent(layer, x, None)]
        if not supported:
            outputs.append(contract.run_unpacked(layer, x.bfloat16(), start)[0])
    for out in outputs:
        torch.testing.assert_close(out.float(), exact, atol=0.05, rtol=0.05)
    if not supported:
        assert torch.equal(outputs[0], exact)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("begun", [False, True])
def test_where_half_would_stand_for_bfloat16_a_layer_runs_in_float32(
    kind: type[nn.LSTM | nn.GRU], padded: bool, begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    layer, x, zeros = kind(3, 4, batch_first=True), torch.randn(2, 5, 3), torch.zeros(1, 2, 4)
    mask = torch.arange(5) < torch.tensor([[5], [3]]) if padded else None
    state = None if not begun else zeros if kind is nn.GRU else (zeros, zeros)
    exact = contract.run_recurrent(layer, x, mask, state)

    def half(some: nn.Module, device: torch.device) -> bool:
        return some is layer and torch.is_autocast_enabled(device.type)

    monkeypatch.setattr(contract, "half_stands_for_bfloat16", half)
    with torch.autocast("cpu", torch.bfloat16):
        halved = None if state is None else zeros.bfloat16() if kind is nn.GRU else (zeros.bfloat16(),) * 2
        out = contract.run_recurrent(layer, x.bfloat16().float(), mask, halved)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, exact, atol=0.02, rtol=0.02)
    out.sum().backward()
    assert all(weight.grad is not None and weight.grad.dtype == torch.float32 for weight in layer.parameters())


def test_what_a_layer_gives_decides_and_no_random_number_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda")
    for given, asked, half in (
        (torch.float16, torch.bfloat16, True),
        (torch.bfloat16, torch.bfloat16, False),
        (torch.float16, torch.float16, False),  # that was asked for, and has a loss scale
    ):
        with monkeypatch.context() as patch:
            patch.setattr(contract, "output_dtype", lambda *_, given=given: given)
            patch.setattr(torch, "is_autocast_enabled", lambda kind: kind == "cuda")
            patch.setattr(torch, "get_autocast_dtype", lambda _, asked=asked: asked)
            assert contract.half_stands_for_bfloat16(nn.LSTM(1, 1), device) == half
    if contract.onednn_has_half_lstm():
        before = torch.get_rng_state()
        assert contract.output_dtype("LSTM", torch.device("cpu")) == torch.bfloat16
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", EVERYWHERE)
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("padded", [False, True])
def test_bf16_never_gives_half(name: str, kind: type[nn.LSTM | nn.GRU], padded: bool) -> None:
    layer, x = kind(3, 4, batch_first=True, device=name), torch.randn(2, 5, 3, device=name)
    mask = torch.arange(5, device=name) < torch.tensor([[5], [3]], device=name) if padded else None
    with torch.autocast(name, torch.bfloat16):
        out = contract.run_recurrent(layer, x, mask)
    assert out.dtype in (torch.bfloat16, torch.float32)
    out.float().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in layer.parameters())
