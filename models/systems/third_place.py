"""The 3rd-place team's network: convolutions of three lengths beside the input, four bi-LSTMs, difference targets.

    [[model]]
    name = "third_place"

Ventilator Pressure Prediction, 2021, private score 0.0970; written from the team's description: 8 inputs, Conv1d with
kernels of 2, 3 and 4 steps beside them, bi-LSTMs of 1024, 512, 256 and 128 units a direction, and 5 outputs: the
pressure and its differences at lags 1 to 4, which are auxiliary targets of the head. The description leaves open the
convolutions' width (64 here) and activation (ReLU here); initialisation is Keras'.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.contract import Head, Part, Targets, masked, run_recurrent
from foldline.models.heads import HEADS, build
from foldline.models.ops.initialisation import initialise


@dataclass(frozen=True, kw_only=True)
class Config:
    """[[model]] with name = "third_place". Default: the published sizes."""

    width: int = 1024  # units a direction of the first bi-LSTM; each further one has half of the one before
    layers: int = 4
    kernels: tuple[int, ...] = (2, 3, 4)  # steps under each convolution
    channels: int = 64  # of each convolution
    head: dict[str, Any] = field(default_factory=lambda: {"kind": "l1", "aux": {"differences": [1, 2, 3, 4]}})

    kind: ClassVar[str] = "network"
    parts: ClassVar[dict[str, dict[str, Part]]] = {"head": HEADS}

    def __post_init__(self) -> None:
        if self.layers < 1 or self.width < 2 ** (self.layers - 1):
            raise ValueError(
                f"width is halved from layer to layer, so {self.layers} layers (at least 1) need at least "
                f"{2 ** max(0, self.layers - 1)}, but it is {self.width}"
            )
        if self.channels < 1 or any(kernel < 1 for kernel in self.kernels):
            raise ValueError(f"channels and kernels must be at least 1, but are {self.channels}, {list(self.kernels)}")

    @property
    def units(self) -> list[int]:
        """Units of one direction of each bi-LSTM."""
        return [self.width // 2**number for number in range(self.layers)]


class ConvBranch(nn.Module):
    """relu(convolution) of one length, T kept: an even window reaches one step further ahead than back."""

    def __init__(self, features: int, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(features, channels, kernel)
        self.padding = ((kernel - 1) // 2, kernel // 2)  # steps back and ahead

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T, F), zeros at padded steps -> (B, T, channels)."""
        return functional.relu(self.conv(functional.pad(x.transpose(1, 2), self.padding))).transpose(1, 2)


class ThirdPlace(nn.Module):
    """The network. `forward` gives the body's (B, T, H); `head` turns it into loss and prediction."""

    def __init__(self, config: Config, features: int, levels: tuple[int, ...], targets: Targets) -> None:
        """features: F; levels: unused, statics are among the features; targets: what the head predicts."""
        super().__init__()
        self.branches = nn.ModuleList(ConvBranch(features, config.channels, kernel) for kernel in config.kernels)
        inputs = features + config.channels * len(config.kernels)
        self.layers = nn.ModuleList()
        for units in config.units:
            layer = nn.LSTM(inputs, units, batch_first=True, bidirectional=True)
            initialise(layer, "keras")
            self.layers.append(layer)
            inputs = 2 * units
        self.head: Head = build(config.head, inputs, targets)

    def forward(self, x: Tensor, static: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, F); static: not used; mask: (B, T), None: all real -> (B, T, 2 * units of the last layer)."""
        clean = masked(x, mask)
        x = torch.cat([x, *(branch(clean) for branch in self.branches)], dim=-1)
        for layer in self.layers:
            assert isinstance(layer, nn.LSTM)
            x = run_recurrent(layer, x, mask)
        return x
