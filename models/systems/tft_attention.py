"""The TFT's attention: heads share one value, so that one matrix of weights shows which step attends to which.

Source: Lim et al. 2021, https://arxiv.org/abs/1912.09363, section 4.4; the fixed matrix is that of its ablation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foldline.models.systems.tft_config import Config


def attention_mask(steps: int, mask: Tensor | None, causal: bool, device: torch.device) -> Tensor | None:
    """Return (1 or B, T or 1, T) bool, True where a step may attend to; None: everywhere.

    Causal attention never reaches the padding from a real step, and every step attends to itself: no row is empty.
    """
    if causal:
        return torch.ones(steps, steps, dtype=torch.bool, device=device).tril().unsqueeze(0)
    return None if mask is None else mask.unsqueeze(1)


class SharedAttention(nn.Module):
    """Interpretable multi-head attention, eq. 14 to 16: the mean of the heads' weights, times one value."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, self.heads, self.causal = config.width, config.heads, config.causal
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width, bias=False)  # softmax cancels a bias
        self.value, self.out = nn.Linear(width, width // config.heads), nn.Linear(width // config.heads, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """x: (B, T, d) -> (B, T, d), weights (B, T, T): rows sum to 1."""
        query, key = (part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key))
        scores = query @ key.transpose(2, 3) / query.shape[3] ** 0.5  # (B, h, T, T)
        allowed = attention_mask(x.shape[1], mask, self.causal, x.device)
        if allowed is not None:
            scores = scores.masked_fill(~allowed.unsqueeze(1), -torch.inf)
        weights = scores.softmax(dim=-1).mean(dim=1)
        return self.out(weights @ self.value(x)), weights


class FixedAttention(nn.Module):
    """Replacement of attention: one learned matrix of weights for all series, of `steps` steps at most."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, self.causal = config.width, config.causal
        self.scores = nn.Parameter(torch.zeros(config.steps, config.steps))
        self.value, self.out = nn.Linear(width, width // config.heads), nn.Linear(width // config.heads, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the same as `SharedAttention`.

        Raises:
            ValueError: more steps than the matrix has.
        """
        steps = x.shape[1]
        if steps > len(self.scores):
            raise ValueError(
                f"A learned attention matrix must have a row for each step, but has {len(self.scores)}, and the series "
                f"{steps} steps. Set steps = {steps} in the model's table, or attention = true."
            )
        scores, allowed = self.scores[:steps, :steps].unsqueeze(0), attention_mask(steps, mask, self.causal, x.device)
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -torch.inf)
        weights = scores.softmax(dim=-1)
        return self.out(weights @ self.value(x)), weights.expand(len(x), -1, -1)
