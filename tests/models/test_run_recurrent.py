"""Running a recurrent layer: half precision on processors that have no such LSTM."""

from __future__ import annotations

import pytest
import torch
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
