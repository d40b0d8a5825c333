"""PatchTST: each channel alone, cut into overlapping patches that are the words of one Transformer for all channels.

    [[model]]
    name = "patchtst"

Source: Nie et al. 2023, https://arxiv.org/abs/2211.14730 (section 3.1, figure 1; sizes and norm: appendix A.1.4). A
channel of L steps gets S more of its last value and is cut into floor((L - P) / S) + 2 patches of P steps, S apart; a
shorter one than P is a patch. A linear map and a code of the patch's number make words of them; layers of attention and
feed-forward net follow, each added to its input and normed. All weights are the channels' in common, and nothing passes
from one to another before the head.

    x (B, T, F) -> patches (B, F, N, P) -> words (B F, N, d) -> layers -> steps (B, T, F, c) -> (B, T, F c) -> head

Default: P = 16, S = 8, d = 128, 16 heads, 3 layers, feed-forward nets of 256, dropout 0.2, as in the paper. `norm =
"batch"` is its norm; "layer" has no state (ops/normalisation.py). What differs, because a target here is none of the
channels and has an answer at each step: a word gives each of its P steps c numbers, and a step has the mean of those of
its patches, where the paper flattens all words into a forecast. `instance = true` scales each channel by its own mean
and deviation, which the head gets beside (the paper undoes it in the forecast). The code is the sinusoids of
attention's paper: a learned one has a fixed number of patches.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.blocks.transformer import step_encoding
from foldline.models.contract import Embed, Head, Part, Targets, append_static
from foldline.models.heads import HEADS, build
from foldline.models.ops.attention import SelfAttention
from foldline.models.ops.normalisation import Norm, check_norm, make_norm

SMALLEST_VARIANCE = 1e-5  # of a channel in a series; what is constant stays 0


@dataclass(frozen=True, kw_only=True)
class Config:
    """[[model]] with name = "patchtst". Default: the published sizes."""

    width: int = 128  # d, of a word
    patch: int = 16  # P, steps
    stride: int = 8  # S, steps from a patch to the next
    layers: int = 3
    heads: int = 16
    ffn: int = 2  # width of the feed-forward nets, in widths of a word
    dropout: float = 0.2
    norm: Norm = "layer"  # "batch": the published one, over the real patches of a batch
    instance: bool = False  # scale each channel of a series by its own mean and deviation
    per_channel: int = 16  # c, numbers of a channel that the head gets at each step
    embed: int = 0  # size of a learned embedding of each static column, for the head; 0: none
    head: dict[str, Any] = field(default_factory=lambda: {"kind": "l1"})

    kind: ClassVar[str] = "network"
    parts: ClassVar[dict[str, dict[str, Part]]] = {"head": HEADS}
    shares: ClassVar[tuple[str, ...]] = ("blocks/transformer", "ops/covariates", "ops/normalisation")

    def __post_init__(self) -> None:
        for name in ("width", "patch", "layers", "heads", "ffn", "per_channel"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads, but is {self.width} with {self.heads} heads")
        if not 1 <= self.stride <= self.patch:
            raise ValueError(
                f"stride must be from 1 to patch, so that every step is in a patch, but is {self.stride} with "
                f"patch = {self.patch}"
            )
        if self.embed < 0:
            raise ValueError(f"embed must not be below 0, but is {self.embed}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), but is {self.dropout}")
        check_norm(self.norm)


class Patches(nn.Module):
    """Channels cut into patches: (B, T, F) -> (B, F, N, P), and which of them are real, (B, N)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.size, self.stride = config.patch, config.stride

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """mask: (B, T) bool; behind a series' end its last value stands in for all that its patches reach."""
        lengths = mask.sum(dim=1)  # (B,)
        number = torch.arange(self.count(x.shape[1]), device=x.device)
        real = (number == 0) | ((number - 1) * self.stride + self.size <= lengths.unsqueeze(1))  # (B, N)
        last = torch.arange(x.shape[1], device=x.device) == lengths.unsqueeze(1) - 1  # (B, T)
        final = x.masked_fill(~last.unsqueeze(2), 0).sum(dim=1, keepdim=True)  # (B, 1, F)
        held = torch.where(mask.unsqueeze(2), x, final)
        more = (len(number) - 1) * self.stride + self.size - x.shape[1]
        held = torch.cat([held, final.expand(-1, more, -1)], dim=1)
        return held.unfold(1, self.size, self.stride).transpose(1, 2), real

    def count(self, steps: int) -> int:
        """Return N of a series of so many steps."""
        return 1 if steps < self.size else (steps - self.size) // self.stride + 2


