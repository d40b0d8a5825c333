"""Initial weights: Keras' rules by hand, on whole matrices, and over every recurrent layer of the registries."""

from __future__ import annotations

import math

import pytest
import test_model_contract
import test_systems
import torch
from torch import Tensor, nn

from foldline.models.blocks.stable import LSTMCell, RNNCell
from foldline.models.ops.initialisation import initialise

LAYERS = (nn.LSTM, nn.GRU, nn.LSTMCell)


def named(layer: nn.Module, part: str) -> list[Tensor]:
    """The layer's parameters with `part` in their name, one for each direction."""
    return [weight.detach() for name, weight in layer.named_parameters() if part in name]


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3)])
def test_keras_fills_the_whole_matrix_of_all_gates(kind: type[nn.LSTM | nn.GRU], gates: int) -> None:
    torch.manual_seed(0)
    layer = kind(70, 30, bidirectional=True)
    initialise(layer, "keras")
    limit = math.sqrt(6 / (70 + gates * 30))  # Glorot's: fan-in and fan-out of the whole matrix
    for weight in named(layer, "weight_ih"):
        assert 0.99 * limit < float(weight.abs().max()) <= limit
    for weight in named(layer, "weight_hh"):
        assert weight.shape == (gates * 30, 30)
        torch.testing.assert_close(torch.linalg.svdvals(weight), torch.ones(30))


def test_an_lstms_forget_bias_is_1_and_all_other_biases_are_0() -> None:
    lstm, cell = nn.LSTM(7, 3, bidirectional=True), nn.LSTMCell(7, 3)
    for layer in (lstm, cell):
        initialise(layer, "keras")
        for first, second in zip(named(layer, "bias_ih"), named(layer, "bias_hh"), strict=True):
            assert (first + second).tolist() == [0] * 3 + [1] * 3 + [0] * 6  # gates i, f, candidate, o


def test_torchs_own_weights_are_kept_and_a_gru_has_no_forget_bias() -> None:
    torch.manual_seed(0)
    layers = [nn.LSTM(3, 4), nn.GRU(3, 4)]
    before = [weight.clone() for layer in layers for weight in layer.parameters()]
    for layer in layers:
        initialise(layer, "torch")
    assert all(
        torch.equal(old, new) for old, new in zip(before, (w for m in layers for w in m.parameters()), strict=True)
    )
    initialise(layers[1], "keras")
    assert not any(bias.any() for bias in named(layers[1], "bias"))


def check(network: nn.Module) -> int:
    """The number of recurrent layers, each of which begins as in Keras."""
    count = 0
    for module in network.modules():
        if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
            assert isinstance(module, LAYERS), f"initialise does not know {type(module).__name__}"
            matrices, scale = named(module, "weight_hh"), 1.0
        elif isinstance(module, (RNNCell, LSTMCell)):  # recurrences written here
            matrices, scale = [module.weight.detach()], module.bound if isinstance(module, RNNCell) else 1.0
        else:
            continue
        for matrix in matrices:
            values = torch.linalg.svdvals(matrix)
            torch.testing.assert_close(values, torch.full_like(values, scale))
        count += 1
    return count


@pytest.mark.parametrize("form", test_systems.FORMS)
def test_every_recurrent_layer_of_a_system_begins_as_in_keras(form: str) -> None:
    without = ("wavenet", "wavenet observed", "tft no recurrence", "nhits", "patchtst", "patchtst published")
    assert (check(test_systems.make(form)) == 0) == (form in without)


@pytest.mark.parametrize("form", test_model_contract.FORMS)
def test_every_recurrent_layer_of_a_block_begins_as_in_keras(form: str) -> None:
    recurrent = form.split()[0] in ("lstm", "bilstm", "residual-bilstm", "gru", "stable") or form == "unet"
    assert (check(test_model_contract.make_block(form)) > 0) == recurrent


@pytest.mark.parametrize("kind", ["lstm", "bilstm", "residual-bilstm", "gru"])
def test_a_block_may_keep_torchs_own(kind: str) -> None:
    torch.manual_seed(0)
    part, config = test_model_contract.configure({"kind": kind, "width": 8, "initial": "torch"})
    with pytest.raises(AssertionError):
        check(test_model_contract.build(part, config, 3, 0))
