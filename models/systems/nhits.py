"""N-HiTS: a forecast as the sum of stacks that look at the past, and draw the future, each at its own coarseness.

    [[model]]
    name = "nhits"

Source: Challu et al. 2023, "N-HiTS", https://arxiv.org/abs/2201.12886 (section 3, figure 2, equations 1 to 5). A stack
takes the maximum of each `pool_kernel_size` steps of the past; a multilayer perceptron makes of them a backcast, the
part of the past that it explains, and knots, one each `freq_downsample` steps of the future, between which the forecast
is a straight line. The next stack gets the past less that backcast; forecasts are added up. So coarse stacks hold what
is slow, and long horizons need few numbers. It reads the past of the target, and static columns where `embed` is given,
but no other feature; each target is a series of its own, by the same weights.

    known target (B, T, K) -> its last L steps (B K, L) -> stacks -> (B, K, c, horizon) -> (B, T, K c) -> head

Default: the paper's three stacks of one block of two layers, here of 64 units (the paper's 512 have more weights than a
competition of a thousand series can fill). What differs: a knot holds c numbers, of which the head makes one, or the
several that a quantile or a distribution takes; at the known steps, which nobody asks for, the output is 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.contract import Embed, Head, Part, Targets
from foldline.models.heads import HEADS, build
from foldline.models.ops.known_target import known_target, refuse_whole_series


@dataclass(frozen=True, kw_only=True)
class Config:
    """[[model]] with name = "nhits". Default: 53,000 parameters for 84 steps of past and 62 to come."""

    history: int = 0  # L, known steps that are read, the last ones; 0: data.forecast.history
    horizon: int = 0  # steps behind them that are forecast; 0: data.forecast.horizon
    pool_kernel_size: tuple[int, ...] = (8, 4, 1)  # steps of the past under each maximum, of each stack
    freq_downsample: tuple[int, ...] = (8, 4, 1)  # steps of the future from a knot to the next, of each stack
    width: int = 64  # units of each hidden layer
    layers: int = 2  # hidden ones of each stack
    per_step: int = 4  # c, numbers of a knot
    embed: int = 0  # size of a learned embedding of each static column; 0: none
    head: dict[str, Any] = field(default_factory=lambda: {"kind": "l1"})

    kind: ClassVar[str] = "network"
    causal: ClassVar[bool] = True  # no output depends on later inputs: it reads none
    parts: ClassVar[dict[str, dict[str, Part]]] = {"head": HEADS}
    shares: ClassVar[tuple[str, ...]] = ("ops/known_target",)

    def __post_init__(self) -> None:
        for name in ("width", "layers", "per_step"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        if min(self.history, self.horizon, self.embed) < 0:
            raise ValueError(
                f"history, horizon and embed must not be below 0, but are {self.history}, {self.horizon} and "
                f"{self.embed}"
            )
        sizes = self.pool_kernel_size, self.freq_downsample
        if not self.pool_kernel_size or len(sizes[0]) != len(sizes[1]) or min(map(min, sizes)) < 1:
            raise ValueError(
                "pool_kernel_size and freq_downsample must hold a number of steps for each stack, at least 1, but are "
                f"{list(sizes[0])} and {list(sizes[1])}"
            )

    def of_forecast(self, history: int, horizon: int) -> Config:
        """Return this with the sizes of data.forecast (0: there is none) where it gives none itself.

        Raises:
            ValueError: neither gives them, or this forecasts fewer steps than are asked for.
        """
        if not (self.history or history) or not (self.horizon or horizon):
            raise ValueError(
                "history and horizon must be given where [data.forecast] does not say them, but are "
                f"{self.history} and {self.horizon}"
            )
        if 0 < self.horizon < horizon:
            raise ValueError(f"horizon must be at least data.forecast.horizon = {horizon}, but is {self.horizon}")
        return replace(self, history=self.history or history, horizon=self.horizon or horizon)


class Stack(nn.Module):
    """One block: (n, L) of past and (n, E) of static columns -> backcast (n, L) and forecast (n, c, horizon)."""

    def __init__(self, config: Config, pool: int, downsample: int, static_width: int, last: bool) -> None:
        """last: no stack follows, which would read the past less its backcast: it makes none."""
        super().__init__()
        self.pool, self.per_step = min(pool, config.history), config.per_step
        widths = [-(-config.history // self.pool) + static_width, *([config.width] * config.layers)]
        self.body = nn.Sequential(*(part for pair in pairwise(widths) for part in (nn.Linear(*pair), nn.ReLU())))
        self.backcast = None if last else nn.Linear(config.width, config.history)
        count = max(1, config.horizon // downsample)
        self.knots = nn.Linear(config.width, config.per_step * count)
        # A product with these has gradients that are the same each time; those of `interpolate` on a GPU are not.
        lines = functional.interpolate(torch.eye(count).unsqueeze(0), size=config.horizon, mode="linear")
        self.lines: Tensor
        self.register_buffer("lines", lines.squeeze(0), persistent=False)  # (knots, horizon)

    def forward(self, past: Tensor, static: Tensor) -> tuple[Tensor | None, Tensor]:
        """past: (n, L); static: (n, E). The backcast is None of the last stack."""
        pooled = functional.max_pool1d(past.unsqueeze(1), self.pool, ceil_mode=True).squeeze(1)
        hidden = self.body(torch.cat([pooled, static], dim=1))
        knots: Tensor = self.knots(hidden).view(len(past), self.per_step, -1)
        return None if self.backcast is None else self.backcast(hidden), knots @ self.lines


class NHiTS(nn.Module):
    """The network. `forward` gives the body's (B, T, K c); `head` turns it into loss and prediction."""

    def __init__(self, config: Config, features: int, levels: tuple[int, ...], targets: Targets) -> None:
        """features: F, not read but for the known target; levels: number of known values of each static column.

        Raises:
            ValueError: no step of the target is known, or the sizes of past and future are not.
        """
        super().__init__()
        refuse_whole_series(targets, "nhits")
        if not targets.observed:
            raise ValueError("nhits needs a known start of the target: give [data.forecast], or data.observed.")
        if not config.history or not config.horizon:
            raise ValueError(
                f"history and horizon must be at least 1 step, but are {config.history} and {config.horizon}"
            )
        self.config, self.targets = config, targets
        self.embed = Embed(levels, config.embed) if levels and config.embed else None
        static_width = config.embed * len(levels)
        sizes = list(zip(config.pool_kernel_size, config.freq_downsample, strict=True))
        self.stacks = nn.ModuleList(
            Stack(config, pool, downsample, static_width, last=number == len(sizes) - 1)
            for number, (pool, downsample) in enumerate(sizes)
        )
        self.head: Head = build(config.head, targets.count * config.per_step, targets)

    def forward(self, x: Tensor, static: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, F); static: (B, S) codes or (B, S, L) weights; mask: (B, T), None: all real -> (B, T, K c)."""
        value, known = known_target(x, self.targets)  # (B, T, K), (B, T, 1)
        step = torch.arange(x.shape[1], device=x.device)
        known = known.squeeze(2) if mask is None else known.squeeze(2) & mask  # (B, T)
        origin = (known * (step + 1)).amax(dim=1)  # (B,) the first step behind the last known one
        past = self._past(value, known, origin)
        of_series = x.new_zeros(len(x), 0) if self.embed is None else self.embed(static)  # (B, E)
        forecast = self._forecast(past, of_series.repeat_interleave(self.targets.count, dim=0))
        ahead = step - origin.unsqueeze(1)  # (B, T), below 0 at the known steps
        place = ahead.clamp(0, self.config.horizon - 1).unsqueeze(2).expand(-1, -1, forecast.shape[2])
        return forecast.gather(1, place).masked_fill((ahead < 0).unsqueeze(2), 0)

    def _past(self, value: Tensor, known: Tensor, origin: Tensor) -> Tensor:
        """Return the last steps before each origin, 0 where the target is not known, (B K, L)."""
        history = self.config.history
        place = origin.unsqueeze(1) - history + torch.arange(history, device=value.device)  # (B, L)
        there = (place >= 0) & known.gather(1, place.clamp(min=0))
        past = value.gather(1, place.clamp(min=0).unsqueeze(2).expand(-1, -1, value.shape[2]))
        return past.masked_fill(~there.unsqueeze(2), 0).transpose(1, 2).flatten(0, 1)

    def _forecast(self, past: Tensor, static: Tensor) -> Tensor:
        """Add up the stacks' forecasts: (B K, L) and (B K, E) -> (B, horizon, K c)."""
        total = past.new_zeros(len(past), self.config.per_step, self.config.horizon)
        for stack in self.stacks:
            backcast, forecast = stack(past, static)
            past = past if backcast is None else past - backcast
            total = total + forecast
        return total.view(-1, self.targets.count * self.config.per_step, self.config.horizon).transpose(1, 2)