class EncoderLayer(nn.Module):
    """norm(x + attention(x)), then norm(x + ffn(x)): (n, N, d) -> (n, N, d)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, wide = config.width, config.ffn * config.width
        self.attention, self.dropout = SelfAttention(width, config.heads), nn.Dropout(config.dropout)
        self.ffn = nn.Sequential(nn.Linear(width, wide), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(wide, width))
        self.norm_attention, self.norm_ffn = make_norm(config.norm, width), make_norm(config.norm, width)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """real: (n, N) bool."""
        x = self._normed(self.norm_attention, x + self.dropout(self.attention(x, real)), real)
        return self._normed(self.norm_ffn, x + self.dropout(self.ffn(x)), real)

    @staticmethod
    def _normed(norm: nn.Module, x: Tensor, real: Tensor) -> Tensor:
        out: Tensor = norm(x.transpose(1, 2), real.unsqueeze(1)).transpose(1, 2)
        return out


class ToSteps(nn.Module):
    """The mean of what a step's patches say of it: (n, N, d) -> (n, steps up to the last patch's end, c)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.size, self.stride = config.patch, config.stride
        # A linear map d -> P c of each word, and the sum where patches overlap.
        self.spread = nn.ConvTranspose1d(config.width, config.per_channel, self.size, self.stride, bias=False)
        self.bias = nn.Parameter(torch.zeros(config.per_channel))

    def forward(self, words: Tensor, real: Tensor) -> Tensor:
        """real: (n, N) bool; others say nothing."""
        total = self.spread(words.masked_fill(~real.unsqueeze(2), 0).transpose(1, 2))  # (n, c, steps)
        ones = torch.ones(1, 1, self.size, dtype=total.dtype, device=total.device)
        patches = functional.conv_transpose1d(real.unsqueeze(1).to(total.dtype), ones, stride=self.stride)
        mean: Tensor = total / patches.clamp(min=1)
        return mean.transpose(1, 2) + self.bias


class PatchTST(nn.Module):
    """The network. `forward` gives the body's (B, T, H); `head` turns it into loss and prediction."""

    def __init__(self, config: Config, features: int, levels: tuple[int, ...], targets: Targets) -> None:
        """features: F; levels: number of known values of each static column."""
        super().__init__()
        self.instance = config.instance
        self.patches, self.to_word = Patches(config), nn.Linear(config.patch, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.to_steps = ToSteps(config)
        self.embed = Embed(levels, config.embed) if config.embed and levels else None
        beside = 2 * features * config.instance + config.embed * len(levels)
        self.head: Head = build(config.head, features * config.per_channel + beside, targets)

    def forward(self, x: Tensor, static: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, F); static: (B, S) codes or (B, S, L) weights; mask: (B, T), None: all real -> (B, T, H)."""
        steps = x.shape[1]
        if mask is None:
            mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        scaled, level = instance_scaled(x, mask) if self.instance else (x, None)
        out = self._of_channels(scaled, mask)[:, :steps]
        for constant in (level, None if self.embed is None else self.embed(static)):
            out = out if constant is None else append_static(out, constant)
        return out

    def _of_channels(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return what the channels say, each for itself, of steps up to the last patch's end: (B, steps, F c)."""
        patches, real = self.patches(x, mask)  # (B, F, N, P), (B, N)
        series, channels, count, _ = patches.shape
        words = self.to_word(patches).flatten(0, 1)  # (B F, N, d): a channel is a series of its own
        real = real.unsqueeze(1).expand(-1, channels, -1).flatten(0, 1)
        words = self.dropout(words + step_encoding(count, words.shape[2], words.device).to(words.dtype))
        for layer in self.layers:
            words = layer(words, real)
        said: Tensor = self.to_steps(words, real).view(series, channels, -1, self.to_steps.bias.shape[0])
        return said.transpose(1, 2).flatten(2)


def instance_scaled(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Scale each channel of a series by its real steps; return that, (B, T, F), and mean and deviation, (B, 2 F)."""
    real = mask.unsqueeze(2)
    count = real.sum(dim=1, keepdim=True)
    mean = x.masked_fill(~real, 0).sum(dim=1, keepdim=True) / count
    centred = (x - mean).masked_fill(~real, 0)
    deviation = (centred.square().sum(dim=1, keepdim=True) / count + SMALLEST_VARIANCE).sqrt()
    return centred / deviation, torch.cat([mean, deviation], dim=2).squeeze(1)
