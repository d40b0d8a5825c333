"""Packing of padded series: torch's own to the last bit, planned once a mask, from lengths that the host knows."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import rnn

from foldline.models import packing
from foldline.models.contract import run_recurrent
from foldline.models.systems import esrnn
from foldline.models.systems.esrnn import DilatedLSTM

LENGTHS = torch.tensor([3, 6, 1, 6, 2])
MASK = torch.arange(6) < LENGTHS[:, None]


def torchs_own(layer: nn.LSTM | nn.GRU, x: Tensor, state: object) -> Tensor:
    packed = rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    return rnn.pad_packed_sequence(layer(packed, state)[0], batch_first=True, total_length=6)[0]


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("begun", [False, True])
def test_it_is_torchs_own_to_the_last_bit_gradients_too(kind: type[nn.LSTM | nn.GRU], both: bool, begun: bool) -> None:
    torch.manual_seed(0)
    layer = kind(4, 3, batch_first=True, bidirectional=both)
    start = torch.randn(1 + both, 5, 3)
    state = None if not begun else start if kind is nn.GRU else (start, 2 * start)
    results = []
    for run in (lambda x: torchs_own(layer, x, state), lambda x: run_recurrent(layer, x, MASK.clone(), state)):
        x = torch.randn(5, 6, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
        layer.zero_grad()
        out = run(x)
        out.square().sum().backward()
        results.append([out.detach(), x.grad, *(weight.grad for weight in layer.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the masks whose lengths were counted: on a GPU each is a wait."""
    seen: list[tuple[int, ...]] = []
    honest = packing.lengths_of

    def lengths_of(mask: Tensor) -> Tensor:
        if packing._lengths.get(mask) is None:
            seen.append(tuple(mask.shape))
        return honest(mask)

    monkeypatch.setattr(packing, "lengths_of", lengths_of)
    return seen


def test_a_mask_is_looked_at_once_for_all_layers_and_not_at_all_where_the_host_knows(
    looks: list[tuple[int, ...]],
) -> None:
    layers = [nn.GRU(2, 2, batch_first=True) for _ in range(3)]
    for known, expected in ((False, [(5, 6)]), (True, [])):
        looks.clear()
        mask = MASK.clone()
        if known:
            packing.set_lengths(mask, LENGTHS)
        for layer in layers:
            run_recurrent(layer, torch.zeros(5, 6, 2), mask)
        assert looks == expected


@pytest.mark.parametrize("dilation", [2, 3, 4, 7])
@pytest.mark.parametrize("padded", [True, False])
def test_interleaved_series_are_as_long_as_their_masks_say(
    dilation: int, padded: bool, looks: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, mask = DilatedLSTM(2, 4, dilation, causal=False), MASK.clone() if padded else None
    if mask is not None:
        packing.set_lengths(mask, LENGTHS)
    told: list[tuple[Tensor, Tensor]] = []
    monkeypatch.setattr(esrnn, "set_lengths", lambda *both: (told.append(both), packing.set_lengths(*both)))
    layer(torch.randn(5, 6, 2), mask)
    assert looks == [] and (told or (6 % dilation == 0 and not padded))
    assert all(torch.equal(lengths, some.sum(dim=1)) for some, lengths in told)


def test_what_is_known_of_a_mask_goes_with_it() -> None:
    gc.collect()
    before = len(packing._lengths), len(packing._plans)
    mask = MASK.clone()
    packing.packing_of(mask)
    assert (len(packing._lengths), len(packing._plans)) == (before[0] + 1, before[1] + 1)
    del mask
    gc.collect()
    assert (len(packing._lengths), len(packing._plans)) == before


def test_no_graph_is_captured_that_would_keep_the_lengths_of_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = MASK.clone()
    packing.packing_of(mask)
    monkeypatch.setattr(Tensor, "is_cuda", True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(RuntimeError, match="series are packed by lengths that the host knows"):
        packing.packing_of(mask)
