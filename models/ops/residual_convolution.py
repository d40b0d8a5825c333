"""Parts of residual convolutional networks: a convolution that keeps T, and the shortcut around several of them."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from foldline.models.ops.normalisation import Norm, make_norm


def window(steps: int, causal: bool = False) -> tuple[int, int]:
    """Return (back, ahead) of a window of so many steps; an even one reaches one step further ahead than back."""
    return (steps - 1, 0) if causal else ((steps - 1) // 2, steps // 2)


class Convolution(nn.Module):
    """A convolution without bias that keeps T: (B, in, T) -> (B, out, T)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, causal: bool = False) -> None:
        super().__init__()
        self.padding = window(kernel, causal)
        self.conv = nn.Conv1d(inputs, outputs, kernel, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: zeros at padded steps."""
        out: Tensor = self.conv(functional.pad(x, self.padding))
        return out


class Shortcut(nn.Module):
    """norm(conv_1(x)), what is added behind several convolutions: (B, in, T) -> (B, out, T)."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, always: bool) -> None:
        """always: convolve where the width stays, too."""
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, 1, bias=False) if always or inputs != outputs else nn.Identity()
        self.norm = make_norm(norm, outputs)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """real: (B, 1, T) bool, None: all steps are."""
        out: Tensor = self.norm(self.conv(x), real)
        return out
