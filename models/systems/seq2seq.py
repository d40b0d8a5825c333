"""Encoder, decoder, and additive attention between them; also in the shape of GNMT.

    [[model]]
    name = "seq2seq"
    form = "gnmt"

Sources: Sutskever, Vinyals & Le 2014, https://arxiv.org/abs/1409.3215 (encoder, decoder); Bahdanau, Cho & Bengio 2014,
https://arxiv.org/abs/1409.0473 (attention: score v . tanh(W s + U h_j), s the decoder's last state); Wu et al. 2016,
https://arxiv.org/abs/1609.08144 (GNMT: only the encoder's bottom layer is bidirectional, residuals from the third layer
on, the attention's query is the state of the decoder's bottom layer, and its context goes to every layer).

    x (B, T, F) -> encoder LSTMs -> memory (B, T, H)
    step t: state -> attention over the memory -> context (B, H); [x_t, y_{t-1}, context] -> decoder cells -> (B, H)

Default: 2 + 2 layers of 256 (GNMT has 8 + 8 of 1024). Unlike in translation, every step of the input has an output:
x_t is an input of the decoder. By default it is not autoregressive: y_{t-1} is not an input.

Initialisation: LSTMs and decoder cells as in Keras, near Bahdanau's (recurrent matrices orthogonal); GNMT's own is
uniform within 0.04.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from foldline.models.contract import Head, Part, Targets, run_recurrent
from foldline.models.heads import HEADS, build
from foldline.models.ops.initialisation import initialise
from foldline.models.ops.known_target import known_target, predict_step, refuse_whole_series

FIRST_RESIDUAL = 2  # GNMT adds a layer's input to its output from its third layer on


@dataclass(frozen=True, kw_only=True)
class Config:
    """[[model]] with name = "seq2seq"."""

    width: int = 256  # H, of every layer's output
    layers: int = 2  # of the encoder, and of the decoder
    align: int = 64  # width of the attention's hidden layer
    form: Literal["attention", "gnmt"] = "attention"
    autoregressive: bool = False  # y_{t-1} is an input of the decoder: the true one in training, its own otherwise
    head: dict[str, Any] = field(default_factory=lambda: {"kind": "l1"})

    kind: ClassVar[str] = "network"
    parts: ClassVar[dict[str, dict[str, Part]]] = {"head": HEADS}
    shares: ClassVar[tuple[str, ...]] = ("ops/known_target",)

    def __post_init__(self) -> None:
        if self.width < 2 or self.width % 2:
            raise ValueError(f"width must be even, half of it for each direction, but is {self.width}")
        if self.layers < 1 or self.align < 1:
            raise ValueError(f"layers and align must be at least 1, but are {self.layers} and {self.align}")


class Encoder(nn.Module):
    """(B, T, F) -> (B, T, H): bidirectional layers; of GNMT only the first is."""

    def __init__(self, config: Config, features: int) -> None:
        super().__init__()
        gnmt, width = config.form == "gnmt", config.width
        self.first_residual = FIRST_RESIDUAL if gnmt else config.layers
        self.layers = nn.ModuleList()
        for number in range(config.layers):
            both = number == 0 or not gnmt
            inputs, units = features if number == 0 else width, width // 2 if both else width
            self.layers.append(nn.LSTM(inputs, units, batch_first=True, bidirectional=both))
        for layer in self.layers:
            assert isinstance(layer, nn.LSTM)
            initialise(layer, "keras")

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, nn.LSTM)
            out = run_recurrent(layer, x, mask)
            x = out + x if number >= self.first_residual else out
        return x


class Attention(nn.Module):
    """weights_j = softmax_j(v . tanh(W s + U h_j)); context = sum_j weights_j h_j."""

    def __init__(self, width: int, align: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, align), nn.Linear(width, align, bias=False)  # W, U
        self.score = nn.Linear(align, 1, bias=False)  # v

    def forward(self, state: Tensor, keys: Tensor, memory: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """state: (B, H); keys: U h_j, (B, T, align); memory: h_j, (B, T, H) -> context (B, H), weights (B, T)."""
        scores = self.score(torch.tanh(self.query(state).unsqueeze(1) + keys)).squeeze(-1)  # (B, T)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        weights = scores.softmax(dim=1)
        return (weights.unsqueeze(1) @ memory).squeeze(1), weights


class Seq2Seq(nn.Module):
    """The network. `forward` gives the decoder's (B, T, H); `head` turns it into loss and prediction."""

    def __init__(self, config: Config, features: int, levels: tuple[int, ...], targets: Targets) -> None:
        """features: F; levels: unused, statics are among the features; targets: what the head predicts."""
        super().__init__()
        self.config, self.targets, width = config, targets, config.width
        if config.autoregressive:
            refuse_whole_series(targets, "seq2seq with autoregressive = true")
        self.encoder, self.attention = Encoder(config, features), Attention(width, config.align)
        inputs = features + width + (targets.count if config.autoregressive else 0)
        above = 2 * width if config.form == "gnmt" else width
        self.cells = nn.ModuleList(nn.LSTMCell(above if number else inputs, width) for number in range(config.layers))
        for cell in self.cells:
            assert isinstance(cell, nn.LSTMCell)
            initialise(cell, "keras")
        self.initial = nn.Linear(width // 2, width) if config.form == "attention" else None
        self.head: Head = build(config.head, width, targets)

    @property
    def takes_target(self) -> bool:
        """See models/ops/known_target.py."""
        return self.config.autoregressive

    def forward(self, x: Tensor, static: Tensor, mask: Tensor | None, y: Tensor | None = None) -> Tensor:
        """x: (B, T, F); static: not used; mask: (B, T), None: all real; y: (B, T, K) true target -> (B, T, H)."""
        memory = self.encoder(x, mask)
        keys, (value, known) = self.attention.key(memory), known_target(x, self.targets)
        states, previous, outputs = self._initial_states(memory), torch.zeros_like(value[:, 0]), []
        for step in range(x.shape[1]):
            state = states[0 if self.config.form == "gnmt" else -1][0]
            context, _ = self.attention(state, keys, memory, mask)
            fed = [previous] if self.config.autoregressive else []
            hidden, states = self._step(torch.cat([x[:, step], *fed, context], dim=-1), context, states)
            outputs.append(hidden)
            if self.config.autoregressive:
                past = predict_step(self.head, hidden) if y is None else y[:, step]
                previous = torch.where(known[:, step], value[:, step], past)
        return torch.stack(outputs, dim=1)

    def _initial_states(self, memory: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return the cells' initial states: tanh of the encoder's backward state at step 0 (Bahdanau), or zeros."""
        zeros = torch.zeros_like(memory[:, 0])
        first = zeros if self.initial is None else torch.tanh(self.initial(memory[:, 0, self.config.width // 2 :]))
        return [(first, zeros) for _ in self.cells]

    def _step(
        self, below: Tensor, context: Tensor, states: list[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Run one step through all cells: the output of the top one (B, H), and the new states."""
        gnmt, updated = self.config.form == "gnmt", []
        for number, (cell, state) in enumerate(zip(self.cells, states, strict=True)):
            updated.append(cell(torch.cat([below, context], dim=-1) if gnmt and number else below, state))
            hidden = updated[-1][0]
            below = hidden + below if gnmt and number >= FIRST_RESIDUAL else hidden
        return below, updated
