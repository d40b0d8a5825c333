"""The 1st-place team's second network: residual bi-LSTMs, then attention over convolution windows.

    [[model]]
    name = "first_place"

Ventilator Pressure Prediction, 2021, network B; written from the team's description, 9,085,185 parameters on its 37
features. (B, T, F) -> linear -> 3 residual bi-LSTMs -> layer norm -> 3 windowed Transformers (windows of 5, 3, 1 steps)
-> (B, T, H) -> head. R and C are one-hots among the features. The description leaves open activations
(ReLU here), dropout (none here), initialisation (of the LSTMs: Keras'), and where the Transformer's norms stand (after
the sum, as in the paper).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from foldline.models.blocks import residual_bilstm
from foldline.models.blocks.residual_bilstm import ResidualBiLSTM
from foldline.models.contract import Head, Part, Targets, masked
from foldline.models.heads import HEADS, build
from foldline.models.ops.attention import SelfAttention


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
    shares: ClassVar[tuple[str, ...]] = ("blocks/residual_bilstm", "ops/covariates", "ops/recurrence", "ops/scan")

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width < 1 or self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads, but is {self.width} with {self.heads} heads")
        if self.recurrent < 0:
            raise ValueError(f"recurrent must not be below 0, but is {self.recurrent}")
        if any(kernel < 1 for kernel in self.kernels):
            raise ValueError(f"kernels must be at least 1 each, but are {', '.join(map(str, self.kernels))}")


class TransformerLayer(nn.Module):
    """norm(x + attention(x)), then norm(x + FFN(x)), d -> 4d -> d: https://arxiv.org/abs/1706.03762, section 3.1."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        self.norm_attention, self.norm_ffn = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, H); mask: (B, T) bool, True at the steps that are attended to, at least one in each series."""
        x = self.norm_attention(x + self.attention(x, mask))
        out: Tensor = self.norm_ffn(x + self.ffn(x))
        return out


class WindowTransformer(nn.Module):
    """x + norm(deconv(attention(norm(conv(x))))): attention over the T - k + 1 windows of k steps.

    The convolution is unpadded, one step a window; its transpose turns the windows back into T steps.
    """

    compiles = True  # see models.contract.Block

    def __init__(self, config: Config, kernel: int) -> None:
        super().__init__()
        width = config.width
        self.kernel = kernel
        self.conv, self.deconv = nn.Conv1d(width, width, kernel), nn.ConvTranspose1d(width, width, kernel)
        self.norm_in, self.norm_out = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = TransformerLayer(width, config.heads)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, H). A series shorter than a window gets the bias of the transposed convolution at each step."""
        if x.shape[1] < self.kernel:
            short: Tensor = x + self.norm_out(self.deconv.bias)
            return short
        real = None if mask is None else mask[:, self.kernel - 1 :]  # (B, T-k+1): windows whose last step is real
        hidden = self.norm_in(self.conv(x.transpose(1, 2)).transpose(1, 2))  # (B, T-k+1, H)
        # Attention to nothing is NaN: a series without windows attends to its padding, which is then masked.
        attended = self.transformer(hidden, None if real is None else real | ~real.any(dim=1, keepdim=True))
        hidden = masked(attended, real)
        out: Tensor = x + self.norm_out(self.deconv(hidden.transpose(1, 2)).transpose(1, 2))  # (B, T, H)
        return out


class FirstPlace(nn.Module):
    """The network. `forward` gives the body's (B, T, H); `head` turns it into loss and prediction."""

    def __init__(self, config: Config, features: int, levels: tuple[int, ...], targets: Targets) -> None:
        """features: F; levels: unused, as R and C are among the features; targets: what the head predicts."""
        super().__init__()
        self.project_in = nn.Linear(features, config.width)
        lstm = residual_bilstm.Config(width=config.width)
        self.recurrent = nn.ModuleList(ResidualBiLSTM(lstm, config.width) for _ in range(config.recurrent))
        self.norm = nn.LayerNorm(config.width)
        self.transformers = nn.ModuleList(WindowTransformer(config, kernel) for kernel in config.kernels)
        self.head: Head = build(config.head, config.width, targets)

    def forward(self, x: Tensor, static: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, F); static: not used; mask: (B, T), True at real steps, None: all are -> (B, T, H)."""
        x = self.project_in(x)  # (B, T, H)
        for block in self.recurrent:
            x = block(x, mask)
        x = self.norm(x)
        for block in self.transformers:
            x = block(x, mask)
        return x
