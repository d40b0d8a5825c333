"""Multi-head self-attention that sees how far apart two steps are, and never where they stand.

Each score of query i and key j gets a bias that depends on j - i, in one of three forms:

    sinusoid  (q_i + v) . W r_(j-i) / sqrt(d), r the sinusoidal code of the distance, and a second learned vector, u,
              beside the query of the content: Dai et al. 2019, https://arxiv.org/abs/1901.02860 (section 3.3)
    bucket    a learned number a head and bucket of distances: one each for near steps, wider ones beyond, the last for
              all farther than `distance`: Raffel et al. 2020, https://arxiv.org/abs/1910.10683 (section 2.1)
    slope     -m |j - i|, a slope a head: Press et al. 2022, https://arxiv.org/abs/2108.12409 (section 3). Theirs are
              fixed and look back; here they are learned from there on, each direction of a head its own

Matrices of pairs (ops/pairs.py), `pairs`, are added to the scores, too, each head with a weight of its own for each:
what is known of two steps, as that two bases of an RNA pair, beside how far apart they are. The heads' weights start
evenly from 8 to 0: for an entry of 1 the first head begins with e^8 = 3,000 times the attention, so that it sees a
partner among hundreds of steps from the first step of training on, and the last one begins without pairs.

A shift of all steps changes nothing, any length is possible, and so is one that training had none of. `causal`: a step
attends to itself and earlier ones. Scores take memory, B heads T^2, as no fused kernel has learned biases.
(B, T, width) -> (B, T, width).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.contract import BlockConfig

MOST_OF_PAIRS = 8.0  # what the first head's weight of a pair starts from; the last one's is 0
Form = Literal["sinusoid", "bucket", "slope"]


@dataclass(frozen=True, kw_only=True)
class RelativeConfig(BlockConfig):
    """Fields of every block with relative attention, feed-forward nets beside it, and residuals of its own."""

    skip: bool = False  # the hybrid's; the block has its own
    heads: int = 4
    ffn: int = 4  # width of the feed-forward nets, in widths of the block
    dropout: float = 0.0  # of what each module adds
    bias: Form = "sinusoid"  # what the bias of a distance is made of
    buckets: int = 32  # bias = "bucket": buckets of distances, of both directions together
    distance: int = 128  # bias = "bucket": steps from which on all distances are one bucket
    causal: bool = False  # an output depends on its own and earlier steps
    pairs: tuple[
        str, ...
    ] = ()  # matrices whose entries are added to the scores: features partner(NAME.1), pair(NAME.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "pairs", tuple(self.pairs))  # a block's table comes as it was read
        if len(set(self.pairs)) < len(self.pairs) or not all(isinstance(name, str) and name for name in self.pairs):
            raise ValueError(f"pairs must be different names of matrices, but is {list(self.pairs)}")
        if self.ffn < 1:
            raise ValueError(f"ffn must be at least 1, but is {self.ffn}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), but is {self.dropout}")
        if self.heads < 1 or self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads, but is {self.width} with {self.heads} heads")
        if self.buckets < 4 or self.buckets % 4:
            raise ValueError(f"buckets must be a multiple of 4, so that each direction halves, but is {self.buckets}")
        if self.distance <= self.exact:
            raise ValueError(
                f"distance must be above {self.exact}, the steps that have a bucket each, but is {self.distance} with "
                f"{self.buckets} buckets"
            )

    @property
    def exact(self) -> int:
        """Distances of a direction, 0 among them, that have a bucket each."""
        return self.buckets // (2 if self.causal else 4)

    @property
    def reach(self) -> tuple[float, float]:
        """Steps (back, ahead) that an output may depend on."""
        return math.inf, 0 if self.causal else math.inf


def distances(steps: int, device: torch.device) -> Tensor:
    """Return all j - i, (2 T - 1,): from 1 - T, a key at the start and a query at the end, to T - 1."""
    return torch.arange(1 - steps, steps, device=device)


def aligned(by_distance: Tensor) -> Tensor:
    """Turn what is known a distance into what is known a key: (..., T, 2 T - 1) -> (..., T, T).

    Out of row i its entries T - 1 - i to 2 T - 2 - i, the distances -i to T - 1 - i. With one column more, and the
    first T - 1 numbers of all left out, these begin each row of 2 T - 1 numbers: nothing is gathered.
    """
    steps = by_distance.shape[-2]
    flat = functional.pad(by_distance, (0, 1)).flatten(-2)[..., steps - 1 :]  # 2 T^2 - T + 1 numbers
    rows = flat[..., : steps * (2 * steps - 1)].reshape(*flat.shape[:-1], steps, 2 * steps - 1)
    return rows[..., :steps]


class BucketBias(nn.Module):
    """(2 T - 1,) distances -> (heads, 2 T - 1)."""

    def __init__(self, config: RelativeConfig) -> None:
        super().__init__()
        self.directions = 1 if config.causal else 2
        self.each = config.buckets // self.directions  # buckets of a direction
        ratio = config.distance / config.exact
        # The first distance of each bucket beyond 0. On the host, as whole numbers: no logarithm decides on a device.
        grown = (config.exact * ratio ** (n / (self.each - config.exact)) for n in range(self.each - config.exact))
        starts = [*range(1, config.exact), *(math.ceil(start - 1e-6) for start in grown)]
        self.register_buffer("starts", torch.tensor(starts), persistent=False)
        self.table = nn.Parameter(0.02 * torch.randn(config.buckets, config.heads))

    def bucket(self, distance: Tensor) -> Tensor:
        """Return the bucket of each distance j - i: those of later keys come behind those of earlier ones."""
        starts: Tensor = self.starts  # type: ignore[assignment]
        near = torch.bucketize(distance.abs(), starts, right=True)
        return near if self.directions == 1 else near + self.each * (distance > 0)

    def forward(self, distance: Tensor) -> Tensor:
        return functional.embedding(self.bucket(distance), self.table).T


class SlopeBias(nn.Module):
    """(2 T - 1,) distances -> (heads, 2 T - 1)."""

    def __init__(self, config: RelativeConfig) -> None:
        """Slopes start at 2^(-8 / heads), 2^(-16 / heads), ..., 2^-8, as the paper has them."""
        super().__init__()
        exponents = 8 * torch.arange(1, config.heads + 1) / config.heads
        self.log_slopes = nn.Parameter(-math.log(2) * exponents.unsqueeze(1).repeat(1, 1 if config.causal else 2))

    def forward(self, distance: Tensor) -> Tensor:
        slopes = self.log_slopes.exp()  # (heads, 1 or 2): of earlier keys, of later ones
        return torch.where(distance > 0, slopes[:, -1:], slopes[:, :1]) * -distance.abs()


class SinusoidBias(nn.Module):
    """Queries (B, heads, T, d) and (2 T - 1,) distances -> (B, heads, T, 2 T - 1), not yet by sqrt(d)."""

    def __init__(self, config: RelativeConfig) -> None:
        super().__init__()
        self.width, self.size = config.width, config.width // config.heads
        self.project = nn.Linear(config.width, config.width, bias=False)  # W
        self.content = nn.Parameter(torch.zeros(config.heads, 1, self.size))  # u
        self.position = nn.Parameter(torch.zeros(config.heads, 1, self.size))  # v

    def forward(self, query: Tensor, distance: Tensor) -> Tensor:
        code = self.project(sinusoid(distance, self.width).to(self.project.weight.dtype))  # (2 T - 1, width)
        keys = code.view(len(distance), -1, self.size).permute(1, 2, 0)  # (heads, d, 2 T - 1)
        out: Tensor = (query + self.position.to(query.dtype)) @ keys.to(query.dtype)
        return out


def sinusoid(distance: Tensor, width: int) -> Tensor:
    """Return the code (..., width) of distances (...): all sines, then all cosines, as Transformer-XL has them."""
    rate = torch.exp(torch.arange(0, width, 2, device=distance.device) * (-math.log(10_000.0) / width))
    angle = distance.unsqueeze(-1) * rate  # (..., ceil(width / 2))
    return torch.cat([angle.sin(), angle.cos()], dim=-1)[..., :width]


class RelativeAttention(nn.Module):
    """Linear maps before and after attention with a bias a distance, and one a pair of steps."""

    def __init__(self, config: RelativeConfig) -> None:
        super().__init__()
        self.heads, self.causal = config.heads, config.causal
        self.project_in = nn.Linear(config.width, 3 * config.width)
        self.project_out = nn.Linear(config.width, config.width)
        forms = {"sinusoid": SinusoidBias, "bucket": BucketBias, "slope": SlopeBias}
        self.bias: nn.Module = forms[config.bias](config)
        if config.pairs:
            start = torch.linspace(MOST_OF_PAIRS, 0, config.heads)
            self.of_pairs = nn.Parameter(start.unsqueeze(1).repeat(1, len(config.pairs)))  # (heads, n)

    def forward(self, x: Tensor, mask: Tensor | None, pairs: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            mask: (B, T) bool, True at the steps that may be attended to, at least one in each series; None: all.
            pairs: (B, n, T, T) matrices of pairs, query by key; None: the config names none.
        """
        batch, steps, width = x.shape
        query, key, value = self.project_in(x).view(batch, steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        distance = distances(steps, x.device)
        if isinstance(self.bias, SinusoidBias):
            bias = aligned(self.bias(query, distance)) / query.shape[3] ** 0.5  # (B, heads, T, T)
            query = query + self.bias.content.to(query.dtype)
        else:
            bias = aligned(self.bias(distance).unsqueeze(1).expand(-1, steps, -1))  # (heads, T, T)
        if pairs is not None:
            bias = bias + torch.einsum("hn,bnij->bhij", self.of_pairs, pairs)
        bias = bias.to(query.dtype)
        if (forbidden := self._forbidden(steps, mask, x.device)) is not None:
            bias = bias.masked_fill(forbidden, -math.inf)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)  # (B, heads, T, d)
        out: Tensor = self.project_out(mixed.transpose(1, 2).reshape(batch, steps, width))
        return out

    def _forbidden(self, steps: int, mask: Tensor | None, device: torch.device) -> Tensor | None:
        """Return which keys a query must not see, bool that spreads to (B, heads, T, T); None: it may see all."""
        padded = None if mask is None else ~mask[:, None, None, :]
        if not self.causal:
            return padded
        later = torch.ones(steps, steps, dtype=torch.bool, device=device).triu(1)
        return later if padded is None else later | padded
