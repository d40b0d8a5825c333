"""The Temporal Fusion Transformer's table: its sizes, and which of its parts are used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from foldline.models.contract import Part
from foldline.models.heads import HEADS


@dataclass(frozen=True, kw_only=True)
class Config:
    """[[model]] with name = "tft"."""

    width: int = 160  # d
    heads: int = 4
    dropout: float = 0.1
    causal: bool = False  # LSTM and attention use no later step
    gating: bool = True  # False: gated linear units become a linear map and ELU
    static_encoders: bool = True  # False: no contexts, statics are variables of every step
    selection: bool = True  # False: one learned weight a variable, the same at every step
    attention: bool = True  # False: a learned attention matrix, the same for every series
    recurrence: bool = True  # False: the sinusoidal position code in place of the LSTM
    steps: int = 160  # T at most where attention = false: the size of the learned matrix
    head: dict[str, Any] = field(default_factory=lambda: {"kind": "quantile", "levels": [0.1, 0.5, 0.9]})

    kind: ClassVar[str] = "network"
    parts: ClassVar[dict[str, dict[str, Part]]] = {"head": HEADS}
    shares: ClassVar[tuple[str, ...]] = (
        "systems/tft_config",
        "systems/tft_selection",
        "systems/tft_attention",
        "blocks/transformer",
        "ops/covariates",
    )

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width < 2 or self.width % self.heads or self.width % 2:
            raise ValueError(f"width must be even and a multiple of heads, but is {self.width} with {self.heads} heads")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), but is {self.dropout}")
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, but is {self.steps}")
