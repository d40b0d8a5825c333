"""ES-RNN: exponential smoothing whose parameters are learned together with a dilated LSTM on the residuals.

    [[model]]
    name = "esrnn"
    factors = [[5, 20, 50], [0.01, 0.02, 0.05]]     # R in cmH2O/(L/s), C in L/cmH2O: R * C is a time constant in s

Source: Smyl 2020, https://doi.org/10.1016/j.ijforecast.2019.03.017 (winner of the M4 competition); dilated LSTMs: Chang
et al. 2017, https://arxiv.org/abs/1710.02224. There every series has its own smoothing parameters; a new series has
none yet, so here every combination of static values has its own.

    inputs     no target is known: level_t = alpha x_t + (1 - alpha) level_{t-1}, an alpha for each feature, starting at
               1 - exp(-dt / time constant); [level, x - level] (B, T, 2 F) -> dilated LSTMs -> (B, T, H)
    forecast   the faithful form, where the target is known at the first steps (data.forecast, data.observed):
               Holt-Winters level and season of the known steps; log(y / (level * season)) -> dilated LSTMs -> the head
               predicts that logarithm of all steps, and the pinball loss is taken there

With `season` above 1 the season of a series is its own first one, y / mean, and training starts near seasonal naive:
the level hardly moves (SLOW), and the season is that of the latest known steps (FAST). What all series of a combination
have in common is learned beside it, for seasons that are known in part or not at all.

Default: width 128, dilations (1, 2), (4, 8) with a residual around the second pair; bidirectional; published: causal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.contract import Head, Part, Targets, run_recurrent
from foldline.models.heads import HEADS, build
from foldline.models.ops.initialisation import initialise
from foldline.models.ops.known_target import known_target, refuse_whole_series
from foldline.models.packing import lengths_of, set_lengths

MIN_POSITIVE = 0.05  # scaled: the least sum of target and offset, so that it has a logarithm
SLOW, FAST = -4.0, 4.0  # logits of the first smoothing parameters of a seasonal model: 0.018, 0.982
MAX_LOG_RATIO = 60.0  # e^60 is finite in float32, and so is its product with a forecast and a spread


@dataclass(frozen=True, kw_only=True)
class Config:
    """[[model]] with name = "esrnn"."""

    width: int = 128  # H
    form: Literal["inputs", "forecast"] = "inputs"
    dilations: tuple[tuple[int, ...], ...] = ((1, 2), (4, 8))  # steps; of each LSTM of each block
    causal: bool = False  # the LSTMs run forwards only
    factors: tuple[tuple[float, ...], ...] = ()  # of each static column's values, sorted; their product: seconds
    step_s: float = 0.033  # typical time between two steps, for alpha's start
    season: int = 1  # steps of a season, forecasting form; 1: none
    offset: float = 4.0  # forecasting form: added to the scaled target, so that it is positive
    head: dict[str, Any] = field(default_factory=lambda: {"kind": "quantile"})

    kind: ClassVar[str] = "network"
    parts: ClassVar[dict[str, dict[str, Part]]] = {"head": HEADS}
    shares: ClassVar[tuple[str, ...]] = ("ops/known_target",)

    def __post_init__(self) -> None:
        if self.width < 1 or (self.width % 2 and not self.causal):
            raise ValueError(f"width must be at least 1, and even unless causal, but is {self.width}")
        if not self.dilations or any(not block or min(block) < 1 for block in self.dilations):
            raise ValueError(f"dilations must hold blocks of steps of at least 1, but is {self.dilations}")
        if self.season < 1 or not self.step_s > 0 or not self.offset > 0:
            raise ValueError(
                f"season must be at least 1, step_s and offset above 0, but they are {self.season}, {self.step_s}, "
                f"{self.offset}"
            )
        if any(not factor > 0 for column in self.factors for factor in column):
            raise ValueError(f"factors must be above 0, but are {self.factors}")


def initial_alphas(config: Config, levels: tuple[int, ...]) -> Tensor:
    """Return initial alphas (combinations,): 1 - exp(-step / time constant), 1/2 where no factors are given.

    An unknown value's factor is the geometric mean of the known ones.
    """
    if not config.factors:
        return torch.full((math.prod(count + 1 for count in levels),), 0.5)
    if tuple(map(len, config.factors)) != levels:
        raise ValueError(
            f"factors must hold a number for each known value of each static column, {list(levels)} of them, but holds "
            f"{[len(column) for column in config.factors]}"
        )
    seconds = torch.ones(1)
    for column in config.factors:
        mean = math.exp(sum(map(math.log, column)) / len(column))
        seconds = (seconds.unsqueeze(1) * torch.tensor([mean, *column])).flatten()
    return -torch.expm1(-config.step_s / seconds)


def combination_weights(static: Tensor, levels: tuple[int, ...]) -> Tensor:
    """Map codes (B, S) or weights (B, S, L) to weights (B, combinations) over all combinations of values."""
    joint = torch.ones(len(static), 1, device=static.device)
    for column, count in enumerate(levels):
        if static.is_floating_point():
            part = static[:, column, : count + 1]
        else:
            part = (static[:, column, None] == torch.arange(count + 1, device=static.device)).to(joint.dtype)
        joint = (joint.unsqueeze(2) * part.unsqueeze(1)).flatten(1)
    return joint


def exponential_smoothing(x: Tensor, alpha: Tensor) -> Tensor:
    """Return level_0 = x_0, level_t = alpha x_t + (1 - alpha) level_{t-1}, (B, T, F). x: (B, T, F); alpha: (B, F)."""
    levels = [x[:, 0]]
    for step in range(1, x.shape[1]):
        levels.append(torch.lerp(levels[-1], x[:, step], alpha))
    return torch.stack(levels, dim=1)


class Smoothing(nn.Module):
    """The inputs' form: (B, T, F) -> levels and residuals, (B, T, 2 F)."""

    def __init__(self, config: Config, features: int, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = levels
        self.alpha = nn.Parameter(torch.logit(initial_alphas(config, levels)).unsqueeze(1).repeat(1, features))

    def forward(self, x: Tensor, static: Tensor) -> Tensor:
        level = exponential_smoothing(x, combination_weights(static, self.levels) @ self.alpha.sigmoid())
        return torch.cat([level, x - level], dim=-1)


class HoltWinters(nn.Module):
    """The forecasting form: the multiplicative level and season of the known target, each step's forecast by them."""

    def __init__(self, config: Config, levels: tuple[int, ...], targets: int) -> None:
        super().__init__()
        self.levels, self.offset = levels, config.offset
        shape, seasonal = (math.prod(count + 1 for count in levels), targets), config.season > 1
        self.alpha, self.gamma = (  # before the sigmoid
            nn.Parameter(torch.full(shape, first if seasonal else 0.0)) for first in (SLOW, FAST)
        )
        # How much a series' own first season counts, before the sigmoid, beside the logarithm of a common one.
        self.trust = nn.Parameter(torch.full(shape, FAST)) if seasonal else None
        self.season = nn.Parameter(torch.zeros(config.season, *shape))

    def forward(self, value: Tensor, known: Tensor, static: Tensor) -> tuple[Tensor, Tensor]:
        """Return the forecast (B, T, K), above 0, and log(y / forecast) where y is known, else 0: (B, T, K).

        value, known: of `known_target`; from the last known step on the level stays and the season repeats.
        """
        joint = combination_weights(static, self.levels)
        alpha, gamma = joint @ self.alpha.sigmoid(), joint @ self.gamma.sigmoid()  # (B, K)
        y = (value + self.offset).clamp(min=MIN_POSITIVE)
        level, seasons = self._start(y, known, joint)
        forecasts = []
        for step in range(y.shape[1]):
            place, real = step % len(seasons), known[:, step]
            season = seasons[place]
            level = torch.where(real, torch.lerp(level, y[:, step] / season, alpha), level)
            forecasts.append(level * season)
            if len(seasons) > 1:
                seasons[place] = torch.where(real, torch.lerp(season, y[:, step] / level, gamma), season)
        forecast = torch.stack(forecasts, dim=1)
        return forecast, torch.where(known, (y / forecast).log(), 0.0)

    def _start(self, y: Tensor, known: Tensor, joint: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the first level, (B, K), and the factor of each step of the first season. joint: (B, combinations)."""
        if self.trust is None:
            seasons = [joint @ each.exp() for each in self.season]
            return torch.where(known[:, 0], y[:, 0] / seasons[0], 1.0), seasons
        first, there = y[:, : len(self.season)], known[:, : len(self.season)]
        count = there.sum(dim=1)  # (B, 1)
        level = torch.where(count > 0, (first * there).sum(dim=1) / count.clamp(min=1), 1.0)
        trust, seasons = joint @ self.trust.sigmoid(), []
        for place, each in enumerate(self.season):
            common = joint @ each
            if place < first.shape[1]:
                own = trust * (first[:, place] / level).log() + (1 - trust) * common
                common = torch.where(there[:, place], own, common)
            seasons.append(common.exp())
        return level, seasons


class LogRatioHead(Head):
    """A head on log((y + offset) / forecast), the forecast coming as the last K channels of its input."""

    def __init__(self, inner: Head, targets: int, offset: float) -> None:
        super().__init__()
        self.inner, self.targets, self.offset = inner, targets, offset

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        return torch.cat([self.inner(hidden[..., : -self.targets]), hidden[..., -self.targets :]], dim=-1)

    def loss_sum(self, raw: Tensor, y: Tensor, weight: Tensor, known: Tensor | None) -> Tensor:
        target = ((y + self.offset).clamp(min=MIN_POSITIVE) / raw[..., -self.targets :]).log()
        return self.inner.loss_sum(raw[..., : -self.targets], target, weight, known)

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        ratio = self.inner.predict(raw[..., : -self.targets], scored).clamp(max=MAX_LOG_RATIO).exp()
        return raw[..., -self.targets :] * ratio - self.offset

    def spread(self, raw: Tensor) -> Tensor | None:
        """Return the inner head's spread, times the slope of the exponential at the prediction: (B, T, K)."""
        spread = self.inner.spread(raw[..., : -self.targets])
        scored = torch.ones_like(raw[..., 0], dtype=torch.bool)
        return None if spread is None else spread * (self.predict(raw, scored) + self.offset)


class DilatedLSTM(nn.Module):
    """An LSTM whose step t follows step t - d: d interleaved series in one batch. (B, T, in) -> (B, T, width)."""

    def __init__(self, inputs: int, width: int, dilation: int, causal: bool) -> None:
        super().__init__()
        self.dilation, self.causal = dilation, causal
        self.lstm = nn.LSTM(inputs, width if causal else width // 2, batch_first=True, bidirectional=not causal)
        initialise(self.lstm, "keras")

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        batch, steps = x.shape[:2]
        if mask is None and steps % self.dilation:
            mask = torch.ones(batch, steps, dtype=torch.bool, device=x.device)
            set_lengths(mask, torch.full((batch,), steps))
        real = None if mask is None or self.causal else self._interleave(mask.unsqueeze(-1)).squeeze(-1)
        if mask is not None and real is not None:
            real[:, 0] = True  # packing needs a real step in each interleaved series; the output there is not used
            later = self.dilation - 1 - torch.arange(self.dilation)
            lengths = (lengths_of(mask).unsqueeze(1) + later) // self.dilation  # (B, d), of every d-th step
            set_lengths(real, lengths.clamp(min=1).flatten())
        out = run_recurrent(self.lstm, self._interleave(x), real)
        out = out.view(batch, self.dilation, -1, out.shape[-1]).transpose(1, 2)  # (B, T / d, d, width)
        return out.flatten(1, 2)[:, :steps]

    def _interleave(self, x: Tensor) -> Tensor:
        """Split (B, T, C) into every d-th step, (B * d, ceil(T / d), C), zeros behind the end."""
        batch, steps, width = x.shape
        filled = functional.pad(x, (0, 0, 0, -steps % self.dilation))
        return filled.view(batch, -1, self.dilation, width).transpose(1, 2).flatten(0, 1).contiguous()


class ESRNN(nn.Module):
    """The network. `head` turns what `forward` gives into loss and prediction."""

    def __init__(self, config: Config, features: int, levels: tuple[int, ...], targets: Targets) -> None:
        """features: F; levels: number of known values of each static column.

        Raises:
            ValueError: factors that don't fit the levels; the forecasting form where no target is known, where targets
                are not numbers, or under a head that takes its loss in their own unit.
        """
        super().__init__()
        self.targets, forecast = targets, config.form == "forecast"
        if forecast:
            refuse_whole_series(targets, "esrnn's form = 'forecast', unlike 'inputs',")
            self._refuse_head(config, targets)
        if forecast and not targets.observed:
            raise ValueError(
                "form = 'forecast' needs a known start of the target: give data.observed, or take form = 'inputs'."
            )
        self.smooth = None if forecast else Smoothing(config, features, levels)
        self.holt_winters = HoltWinters(config, levels, targets.count) if forecast else None
        inputs = features if forecast else 2 * features
        self.blocks = nn.ModuleList()
        for block in config.dilations:
            layers = nn.ModuleList()
            for dilation in block:
                layers.append(DilatedLSTM(inputs, config.width, dilation, config.causal))
                inputs = config.width
            self.blocks.append(layers)
        head = build(config.head, config.width, targets)
        self.head: Head = LogRatioHead(head, targets.count, config.offset) if forecast else head

    def forward(self, x: Tensor, static: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, F); static: (B, S) codes or (B, S, L) weights; mask: (B, T), None: all real -> (B, T, H).

        The forecasting form adds Holt-Winters' forecast to that: (B, T, H + K).
        """
        float32 = torch.autocast(x.device.type, enabled=False)  # a level sums many small steps: not in half precision
        if self.smooth is not None:
            with float32:
                x = self.smooth(x, static)
            return self._run_blocks(x, mask)
        assert self.holt_winters is not None
        with float32:
            value, known = known_target(x, self.targets)
            known = known if mask is None else known & mask.unsqueeze(-1)  # the first season looks ahead
            forecast, ratio = self.holt_winters(value, known, static)
        x = torch.cat([x[..., : -self.targets.count - 1], ratio, x[..., -1:]], dim=-1)
        return torch.cat([self._run_blocks(x, mask), forecast], dim=-1)

    @staticmethod
    def _refuse_head(config: Config, targets: Targets) -> None:
        """Refuse what LogRatioHead can't carry: it hands logarithms of ratios to its inner head."""
        kind = config.head["kind"]
        if targets.kind != "regression" or getattr(HEADS[kind].make, "own_unit", False):
            raise ValueError(
                f"form = 'forecast' predicts logarithms of ratios, which the head {kind} on {targets.kind} targets "
                "can't be taught: take form = 'inputs', or for numbers a head such as quantile or l1."
            )

    def _run_blocks(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for number, layers in enumerate(self.blocks):
            assert isinstance(layers, nn.ModuleList)
            out = x
            for layer in layers:
                out = layer(out, mask)
            x = out + x if number else out
        return x
