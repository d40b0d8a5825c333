"""seq2seq: attention by hand, free running against teacher forcing, and where GNMT differs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from starts import series
from torch import Tensor, nn

from foldline.models.contract import Targets
from foldline.models.systems.seq2seq import Attention, Config, Encoder, Seq2Seq

STATIC = torch.zeros(4, 0, dtype=torch.long)
STEPS, FEATURES = 7, 3


def make(observed: int = 0, **changes: Any) -> Seq2Seq:
    torch.manual_seed(0)
    extra = 2 if observed else 0
    config = Config(**{"width": 8, "align": 4, **changes})
    return Seq2Seq(config, FEATURES + extra, (), Targets(count=1, observed=observed)).eval()


def batch(observed: int = 0) -> Tensor:
    return series(STEPS, FEATURES, observed)


@torch.no_grad()
def test_attention_is_bahdanaus_and_its_rows_sum_to_one() -> None:
    torch.manual_seed(0)
    attention, state, memory = Attention(6, 5), torch.randn(2, 6), torch.randn(2, 4, 6)
    mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
    context, weights = attention(state, attention.key(memory), memory, mask)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))
    assert not weights[1, 2:].any()
    w, b, u, v = attention.query.weight, attention.query.bias, attention.key.weight, attention.score.weight[0]
    scores = torch.stack([v @ torch.tanh(w @ state[0] + b + u @ memory[0, j]) for j in range(4)])
    torch.testing.assert_close(weights[0], scores.softmax(dim=0))
    torch.testing.assert_close(context[0], sum(weights[0, j] * memory[0, j] for j in range(4)))


@torch.no_grad()
@pytest.mark.parametrize("form", ["attention", "gnmt"])
def test_the_decoder_is_the_papers_step_by_step(form: str) -> None:
    """The query of the attention, the layers that get its context, the first layer with a residual."""
    network, x, gnmt = make(form=form, layers=3), batch(), form == "gnmt"
    for part in (network.attention.query, network.attention.key, network.attention.score):
        part.weight.mul_(10.0)  # so that it makes a difference whose state is the query
    memory = network.encoder(x, None)
    keys, zeros, out = network.attention.key(memory), torch.zeros(4, 8), network(x, STATIC, None)
    h = [zeros if network.initial is None else torch.tanh(network.initial(memory[:, 0, 4:]))] * 3
    c = [zeros] * 3
    for step in range(STEPS):
        context, _ = network.attention(h[0] if gnmt else h[2], keys, memory, None)  # the state of the step before
        h[0], c[0] = network.cells[0](torch.cat([x[:, step], context], dim=1), (h[0], c[0]))
        above = h[0]
        for layer in (1, 2):
            inputs = torch.cat([above, context], dim=1) if gnmt else above
            h[layer], c[layer] = network.cells[layer](inputs, (h[layer], c[layer]))
            above = h[layer] + above if gnmt and layer == 2 else h[layer]
        torch.testing.assert_close(out[:, step], above)


@torch.no_grad()
@pytest.mark.parametrize("form", ["attention", "gnmt"])
@pytest.mark.parametrize("observed", [0, 3])
def test_free_running_is_teacher_forced_by_its_own_outputs(form: str, observed: int) -> None:
    network, x = make(observed, form=form, autoregressive=True, layers=3), batch(observed)
    free = network(x, STATIC, None)
    own = network.head.predict(network.head(free), torch.ones(4, STEPS, dtype=torch.bool))
    torch.testing.assert_close(network(x, STATIC, None, own), free)
    assert not torch.allclose(network(x, STATIC, None, own + 1), free)


@torch.no_grad()
def test_at_known_steps_the_true_target_is_fed_whatever_the_trainer_gives() -> None:
    network, x = make(3, autoregressive=True), batch(3)
    y = torch.randn(4, STEPS, 1)
    wrong = torch.cat([torch.full((4, 3, 1), 99.0), y[:, 3:]], dim=1)
    torch.testing.assert_close(network(x, STATIC, None, y), network(x, STATIC, None, wrong))


@torch.no_grad()
def test_the_last_true_value_is_never_fed_and_the_one_before_is() -> None:
    network, x, y = make(autoregressive=True), batch(), torch.randn(4, STEPS, 1)
    forced = network(x, STATIC, None, y)
    for step in (STEPS - 1, STEPS - 2):
        changed = y.clone()
        changed[:, step] += 1
        other = network(x, STATIC, None, changed)
        torch.testing.assert_close(other[:, : step + 1], forced[:, : step + 1])
        assert torch.equal(other, forced) if step == STEPS - 1 else not torch.allclose(other[:, -1], forced[:, -1])


def test_gnmt_has_one_bidirectional_layer_and_its_residual_starts_at_the_third() -> None:
    encoder = Encoder(Config(width=8, layers=4, form="gnmt"), FEATURES)
    assert [layer.bidirectional for layer in encoder.layers] == [True, False, False, False]
    two, four = Encoder(Config(width=8, layers=2, form="gnmt"), FEATURES), encoder
    for mine, others in zip(four.layers, two.layers, strict=False):
        mine.load_state_dict(others.state_dict())
    for layer in four.layers[2:]:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)  # an LSTM without weights outputs 0: what is left is the residual
    x = torch.randn(2, 5, FEATURES)
    torch.testing.assert_close(four(x, None), two(x, None))


def test_only_the_autoregressive_form_takes_the_target() -> None:
    assert make(autoregressive=True).takes_target and not make().takes_target


@pytest.mark.parametrize(
    ("table", "message"),
    [({"width": 7}, "width must be even"), ({"layers": 0}, "layers and align must be at least 1, but are 0 and 64")],
)
def test_impossible_sizes_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**table)
