"""The convolution module of Conformer and Squeezeformer: 1x1, depthwise over time, norm, Swish, 1x1.

Sources: Gulati et al. 2020, https://arxiv.org/abs/2005.08100 (section 2.2): the wide half is a gate (GLU), so that
the depthwise convolution is as wide as the block; Kim et al. 2022, https://arxiv.org/abs/2206.00888 (section 3.2):
Swish, no gate, and it is twice as wide. (B, T, width) -> (B, T, width).

Both have batch normalisation behind the depthwise convolution, `norm = "batch"`. The default "layer" normalises each
step over its channels instead: statistics of a batch are wrong where it is cut into parts or weights are averaged, and
make a series depend on the others that it is trained with (ops/normalisation.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional

from foldline.models.ops.normalisation import Norm, make_norm
from foldline.models.ops.relative_attention import RelativeConfig


@dataclass(frozen=True, kw_only=True)
class ConvolutionConfig(RelativeConfig):
    """Fields of every block with this module beside relative attention."""

    kernel: int = 15  # steps under the window of the convolution; odd unless it is causal
    norm: Norm = "layer"  # of the convolution; "batch": the published one, over the real steps of a batch

    shares: ClassVar[tuple[str, ...]] = ("ops/convolution_module", "ops/normalisation", "ops/relative_attention")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel < 1 or (self.kernel % 2 == 0 and not self.causal):
            rule = "at least 1" if self.causal else "odd, so that it is centred on its step"
            raise ValueError(f"kernel must be {rule}, but is {self.kernel} with causal = {str(self.causal).lower()}")
        if self.norm not in ("layer", "batch"):
            raise ValueError(f'norm must be "layer" or "batch", but is {self.norm!r}')


class ConvolutionModule(nn.Module):
    """What is added to the block's input; the norm or scale in front is the block's."""

    def __init__(self, config: ConvolutionConfig, activation: Literal["glu", "swish"]) -> None:
        super().__init__()
        width, kernel = config.width, config.kernel
        inside = width if activation == "glu" else 2 * width
        self.activation = functional.glu if activation == "glu" else functional.silu
        self.padding = (kernel - 1, 0) if config.causal else (kernel // 2, kernel // 2)
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(inside, width)
        # A bias that is the same at all steps is what the mean of a batch takes away.
        self.depthwise = nn.Conv1d(inside, inside, kernel, groups=inside, bias=config.norm == "layer")
        self.norm = make_norm(config.norm, inside)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """mask: (B, T) bool, None: all steps are real; a window holds zeros at the others."""
        hidden, real = self.activation(self.widen(x)).transpose(1, 2), None if mask is None else mask.unsqueeze(1)
        hidden = hidden if real is None else hidden * real  # (B, inside, T)
        hidden = self.norm(self.depthwise(functional.pad(hidden, self.padding)), real)
        out: Tensor = self.narrow(functional.silu(hidden).transpose(1, 2))
        return out
