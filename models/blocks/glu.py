"""Gated convolutional network: residual bottlenecks whose every convolution is half value, half gate; nothing dilated.

Source: Dauphin et al. 2017, https://arxiv.org/abs/1612.08083 (section 2, eq. 1; bottlenecks and table 1; weight norm:
section 4.3). A gated convolution is (X * W + b) times sigmoid(X * V + c). A layer narrows the width by a 1x1 one,
convolves over `kernel_size` steps, widens it again, and adds its input. The window is 1 + layers (kernel_size - 1)
steps; one shorter than `context`, the steps needed, is refused. The paper found 25 to be enough, the window of
layers = 6 with kernel_size = 5.

`causal` is the paper's form, the input shifted so that no later step is in the window; without it, the default, the
window is centred. Default: these layers, as wide as the hybrid, 64, bottlenecks half of that.
(B, T, in) -> (B, T, width).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from foldline.models.contract import Block, BlockConfig


@dataclass(frozen=True, kw_only=True)
class Config(BlockConfig):
    """Table of a `glu` block."""

    kernel_size: int = 5  # k, steps under a layer's window
    layers: int = 6
    context: int = 25  # steps that the window must have at least
    bottleneck: int = 2  # how many times narrower the convolution over time is
    causal: bool = False  # an output depends on its own and earlier steps

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel_size < 1 or (self.kernel_size % 2 == 0 and not self.causal):
            rule = "at least 1" if self.causal else "odd, so that it is centred on its step"
            raise ValueError(
                f"kernel_size must be {rule}, but is {self.kernel_size} with causal = {str(self.causal).lower()}"
            )
        if self.layers < 1 or self.bottleneck < 1:
            raise ValueError(f"layers and bottleneck must be at least 1, but are {self.layers} and {self.bottleneck}")
        if self.field < self.context:
            raise ValueError(
                f"context needs {self.context} steps, but {self.layers} layers of kernel_size {self.kernel_size} "
                f"cover {self.field}: give more layers, a larger kernel_size, or a smaller context"
            )

    @property
    def field(self) -> int:
        """Receptive field, steps, its own among them: 1 + sum over the layers of (k - 1)."""
        return 1 + self.layers * (self.kernel_size - 1)

    @property
    def reach(self) -> tuple[float, float]:
        """Steps (back, ahead) that an output may depend on."""
        return (self.field - 1, 0) if self.causal else (self.field // 2, self.field // 2)


class GatedConvolution(nn.Module):
    """value(x) * sigmoid(gate(x)), both convolutions: (B, in, T) -> (B, out, T)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, causal: bool) -> None:
        super().__init__()
        self.padding = (kernel - 1, 0) if causal else (kernel // 2, kernel // 2)
        self.conv = weight_norm(nn.Conv1d(inputs, 2 * outputs, kernel))

    def forward(self, x: Tensor) -> Tensor:
        return functional.glu(self.conv(functional.pad(x, self.padding)), dim=1)


class Layer(nn.Module):
    """x + widen(convolve(narrow(x)))."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, narrow = config.width, max(1, config.width // config.bottleneck)
        self.narrow = GatedConvolution(width, narrow, 1, config.causal)
        self.convolve = GatedConvolution(narrow, narrow, config.kernel_size, config.causal)
        self.widen = GatedConvolution(narrow, width, 1, config.causal)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """x: (B, width, T); real: (B, 1, T), None: all steps are; windows contain zeros at the others."""
        hidden = self.narrow(x)
        out: Tensor = x + self.widen(self.convolve(hidden if real is None else hidden * real))
        return out


class GLU(Block):
    """All layers, behind a 1x1 convolution."""

    compiles = True

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        self.project_in = nn.Conv1d(inputs, config.width, 1)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        hidden, real = self.project_in(x.transpose(1, 2)), None if mask is None else mask.unsqueeze(1)
        for layer in self.layers:
            hidden = layer(hidden, real)
        out: Tensor = hidden.transpose(1, 2)  # (B, T, width)
        return out
