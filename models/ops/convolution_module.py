"""The convolution module of Conformer and Squeezeformer: 1x1, depthwise over time, norm, Swish, 1x1.

Sources: Gulati et al. 2020, https://arxiv.org/abs/2005.08100 (section 2.2): the wide half is a gate (GLU), so that
the depthwise convolution is as wide as the block; Kim et al. 2022, https://arxiv.org/abs/2206.00888 (section 3.2):
Swish, no gate, and it is twice as wide. (B, T, width) -> (B, T, width).

Both have batch normalisation behind the depthwise convolution. Here it is a layer norm over the channels of each step:
statistics of a batch would count padding, would differ between the parts that a batch is cut into (train.micro, blocks
of one length, train.processes), whose gradients must add up to those of the whole, and would make a step depend on
later ones.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from foldline.models.contract import masked


class ConvolutionModule(nn.Module):
    """What is added to the block's input; the norm or scale in front is the block's."""

    def __init__(self, width: int, kernel: int, causal: bool, activation: Literal["glu", "swish"]) -> None:
        """kernel: steps under the window, odd unless it is causal."""
        super().__init__()
        inside = width if activation == "glu" else 2 * width
        self.activation = functional.glu if activation == "glu" else functional.silu
        self.padding = (kernel - 1, 0) if causal else (kernel // 2, kernel // 2)
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(inside, width)
        self.depthwise = nn.Conv1d(inside, inside, kernel, groups=inside)
        self.norm = nn.LayerNorm(inside)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """mask: (B, T) bool, None: all steps are real; a window holds zeros at the others."""
        hidden = masked(self.activation(self.widen(x)), mask).transpose(1, 2)  # (B, inside, T)
        hidden = self.depthwise(functional.pad(hidden, self.padding)).transpose(1, 2)
        out: Tensor = self.narrow(functional.silu(self.norm(hidden)))
        return out


def check_kernel(kernel: int, causal: bool) -> None:
    """Raise ValueError where a window is not centred on its step, nor ends there."""
    if kernel < 1 or (kernel % 2 == 0 and not causal):
        rule = "at least 1" if causal else "odd, so that it is centred on its step"
        raise ValueError(f"kernel must be {rule}, but is {kernel} with causal = {str(causal).lower()}")
