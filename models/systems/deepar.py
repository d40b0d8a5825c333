"""DeepAR: a recurrence that gives a probability of each value, and rolls forward by sampling from it.

    [[model]]
    name = "deepar"
    form = "autoregressive"

Source: Salinas, Flunkert & Gasthaus 2017, https://arxiv.org/abs/1704.04110: h_t = LSTM(h_{t-1}, [y_{t-1}, x_t, e]) with
e an embedding of the series' statics; mu = W h, sigma = softplus(V h); trained by the Gaussian likelihood on the true
past; predictions are the median of `paths` sampled ahead, each fed with its own values.

    autoregressive   (B, T, [y_{t-1}, F, S * embed]) -> LSTMs -> head's outputs (B, T, 2 K), causal
    aligned          inputs are known at all steps, so bi-LSTMs run over them both ways: mu and sigma of each step at
                     once, nothing sampled; the competitive form, and the default

Default: 3 layers of 128 (the paper: 3 of 40). Not here: a scale for each series, the paper's nu; the engine scales all
series alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from foldline.models.contract import Embed, Head, Part, Targets, append_static, run_recurrent, run_unpacked
from foldline.models.heads import HEADS, build
from foldline.models.heads.gaussian import Gaussian
from foldline.models.ops.initialisation import initialise
from foldline.models.ops.known_target import known_target, lagged, refuse_whole_series


@dataclass(frozen=True, kw_only=True)
class Config:
    """[[model]] with name = "deepar"."""

    width: int = 128  # H, both directions together in the aligned form
    layers: int = 3
    embed: int = 4  # size of the embedding of each static column; 0: none
    form: Literal["aligned", "autoregressive"] = "aligned"
    paths: int = 100  # sampled ahead for each series
    head: dict[str, Any] = field(default_factory=lambda: {"kind": "gaussian"})

    kind: ClassVar[str] = "network"
    parts: ClassVar[dict[str, dict[str, Part]]] = {"head": {"gaussian": HEADS["gaussian"]}}
    shares: ClassVar[tuple[str, ...]] = ("ops/known_target",)

    def __post_init__(self) -> None:
        if self.width < 2 or self.width % 2:
            raise ValueError(f"width must be even, half of it for each direction, but is {self.width}")
        if self.layers < 1 or self.paths < 2 or self.embed < 0:
            raise ValueError(
                f"layers must be at least 1, paths 2 and embed 0, but are {self.layers}, {self.paths} and {self.embed}"
            )
        if self.autoregressive and "aux" in self.head:
            raise ValueError("the autoregressive form samples the target alone: leave out head.aux")

    @property
    def autoregressive(self) -> bool:
        """Whether its own past is an input."""
        return self.form == "autoregressive"

    @property
    def causal(self) -> bool:
        """Whether an output never depends on later inputs."""
        return self.autoregressive


class AppliedHead(Head):
    """A head whose outputs the network has computed already, to sample from them: `forward` changes nothing."""

    def __init__(self, inner: Head) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        return hidden

    def loss_sum(self, raw: Tensor, y: Tensor, weight: Tensor, known: Tensor | None) -> Tensor:
        return self.inner.loss_sum(raw, y, weight, known)

    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        return self.inner.predict(raw, scored)

    def spread(self, raw: Tensor) -> Tensor | None:
        return self.inner.spread(raw)


class DeepAR(nn.Module):
    """The network. `head` turns what `forward` gives into loss and prediction."""

    def __init__(self, config: Config, features: int, levels: tuple[int, ...], targets: Targets) -> None:
        """features: F; levels: number of known values of each static column; targets: of series: aligned form only."""
        super().__init__()
        self.config, self.targets = config, targets
        if config.autoregressive:
            refuse_whole_series(targets, "deepar's form = 'autoregressive', unlike 'aligned',")
        self.embed = Embed(levels, config.embed) if config.embed and levels else None
        inputs = features + config.embed * len(levels) + (targets.count if config.autoregressive else 0)
        units, both = (config.width, False) if config.autoregressive else (config.width // 2, True)
        self.layers = nn.ModuleList(
            nn.LSTM(config.width if number else inputs, units, batch_first=True, bidirectional=both)
            for number in range(config.layers)
        )
        for layer in self.layers:
            assert isinstance(layer, nn.LSTM)
            initialise(layer, "keras")
        head = build(config.head, config.width, targets)
        self.head: Head = AppliedHead(head) if config.autoregressive else head

    @property
    def takes_target(self) -> bool:
        """See models/ops/known_target.py."""
        return self.config.autoregressive

    def forward(self, x: Tensor, static: Tensor, mask: Tensor | None, y: Tensor | None = None) -> Tensor:
        """x: (B, T, F); static: (B, S) codes or (B, S, L) weights; mask: (B, T), None: all real; y: (B, T, K) truth.

        Returns (B, T, H) in the aligned form, else the head's outputs (B, T, 2 K): of each step given its true past
        where there is y; without, the median and the standard deviation of the sampled paths.
        """
        value, known = known_target(x, self.targets)
        if self.embed is not None:
            x = append_static(x, self.embed(static))
        if not self.config.autoregressive:
            return self._run_layers(x, mask)
        if y is not None:
            past = lagged(torch.where(known, value, y))
            return self._outputs(self._run_layers(torch.cat([past, x], dim=-1), mask))
        return self._summarise(self.sample(x, value, known))

    @property
    def _inner(self) -> Gaussian:
        """The head that the autoregressive form applies itself."""
        assert isinstance(self.head, AppliedHead) and isinstance(self.head.inner, Gaussian)
        return self.head.inner

    def _outputs(self, hidden: Tensor) -> Tensor:
        """Return that head's outputs (B, T, 2 K); heads are always float32."""
        with torch.autocast(hidden.device.type, enabled=False):
            raw: Tensor = self._inner(hidden.float())
        return raw

    def _run_layers(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for layer in self.layers:
            assert isinstance(layer, nn.LSTM)
            x = run_recurrent(layer, x, mask)
        return x

    def sample(self, x: Tensor, value: Tensor, known: Tensor) -> Tensor:
        """Sample (PATHS, B, T, K) values ahead, scaled; at known steps too, where the next step is fed the known one.

        Args:
            x: (B, T, F'), embedded statics appended.
            value, known: of `known_target`.

        All series and all calls use the same random numbers: predictions are deterministic, and those of a series
        depend on no other series.
        """
        paths, (batch, steps, targets) = self.config.paths, value.shape
        random = torch.Generator().manual_seed(0)
        # drawn on the CPU, step by step: the same for every device, and for every number of steps that follow
        noise = torch.stack([torch.randn(paths, 1, targets, generator=random) for _ in range(steps)]).to(x.device)
        previous, sampled = value.new_zeros(paths * batch, 1, targets), []
        states: list[tuple[Tensor, Tensor] | None] = [None] * len(self.layers)
        for step in range(steps):
            hidden = torch.cat([previous, x[:, step : step + 1].repeat(paths, 1, 1)], dim=-1)  # (PATHS * B, 1, ...)
            for number, layer in enumerate(self.layers):
                hidden, states[number] = run_unpacked(layer, hidden, states[number])
            mu, sigma = self._inner.location_and_scale(self._outputs(hidden))
            drawn = mu.view(paths, batch, targets) + sigma.view(paths, batch, targets) * noise[step]
            sampled.append(drawn)
            previous = torch.where(known[:, step], value[:, step], drawn).view(paths * batch, 1, targets)
        return torch.stack(sampled, dim=2)

    def _summarise(self, paths: Tensor) -> Tensor:
        """Return the outputs (B, T, 2 K) whose location and scale are the paths' median and standard deviation."""
        # In float64: squares, and the sum of two medians, of large float32 values leave float32's range.
        # A sort and a mean, because CUDA's median over a dimension is not deterministic.
        middle = paths.sort(dim=0).values[(len(paths) - 1) // 2 : len(paths) // 2 + 1].double().mean(dim=0)
        sigma = paths.double().std(dim=0).clamp(max=torch.finfo(paths.dtype).max)
        return self._inner.outputs_of(middle.to(paths.dtype), sigma.to(paths.dtype))
