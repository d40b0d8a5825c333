"""WaveNet as a generator: causal dilated convolutions over the target's own past, inputs inside their gates.

    [[model]]
    name = "wavenet"
    head = {kind = "grid"}

Source: van den Oord et al. 2016, https://arxiv.org/abs/1609.03499 (figure 4; conditioning: section 2.5). A layer of
dilation d maps what stands at two steps: tanh(W [z_{t-d}, z_t] + V h_t) * sigmoid(W' [z_{t-d}, z_t] + V' h_t), h_t the
inputs of step t and the embedded statics; a 1x1 map of that is added to z for the next layer, another one to the sum of
the skips; then ReLU, 1x1, ReLU, and the head's linear map. Generation keeps every layer's past: Paine et al. 2016,
https://arxiv.org/abs/1611.09482, so that a step costs one map a layer, not a whole window.

    [y_{t-1}, h_t] (B, T, ...) -> 1x1 -> layers of dilation 1, 2, 4, ..., `stacks` times over -> skips (B, T, H)

h_t is an input of the first layer, too: through the gates of one stack alone an output would depend on every second
step of the inputs only.

Default: 7 layers of 64, a window of 2^7 = 128 steps (the paper: stacks of 10). `head = {kind = "grid"}` is the paper's
softmax over values. The paper samples each value; here the head's prediction is fed back (grid: the median, which
minimises the absolute error). The block of the same name has no past target: blocks/wavenet.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.contract import Embed, Head, Part, Targets, append_static
from foldline.models.heads import HEADS, build
from foldline.models.ops.known_target import known_target, lagged, predict_step, refuse_whole_series


@dataclass(frozen=True, kw_only=True)
class Config:
    """[[model]] with name = "wavenet"."""

    width: int = 64  # H, of every layer and of the skips
    layers: int = 7  # L of a stack; layer l, from 0, has dilation 2^l
    stacks: int = 1  # times that the dilations begin again at 1
    embed: int = 4  # size of the embedding of each static column; 0: none
    head: dict[str, Any] = field(default_factory=lambda: {"kind": "l1"})

    kind: ClassVar[str] = "network"
    causal: ClassVar[bool] = True  # an output never depends on later inputs
    parts: ClassVar[dict[str, dict[str, Part]]] = {"head": HEADS}
    shares: ClassVar[tuple[str, ...]] = ("ops/known_target",)

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.stacks) < 1 or self.embed < 0:
            raise ValueError(
                "width, layers and stacks must be at least 1 and embed 0, but are "
                f"{self.width}, {self.layers}, {self.stacks} and {self.embed}"
            )

    @property
    def dilations(self) -> list[int]:
        """Dilation of each layer, steps."""
        return [2**layer for layer in range(self.layers)] * self.stacks

    @property
    def window(self) -> int:
        """Receptive field: steps of the past target, and of the inputs up to the output's own: 2^L for one stack."""
        return 1 + sum(self.dilations)


class Layer(nn.Module):
    """A causal convolution of two taps, gated: one linear map of the steps t - d and t."""

    def __init__(self, width: int, dilation: int, inputs: int, last: bool) -> None:
        """inputs: width of h_t; last: whether no layer follows, only the sum of the skips."""
        super().__init__()
        self.dilation = dilation
        self.taps = nn.Linear(2 * width, 2 * width)  # W and W'
        self.condition = nn.Linear(inputs, 2 * width, bias=False)  # V and V'
        self.skip = nn.Linear(width, width)
        self.residual = None if last else nn.Linear(width, width)

    def forward(self, past: Tensor, now: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Map z_{t-d} and z_t, (..., H), and `condition` of h_t, (..., 2 H) to the next layer's z_t and the skip."""
        value, gate = (self.taps(torch.cat([past, now], dim=-1)) + condition).chunk(2, dim=-1)
        hidden = value.tanh() * gate.sigmoid()
        return now if self.residual is None else now + self.residual(hidden), self.skip(hidden)


class AutoregressiveWaveNet(nn.Module):
    """The network. `forward` gives the body's (B, T, H); `head` turns it into loss and prediction."""

    takes_target = True  # see models/ops/known_target.py

    def __init__(self, config: Config, features: int, levels: tuple[int, ...], targets: Targets) -> None:
        """features: F; levels: number of known values of each static column; targets: what the head predicts."""
        super().__init__()
        refuse_whole_series(targets, "wavenet, which reads its own past (the block of that name does not),")
        self.targets, width, dilations = targets, config.width, config.dilations
        self.embed = Embed(levels, config.embed) if config.embed and levels else None
        inputs = features + config.embed * len(levels)
        self.project_in = nn.Linear(targets.count + inputs, width)  # of y_{t-1} and h_t
        self.layers = nn.ModuleList(
            Layer(width, dilation, inputs, last=number == len(dilations))
            for number, dilation in enumerate(dilations, 1)
        )
        self.project_out = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.head: Head = build(config.head, width, targets)

    def forward(self, x: Tensor, static: Tensor, mask: Tensor | None, y: Tensor | None = None) -> Tensor:
        """x: (B, T, F); static: (B, S) codes or (B, S, L) weights; mask: not used, it is causal; y: (B, T, K).

        Returns (B, T, H), of each step given its true past where there is y, else given what was generated before it.
        """
        value, known = known_target(x, self.targets)
        if self.embed is not None:
            x = append_static(x, self.embed(static))
        conditions = [layer.condition(x) for layer in self._layers]  # (B, T, 2 H) each
        if y is None:
            return self._free_running(value, known, x, conditions)
        past = lagged(torch.where(known, value, y))
        return self._teacher_forced(torch.cat([past, x], dim=-1), conditions)

    @property
    def _layers(self) -> list[Layer]:
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    def _teacher_forced(self, x: Tensor, conditions: list[Tensor]) -> Tensor:
        """Compute all steps at once. x: y_{t-1} and h_t, (B, T, ...)."""
        hidden, skips = self.project_in(x), []
        for layer, condition in zip(self._layers, conditions, strict=True):
            past = functional.pad(hidden, (0, 0, layer.dilation, 0))[:, : hidden.shape[1]]
            hidden, skip = layer(past, hidden, condition)
            skips.append(skip)
        out: Tensor = self.project_out(sum(skips))
        return out

    def _free_running(self, value: Tensor, known: Tensor, x: Tensor, conditions: list[Tensor]) -> Tensor:
        """Compute step by step, each fed the known target or the prediction of the step before.

        value, known: of `known_target`; x: h_t, (B, T, ...).
        """
        pasts: list[list[Tensor]] = [[] for _ in conditions]  # z_0, ..., z_t of each layer, (B, H) each
        previous, outputs = torch.zeros_like(value[:, 0]), []
        for step in range(value.shape[1]):
            hidden, skips = self.project_in(torch.cat([previous, x[:, step]], dim=-1)), []
            for layer, condition, past in zip(self._layers, conditions, pasts, strict=True):
                past.append(hidden)
                ago = past[step - layer.dilation] if step >= layer.dilation else torch.zeros_like(hidden)
                hidden, skip = layer(ago, hidden, condition[:, step])
                skips.append(skip)
            outputs.append(self.project_out(sum(skips)))
            previous = torch.where(known[:, step], value[:, step], predict_step(self.head, outputs[-1]))
        return torch.stack(outputs, dim=1)
