"""Base classes of networks, blocks and heads, and the functions that several of them need.

A **block** maps (B, T, in) to (B, T, width); a **head** maps the body's (B, T, H) to the target; a **network** is a
body of blocks. Letters: B series, T steps, F features, S static columns, H hidden width, K targets.

Contract (checked for every registered one in tests/models): any B and T; `mask` is True at real steps, or None where
all are real (a check would wait for the device); `static` holds codes or a mixture of them (see `Embed`); padding
(behind a series' end) never changes a real step's output; permuting the batch permutes the output; gradients are finite
and reach every parameter; eval mode is deterministic.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from foldline.models.packing import packing_of


@dataclass(frozen=True)
class Part:
    """An entry of a registry: the dataclass of its config table, and the class or function that makes it."""

    config: type[Any]
    make: Callable[..., Any]

    @property
    def source(self) -> Path:
        """The file of its source; the text is part of a cell's key."""
        return Path(str(sys.modules[self.make.__module__].__file__))


@dataclass(frozen=True, kw_only=True)
class BlockConfig:
    """Fields of every block's table."""

    width: int = 64  # H, channels out
    skip: bool = True  # add the block's input to its output (through a linear map where widths differ)

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width must be at least 1, but is {self.width}")


class Block(nn.Module, ABC):
    """A part of the hybrid, (B, T, in) -> (B, T, width). Its skip, if any, is added by the hybrid."""

    compiles: ClassVar[bool] = False  # whether torch.compile makes it faster: no recurrence inside

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, in) float; mask: (B, T) bool. The output at padded steps is undefined."""


Kind = Literal["regression", "binary", "multiclass", "multilabel", "ordinal", "distribution"]
Level = Literal["step", "series"]


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The K targets of a head, all of one kind, and for each number the even grid that its training values lie on.

    Truth and prediction have the same K columns:

    | kind | truth (..., K) | prediction (..., K) |
    |---|---|---|
    | regression | numbers, scaled | numbers, scaled |
    | binary (K = 1), multilabel | each 0 or 1, between them where series are mixed | the probability of 1 |
    | multiclass, distribution | the share of each class, not below 0; sum 1 (multiclass: one of them 1) | likewise |
    | ordinal (K = 1) | the rank 0 .. classes - 1, between two where series are mixed | the expected rank |

    At level "series" a series has one row of them, and T is 1: the body's steps are pooled (models/ops/pooling.py).

    Raises ValueError where a grid has no steps, where there are grids (centers, scales) but not one for each target, or
    where kind, level, count, classes and observed don't go together.
    """

    count: int  # K
    kind: Kind = "regression"
    classes: int = 0  # ordinal: number of ranks; else 0
    grids: tuple[tuple[float, float, int] | None, ...] = ()  # (offset, step, count), scaled; None: no grid; (): none
    observed: int = 0  # leading steps at which the target is known, of test series too: see models/ops/known_target.py
    level: Level = "step"  # whether each step has a row of targets, or each series has one
    auxiliary: tuple[tuple[str, Targets], ...] = ()  # by name, that a head may learn beside these: see heads/joint.py
    center: tuple[float, ...] = ()  # (K,), own unit = scaled * scale + center; (): 0
    scale: tuple[float, ...] = ()  # (K,), above 0; (): 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"A head needs at least one target, but count is {self.count}.")
        least, most = {"regression": (1, None), "binary": (1, 1), "ordinal": (1, 1)}.get(self.kind, (2, None))
        if self.count < least or (most is not None and self.count > most):
            raise ValueError(f"Targets of kind {self.kind} can't have {self.count} columns.")
        if (self.classes >= 2) != (self.kind == "ordinal"):
            raise ValueError(f"An ordinal target needs 2 ranks at least, others none, but classes is {self.classes}.")
        if self.observed < 0:
            raise ValueError(f"observed must not be below 0 steps, but is {self.observed}.")
        if self.observed and self.level == "series":
            raise ValueError(f"A target of whole series has no known first steps, but observed is {self.observed}.")
        for name, values in (("center", self.center), ("scale", self.scale)):
            if len(values) not in (0, self.count):
                raise ValueError(
                    f"{name} must hold a number for each of the {self.count} targets, or nothing, "
                    f"but holds {len(values)}."
                )
        if not all(scale > 0 for scale in self.scale):
            raise ValueError(f"scale must be above 0, but is {list(self.scale)}.")
        if len(self.grids) not in (0, self.count):
            raise ValueError(
                f"grids must hold a grid or None for each of the {self.count} targets, or nothing, "
                f"but holds {len(self.grids)}."
            )
        for target, grid in enumerate(self.grids):
            if grid is not None and not (grid[1] > 0 and grid[2] >= 1):
                raise ValueError(
                    f"A grid is (offset, step > 0, count >= 1), but that of target {target} is {tuple(grid)}."
                )


