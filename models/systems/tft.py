"""Temporal Fusion Transformer: gates that can skip any part, variables weighted step by step, one attention.

    [[model]]
    name = "tft"

Source: Lim, Arik, Loeff & Pfister 2021, https://arxiv.org/abs/1912.09363; its equations are named below. All inputs are
"known future" here, so encoder and decoder are one LSTM.

    x (B, T, F) -> an embedding of each variable (B, T, V, d) -> variable selection (B, T, d) -> LSTM -> static
    enrichment -> interpretable attention -> position-wise GRN -> (B, T, d) -> quantiles
    statics (B, S) -> embeddings -> variable selection -> four contexts: of selection, of enrichment, h0 and c0

The ablations that the paper reports are switches: `gating`, `static_encoders`, `selection`, `attention`, `recurrence`.
Default: d = 160, 4 heads, as in the paper. Causal as there, or (default) bidirectional. Cost and memory grow with
V * d: give it few feature families. The LSTM is initialised as in Keras, the framework of the authors' code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foldline.models.blocks.transformer import step_encoding
from foldline.models.contract import Embed, Head, Targets, run_recurrent
from foldline.models.heads import build
from foldline.models.ops.initialisation import initialise
from foldline.models.systems.tft_attention import FixedAttention, SharedAttention
from foldline.models.systems.tft_config import Config
from foldline.models.systems.tft_selection import GatedLinearUnit, GatedResidualNetwork, VariableSelection


class StaticContexts(nn.Module):
    """Static columns -> the four contexts of section 4.3, (B, d) each; those that an ablation leaves in use."""

    def __init__(self, columns: int, config: Config) -> None:
        super().__init__()
        self.selection = VariableSelection(columns, config.width, config)
        used = {"selection": config.selection, "enrichment": True, "h0": config.recurrence, "c0": config.recurrence}
        width = config.width
        self.contexts = nn.ModuleDict(
            {name: GatedResidualNetwork(width, width, config) for name, needed in used.items() if needed}
        )

    def forward(self, embedded: Tensor) -> dict[str, Tensor]:
        """embedded: (B, S, d)."""
        selected, _ = self.selection(embedded.unsqueeze(1), None)  # (B, 1, d)
        return {name: context(selected, None).squeeze(1) for name, context in self.contexts.items()}


class LocalityLSTM(nn.Module):
    """The LSTM whose initial state is the contexts h0 and c0 (section 4.5.1): (B, T, d) -> (B, T, d)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.directions = 1 if config.causal else 2
        units = config.width // self.directions
        self.lstm = nn.LSTM(config.width, units, batch_first=True, bidirectional=not config.causal)
        initialise(self.lstm, "keras")

    def forward(self, x: Tensor, mask: Tensor | None, start: tuple[Tensor, Tensor] | None) -> Tensor:
        """start: h0 and c0, (B, d) each, half of it for each direction; None: zeros."""
        state = None
        if start is not None:
            h0, c0 = (torch.stack(each.chunk(self.directions, dim=-1)) for each in start)  # (directions, B, units)
            state = (h0, c0)
        return run_recurrent(self.lstm, x, mask, state)


class TFT(nn.Module):
    """The network. `forward` gives the body's (B, T, d); `head` turns it into loss and prediction."""

    def __init__(self, config: Config, features: int, levels: tuple[int, ...], targets: Targets) -> None:
        """features: F; levels: number of known values of each static column."""
        super().__init__()
        self.config, width, columns = config, config.width, len(levels)
        self.scale = nn.Parameter(torch.randn(features, width) / width**0.5)  # of each variable's linear embedding
        self.shift = nn.Parameter(torch.zeros(features, width))
        self.embed = Embed(levels, width) if columns else None
        contexts = config.static_encoders and columns > 0
        self.statics = StaticContexts(columns, config) if contexts else None
        variables = features if config.static_encoders else features + columns
        self.selection = VariableSelection(variables, width, config, context=contexts and config.selection)
        self.local = LocalityLSTM(config) if config.recurrence else None
        self.unit_local = GatedLinearUnit(width, width, config)
        self.enrich = GatedResidualNetwork(width, width, config, context=contexts)
        self.attention = SharedAttention(config) if config.attention else FixedAttention(config)
        self.unit_attention, self.unit_out = (
            GatedLinearUnit(width, width, config),
            GatedLinearUnit(width, width, config),
        )
        self.feed_forward = GatedResidualNetwork(width, width, config)
        self.norm_local, self.norm_attention, self.norm_out = (nn.LayerNorm(width) for _ in range(3))
        self.head: Head = build(config.head, width, targets)

    def forward(self, x: Tensor, static: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, F); static: (B, S) codes or (B, S, L) weights; mask: (B, T), None: all real -> (B, T, d)."""
        variables = x.unsqueeze(-1) * self.scale + self.shift  # (B, T, F, d)
        context: dict[str, Tensor] = {}
        if self.embed is not None:
            embedded = self.embed(static).view(len(x), -1, self.config.width)  # (B, S, d)
            if self.statics is not None:
                context = self.statics(embedded)
            else:
                constant = embedded.unsqueeze(1).expand(-1, x.shape[1], -1, -1)
                variables = torch.cat([variables, constant], dim=2)
        selected, _ = self.selection(variables, context.get("selection"))  # (B, T, d)
        local = self._local(selected, mask, (context["h0"], context["c0"]) if "h0" in context else None)
        enriched = self.enrich(local, context.get("enrichment"))
        attended, _ = self.attention(enriched, mask)
        mixed = self.norm_attention(enriched + self.unit_attention(attended))  # eq. 20
        out: Tensor = self.norm_out(local + self.unit_out(self.feed_forward(mixed, None)))  # eq. 21 and 22
        return out

    def _local(self, selected: Tensor, mask: Tensor | None, start: tuple[Tensor, Tensor] | None) -> Tensor:
        """Return norm(x + gated LSTM(x)), eq. 17; without recurrence the position code replaces the LSTM."""
        if self.local is not None:
            local = self.local(selected, mask, start)
        else:
            local = selected + step_encoding(selected.shape[1], selected.shape[2], selected.device).to(selected.dtype)
        normed: Tensor = self.norm_local(selected + self.unit_local(local))
        return normed
