"""Whether a network's work grows faster than the steps of a series: counted, not timed.

Time measured on short series tells that badly: what attention takes for each pair of steps is lost in all the rest
until series are long. What is counted are the numbers that operations put out, and the pairs of steps of fused
attention, whose weights never are an output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

STEPS = (32, 64, 128)  # powers of two, which blocks that halve or pad their steps leave as they are
FASTER = 1e-3  # by which the second step up may cost more a step than the first, and still be linear


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the work of all operations while it is on."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.work: int = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self.work += sum(value.numel() for value in tree_leaves(out) if isinstance(value, Tensor))
        if "scaled_dot_product" in str(func):
            query, key = args[:2]  # (B, heads, T, size) each
            self.work += query.numel() // query.shape[-1] * key.shape[-2]
        return out


@torch.no_grad()
def work(run: Callable[[], object]) -> int:
    """Count what a pass puts out."""
    with _Counter() as counter:
        run()
    return int(counter.work)


def grows_faster(run: Callable[[int], object], steps: Sequence[int] = STEPS) -> bool:
    """Return whether work grows faster than in proportion to steps. run: makes a pass over series of so many steps."""
    low, middle, high = (work(lambda count=count: run(count)) for count in steps)  # type: ignore[misc]
    first = (middle - low) / (steps[1] - steps[0])
    return (high - middle) / (steps[2] - steps[1]) > first * (1 + FASTER)