SMALLEST_WEIGHT = 1e-12  # sums of weights up to this count as 0: nothing to learn from


class Head(nn.Module, ABC):
    """The map from the body's (B, T, H) to raw outputs, their loss, the prediction and its expected error.

    Every loss is a weighted sum over steps divided by `weight.sum()`: the sums of a batch's parts add up to the sum of
    the batch, and gradients accumulate exactly.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("regression",)  # of targets that it serves
    target_levels: ClassVar[tuple[Level, ...]] = ("step", "series")  # likewise
    own_unit: ClassVar[bool] = False  # whether its loss is taken in the targets' own unit: it reads center and scale
    nonnegative: ClassVar[bool] = False  # whether the targets, in their own unit, must not be below 0

    @abstractmethod
    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (B, T, H) to raw outputs (B, T, P).

        mask: (B, T) bool, True at real steps; None: all are. Read where steps are pooled; there T of the output is 1.
        """

    def loss(self, raw: Tensor, y: Tensor, weight: Tensor, known: Tensor | None) -> Tensor:
        """Return the loss, a scalar: `loss_sum` by the sum of the weights; 0 where all weights are 0."""
        scale = weight.sum()
        return self.loss_sum(raw, y, weight, known) * (scale > SMALLEST_WEIGHT) / scale.clamp(min=SMALLEST_WEIGHT)

    @abstractmethod
    def loss_sum(self, raw: Tensor, y: Tensor, weight: Tensor, known: Tensor | None) -> Tensor:
        """Return the weighted sum of all steps' losses, a scalar.

        Args:
            raw: (B, T, P) of `forward`.
            y: (B, T, K) finite, scaled; any number where it is not known.
            weight: (B, T) float32, not below 0; 0: the step is not scored. A weight above 0 implies known.
            known: (B, T, K) bool, True where a target's value is given at a real step; None: at every step, and all
                steps are real.
        """

    @abstractmethod
    def predict(self, raw: Tensor, scored: Tensor) -> Tensor:
        """Return the prediction (B, T, K), scaled, of raw outputs (B, T, P); scored: (B, T) bool, the scored steps."""

    def spread(self, raw: Tensor) -> Tensor | None:
        """Return the prediction's expected absolute error (B, T, K), scaled; None: the head does not estimate it."""
        return None


class Embed(nn.Module):
    """Learned embeddings of the static columns: (B, S) codes -> (B, S * size).

    Code 0 stands for a value unseen in training, n for a column's n-th known one. Instead of codes, a float (B, S, L)
    mixture holds weights over the codes, L the most that any column has: the embeddings are averaged by them.
    """

    def __init__(self, levels: tuple[int, ...], size: int) -> None:
        """levels: number of known values of each static column."""
        super().__init__()
        self.tables = nn.ParameterList(torch.randn(count + 1, size) for count in levels)

    def forward(self, static: Tensor) -> Tensor:
        """static: (B, S) int64 codes, or (B, S, L) float weights -> (B, S * size)."""
        if static.is_floating_point():
            parts = [static[:, column, : len(table)] @ table for column, table in enumerate(self.tables)]
        else:
            parts = [functional.embedding(static[:, column], table) for column, table in enumerate(self.tables)]
        return torch.cat(parts, dim=-1)


