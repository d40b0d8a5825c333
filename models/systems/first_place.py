"""The 1st-place team's second network: residual bi-LSTMs, then attention over convolution windows.

    [[model]]
    name = "first_place"

Ventilator Pressure Prediction, 2021, network B; written from the team's description, 9,085,185 parameters on its 37
features. (B, T, F) -> linear -> 3 residual bi-LSTMs -> layer norm -> 3 windowed Transformers (windows of 5, 3, 1 steps)
-> (B, T, H) -> head. R and C are known to it as one-hots among the features. The description leaves open activations
(ReLU here), dropout (none here), initialisation (of the LSTMs: Keras') and where the Transformer's norms stand (after
the sum, as in the paper).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from foldline.models.contract import Head, Part, Targets, masked, recurrent
from foldline.models.heads import HEADS, build
from foldline.models.ops.attention import attention
from foldline.models.ops.initialisation import initialise


@dataclass(frozen=True, kw_only=True)
class Config:
    """[[model]] with name = "first_place". Default: the published sizes."""

    width: int = 256  # H, of every layer's output
    recurrent: int = 3  # residual bi-LSTM blocks
    kernels: tuple[int, ...] = (5, 3, 1)  # steps in a window, one entry for each Transformer block
    heads: int = 16  # of each attention
    head: dict[str, Any] = field(default_factory=lambda: {"kind": "l1"})

    kind: ClassVar[str] = "network"
    parts: ClassVar[dict[str, dict[str, Part]]] = {"head": HEADS}

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width < 1 or self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads, but is {self.width} with {self.heads} heads")
        if self.recurrent < 0:
            raise ValueError(f"recurrent must not be below 0, but is {self.recurrent}")
        if any(kernel < 1 for kernel in self.kernels):
            raise ValueError(f"kernels must be at least 1 each, but are {', '.join(map(str, self.kernels))}")


class ResidualLSTM(nn.Module):
    """x + FFN(bi-LSTM(x)), d -> 2d by the LSTM -> 4d -> d. Padded series are packed, as in `blocks.bilstm`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, batch_first=True, bidirectional=True)
        self.ffn = nn.Sequential(nn.Linear(2 * width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        initialise(self.lstm, "keras")

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        out: Tensor = x + self.ffn(recurrent(self.lstm, x, mask))
        return out


class TransformerLayer(nn.Module):
    """norm(x + attention(x)), then norm(x + FFN(x)), d -> 4d -> d: https://arxiv.org/abs/1706.03762, section 3.1."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project, self.gather = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        self.norm_attention, self.norm_ffn = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """x: (B, T, H); real: (B, T) bool, True at the steps that are attended to, at least one in each series."""
        batch, steps, width = x.shape
        query, key, value = self.project(x).view(batch, steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, h, T, d)
        mixed = attention(query, key, value, real).transpose(1, 2).reshape(batch, steps, width)
        x = self.norm_attention(x + self.gather(mixed))
        out: Tensor = self.norm_ffn(x + self.ffn(x))
        return out


class WindowTransformer(nn.Module):
    """x + norm(back(attention(norm(conv(x))))): attention over the T - k + 1 windows of k steps.

    The convolution is unpadded, one step a window; its transpose turns the windows back into T steps.
    """

    compiles = True  # see models.base.Block

    def __init__(self, config: Config, kernel: int) -> None:
        super().__init__()
        width = config.width
        self.kernel = kernel
        self.windows, self.back = nn.Conv1d(width, width, kernel), nn.ConvTranspose1d(width, width, kernel)
        self.norm_in, self.norm_out = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend = TransformerLayer(width, config.heads)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """A series shorter than a window has none: what comes back to its steps is the transpose's bias."""
        if x.shape[1] < self.kernel:
            short: Tensor = x + self.norm_out(self.back.bias)
            return short
        real = None if mask is None else mask[:, self.kernel - 1 :]  # (B, T-k+1): windows whose last step is real
        hidden = self.norm_in(self.windows(x.transpose(1, 2)).transpose(1, 2))  # (B, T-k+1, H)
        # Attention to nothing is NaN: a series without windows attends to its padding, which is then masked.
        attended = self.attend(hidden, None if real is None else real | ~real.any(dim=1, keepdim=True))
        hidden = masked(attended, real)
        out: Tensor = x + self.norm_out(self.back(hidden.transpose(1, 2)).transpose(1, 2))  # (B, T, H)
        return out


class FirstPlace(nn.Module):
    """The network. `forward` gives the body's (B, T, H); `head` turns it into loss and prediction."""

    def __init__(self, config: Config, features: int, levels: tuple[int, ...], targets: Targets) -> None:
        """features: F; levels: unused, as R and C are among the features; targets: what the head predicts."""
        super().__init__()
        self.enter = nn.Linear(features, config.width)
        self.recurrent = nn.ModuleList(ResidualLSTM(config.width) for _ in range(config.recurrent))
        self.norm = nn.LayerNorm(config.width)
        self.attention = nn.ModuleList(WindowTransformer(config, kernel) for kernel in config.kernels)
        self.head: Head = build(config.head, config.width, targets)

    def forward(self, x: Tensor, static: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, F); static: not looked at; mask: (B, T), True at real steps, None: all are -> (B, T, H)."""
        x = self.enter(x)  # (B, T, H)
        for block in self.recurrent:
            x = block(x, mask)
        x = self.norm(x)
        for block in self.attention:
            x = block(x, mask)
        return x
