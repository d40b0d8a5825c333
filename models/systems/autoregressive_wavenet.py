"""WaveNet as a generator: causal dilated convolutions over the target's own past, told the inputs inside their gates.

    [[model]]
    name = "wavenet"
    head = {kind = "grid"}

Source: van den Oord et al. 2016, https://arxiv.org/abs/1609.03499 (figure 4; conditioning: section 2.5). A layer of
dilation d maps what stands at two steps: tanh(W [z_{t-d}, z_t] + V h_t) * sigmoid(W' [z_{t-d}, z_t] + V' h_t), h_t the
inputs of step t and the embedded statics; a 1x1 map of that is added to z for the next layer, another one to the sum of
the skips; then ReLU, 1x1, ReLU, and the head's linear map. Generation keeps every layer's past: Paine et al. 2016,
https://arxiv.org/abs/1611.09482, so that a step costs a map a layer and not a whole window.

    [y_{t-1}, h_t] (B, T, ...) -> 1x1 -> layers of dilation 1, 2, 4, ..., `stacks` times over -> skips (B, T, H)

h_t enters below, too: through the gates of one stack alone an output would see only every second step of the inputs.

Default: 7 layers of 64, a window of 2^7 = 128 steps (the paper: stacks of 10). `head = {kind = "grid"}` is the paper's
softmax over values. The paper draws each value; here the head's prediction is eaten (grid: the median), as an absolute
error asks for. A block of the same name is the form that eats no target: blocks/wavenet.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.contract import Embed, Head, Part, Targets
from foldline.models.heads import HEADS, build
from foldline.models.ops.known_target import before, known, predicted


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
        """Of each layer, steps."""
        return [2**layer for layer in range(self.layers)] * self.stacks

    @property
    def window(self) -> int:
        """Steps of the past target that an output sees, and of the inputs, up to its own: 2^L for one stack."""
        return 1 + sum(self.dilations)


class Layer(nn.Module):
    """A causal convolution of two taps, gated: one linear map of the steps t - d and t."""

    def __init__(self, width: int, dilation: int, told: int, last: bool) -> None:
        """told: width of h_t; last: nothing comes after it but the skips."""
        super().__init__()
        self.dilation = dilation
        self.taps = nn.Linear(2 * width, 2 * width)  # W and W'
        self.condition = nn.Linear(told, 2 * width, bias=False)  # V and V'
        self.skip = nn.Linear(width, width)
        self.residual = None if last else nn.Linear(width, width)

    def forward(self, past: Tensor, now: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """z_{t-d} and z_t, (..., H) each, and `condition` of h_t, (..., 2 H) -> the next layer's z_t, the skip."""
        value, gate = (self.taps(torch.cat([past, now], dim=-1)) + condition).chunk(2, dim=-1)
        hidden = value.tanh() * gate.sigmoid()
        return now if self.residual is None else now + self.residual(hidden), self.skip(hidden)


class WaveNet(nn.Module):
    """The network. `forward` gives the body's (B, T, H); `head` turns it into loss and prediction."""

    takes_target = True  # see models.observed

    def __init__(self, config: Config, features: int, levels: tuple[int, ...], targets: Targets) -> None:
        """features: F; levels: number of known values of each static column; targets: what the head predicts."""
        super().__init__()
        self.targets, width, dilations = targets, config.width, config.dilations
        self.embed = Embed(levels, config.embed) if config.embed and levels else None
        told = features + config.embed * len(levels)
        self.enter = nn.Linear(targets.count + told, width)  # of y_{t-1} and h_t
        self.layers = nn.ModuleList(
            Layer(width, dilation, told, last=number == len(dilations)) for number, dilation in enumerate(dilations, 1)
        )
        self.leave = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.head: Head = build(config.head, width, targets)

    def forward(self, x: Tensor, static: Tensor, mask: Tensor | None, y: Tensor | None = None) -> Tensor:
        """x: (B, T, F); static: (B, S) codes or (B, S, L) weights; mask: not needed, nothing looks ahead; y: (B, T, K).

        Returns (B, T, H), of each step given its true past where there is y, else given what was generated before it.
        """
        value, there = known(x, self.targets)
        if self.embed is not None:
            x = torch.cat([x, self.embed(static).unsqueeze(1).expand(-1, x.shape[1], -1)], dim=-1)
        conditions = [layer.condition(x) for layer in self._layers]  # (B, T, 2 H) each
        if y is None:
            return self._generated(value, there, x, conditions)
        past = before(torch.where(there, value, y))
        return self._forced(torch.cat([past, x], dim=-1), conditions)

    @property
    def _layers(self) -> list[Layer]:
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    def _forced(self, eaten: Tensor, conditions: list[Tensor]) -> Tensor:
        """All steps at once. eaten: y_{t-1} and h_t, (B, T, ...)."""
        hidden, skips = self.enter(eaten), []
        for layer, condition in zip(self._layers, conditions, strict=True):
            past = functional.pad(hidden, (0, 0, layer.dilation, 0))[:, : hidden.shape[1]]
            hidden, skip = layer(past, hidden, condition)
            skips.append(skip)
        out: Tensor = self.leave(sum(skips))
        return out

    def _generated(self, value: Tensor, there: Tensor, told: Tensor, conditions: list[Tensor]) -> Tensor:
        """Step by step, each eating the known target or what the head said before.

        value, there: see `known`; told: h_t, (B, T, ...).
        """
        pasts: list[list[Tensor]] = [[] for _ in conditions]  # z_0, ..., z_t of each layer, (B, H) each
        last, found = torch.zeros_like(value[:, 0]), []
        for step in range(value.shape[1]):
            hidden, skips = self.enter(torch.cat([last, told[:, step]], dim=-1)), []
            for layer, condition, past in zip(self._layers, conditions, pasts, strict=True):
                past.append(hidden)
                ago = past[step - layer.dilation] if step >= layer.dilation else torch.zeros_like(hidden)
                hidden, skip = layer(ago, hidden, condition[:, step])
                skips.append(skip)
            found.append(self.leave(sum(skips)))
            last = torch.where(there[:, step], value[:, step], predicted(self.head, found[-1]))
        return torch.stack(found, dim=1)