State = Tensor | tuple[Tensor, Tensor] | None  # h0, or (h0, c0), each (directions, B, units); None: zeros


def run_recurrent(layer: nn.LSTM | nn.GRU, x: Tensor, mask: Tensor | None, state: State = None) -> Tensor:
    """Run a layer, (B, T, in) -> (B, T, out); padded series are packed: the backward pass starts at their own end.

    state: the initial one.
    """
    if mask is None:
        return run_unpacked(layer, x, state)[0]
    if half_stands_for_bfloat16(layer, x.device):
        with torch.autocast(x.device.type, enabled=False):
            return run_recurrent(layer, x.float(), mask, _of_state(Tensor.float, state))
    packing = packing_of(mask)
    state = _of_state(lambda part: part.index_select(1, packing.order), state)
    return packing.unpack(layer(packing.pack(x), state)[0], x.shape[1])


def run_unpacked(layer: nn.Module, x: Tensor, state: Any) -> tuple[Tensor, Any]:
    """Run a layer on full series and return its output and last state, as torch has them.

    Autocast hands an unpacked LSTM to oneDNN in half precision even on processors where oneDNN has no such LSTM (x86
    without AVX-512), and that fails: there it runs in float32.
    """
    no_half = x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and not onednn_has_half_lstm()
    if no_half or half_stands_for_bfloat16(layer, x.device):
        with torch.autocast(x.device.type, enabled=False):
            return run_unpacked(layer, x.float(), _of_state(Tensor.float, state))
    out, last = layer(x, state)
    return out, last


def _of_state(change: Callable[[Tensor], Tensor], state: State) -> State:
    """Return `change` of each part of a layer's state."""
    if state is None or isinstance(state, Tensor):
        return None if state is None else change(state)
    return change(state[0]), change(state[1])


def half_stands_for_bfloat16(layer: nn.Module, device: torch.device) -> bool:
    """Check whether autocast to bfloat16, if it is on, would compute a recurrent layer in float16.

    torch's autocast casts what goes to cuDNN's recurrences to float16, whichever dtype it was asked for. In training
    that needs a loss scale, which bfloat16 has none of: such a layer runs in float32, by TF32 products (precision.py).
    """
    if device.type == "cpu" or not torch.is_autocast_enabled(device.type):
        return False
    if torch.get_autocast_dtype(device.type) != torch.bfloat16:
        return False
    return output_dtype(type(layer).__name__, device) == torch.float16


@cache
def output_dtype(kind: str, device: torch.device) -> torch.dtype:
    """Return the dtype that an "LSTM" or "GRU" really gives under autocast to bfloat16, by running one of one unit."""
    # Made on "meta": drawing weights would change what is drawn next.
    layer = getattr(nn, kind)(1, 1, device="meta").to_empty(device=device)
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        out: Tensor = layer(torch.zeros(1, 1, 1, device=device))[0]
    return out.dtype


def onednn_has_half_lstm() -> bool:
    """Check whether an LSTM in autocast's dtype works on this CPU: natively in oneDNN, or without oneDNN."""
    if not torch._C._has_mkldnn or not torch.backends.mkldnn.enabled:
        return True
    half = torch.get_autocast_dtype("cpu") == torch.float16
    operators = torch.ops.mkldnn
    return bool(operators._is_mkldnn_fp16_supported() if half else operators._is_mkldnn_bf16_supported())


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Set padded steps of x (B, T, C) to 0: a window over padding is then one over the end of a full series."""
    return x if mask is None else x * mask.unsqueeze(-1)


def append_static(x: Tensor, static: Tensor) -> Tensor:
    """Append a series' constants (B, E) to each of its steps: (B, T, F) -> (B, T, F + E)."""
    return torch.cat([x, static.unsqueeze(1).expand(-1, x.shape[1], -1)], dim=-1)
