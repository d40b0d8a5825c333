"""WaveNet: dilated convolutions behind a gate, the dilation doubling, the outputs of all layers summed.

Source: van den Oord et al. 2016, https://arxiv.org/abs/1609.03499 (figure 4, eq. 2 and 3). Layer l, dilation 2^l:
tanh(W x + V e) * sigmoid(W' x + V' e), e the embedded static columns (`static = "gate"`); a 1x1 convolution of that is
added to x for the next layer, another one to the sum of the skips; at the end ReLU, 1x1, ReLU, 1x1.

`causal` with kernel = 2 is the paper's form: a window of 2^layers steps, 128 for layers = 7. Without it the window is
centred, 1 + (kernel - 1) (2^layers - 1) steps: 127 for the kernel = 3, layers = 6 shipped here, which reach from each
end of a breath of 80 nearly to the other. (B, T, in) -> (B, T, width).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from foldline.models.contract import BlockConfig
from foldline.models.ops.covariates import NO_COVARIATES, CovariateBlock, Covariates


@dataclass(frozen=True, kw_only=True)
class Config(BlockConfig):
    """Table of a `wavenet` block."""

    kernel: int = 3  # taps of each convolution
    layers: int = 6  # layer l, from 0, has dilation 2^l
    causal: bool = False  # an output depends on its own and earlier steps
    static: Literal["none", "gate"] = "none"  # how static columns enter

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel < 2 or (self.kernel % 2 == 0 and not self.causal):
            rule = "at least 2" if self.causal else "odd and at least 3, so that it is centred on its step"
            raise ValueError(f"kernel must be {rule}, but is {self.kernel} with causal = {str(self.causal).lower()}")
        if self.layers < 1:
            raise ValueError(f"layers must be at least 1, but is {self.layers}")

    @property
    def reach(self) -> tuple[float, float]:
        """Steps (back, ahead) that an output may depend on."""
        others = (self.kernel - 1) * (2**self.layers - 1)
        return (others, 0) if self.causal else (others // 2, others // 2)


class Layer(nn.Module):
    """(B, width, T) -> the next layer's input and the skip output, (B, width, T) each; the last layer has no next."""

    def __init__(self, config: Config, number: int, static_width: int) -> None:
        super().__init__()
        width, dilation = config.width, 2**number
        reach = (config.kernel - 1) * dilation  # steps that the convolution would remove
        self.padding = (reach, 0) if config.causal else (reach // 2, reach // 2)
        self.gates = nn.Conv1d(width, 2 * width, config.kernel, dilation=dilation)
        self.condition = nn.Linear(static_width, 2 * width, bias=False) if config.static == "gate" else None
        self.skip = nn.Conv1d(width, width, 1)
        self.residual = nn.Conv1d(width, width, 1) if number < config.layers - 1 else None

    def forward(self, x: Tensor, real: Tensor | None, covariates: Covariates) -> tuple[Tensor, Tensor]:
        """real: (B, 1, T) bool, None: all steps are; windows contain zeros at the others."""
        gates = self.gates(functional.pad(x if real is None else x * real, self.padding))  # (B, 2 width, T)
        if self.condition is not None:
            gates = gates + self.condition(covariates.statics).unsqueeze(2)
        value, gate = gates.chunk(2, dim=1)
        hidden = value.tanh() * gate.sigmoid()
        return x if self.residual is None else x + self.residual(hidden), self.skip(hidden)


class WaveNet(CovariateBlock):
    """All layers, and the net on the sum of their skips."""

    compiles = True

    def __init__(self, config: Config, inputs: int, static_width: int = 0) -> None:
        super().__init__()
        if config.static == "gate" and not static_width:
            raise ValueError("static = 'gate' needs embedded static columns, but there are none.")
        width = config.width
        self.project_in = nn.Conv1d(inputs, width, 1)
        self.layers = nn.ModuleList(Layer(config, number, static_width) for number in range(config.layers))
        self.project_out = nn.Sequential(nn.ReLU(), nn.Conv1d(width, width, 1), nn.ReLU(), nn.Conv1d(width, width, 1))

    def forward(self, x: Tensor, mask: Tensor | None, covariates: Covariates = NO_COVARIATES) -> Tensor:
        hidden, real = self.project_in(x.transpose(1, 2)), None if mask is None else mask.unsqueeze(1)
        skips = []
        for layer in self.layers:
            hidden, skip = layer(hidden, real, covariates)
            skips.append(skip)
        out: Tensor = self.project_out(sum(skips)).transpose(1, 2)  # (B, T, width)
        return out
