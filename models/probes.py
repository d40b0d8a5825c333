"""Measurements on a network: its receptive field, the length of its gradient paths, its error when truncated.

Used by the contract tests, which compare them with the declared values, and by `benchmarks/memory_tasks.py`. A `run`
is anything that maps (B, T, in) to (B, T, out), for instance `partial(block, mask=None)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Run = Callable[[Tensor], Tensor]


def _total(out: Tensor) -> Tensor:
    """Sum (B, out) with unequal weights: the plain sum of a layer norm's outputs is constant."""
    return (out * torch.linspace(1, 2, out.shape[1], dtype=out.dtype, device=out.device)).sum()


def receptive_field(run: Run, x: Tensor, step: int) -> list[int]:
    """Return the input steps that the output at `step` depends on, by its gradient. x: (B, T, in), of any values."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(_total(run(x)[:, step]), x)  # (B, T, in)
    return [index for index, size in enumerate(slope.abs().sum(dim=(0, 2)).tolist()) if size]


def path_length(run: Run, x: Tensor, hops: Sequence[nn.Module]) -> int:
    """Count the calls of the modules `hops` on the path of the last output's gradient to the first input.

    One for each step in a recurrence that is run step by step, one for each level of a tree or of a stack of
    convolutions. Shorter paths make long dependencies learnable (Vaswani et al. 2017, table 1).

    Raises:
        ValueError: the last output does not depend on the first input, so that there is no path.
    """
    outputs: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        outputs.append(output if isinstance(output, Tensor) else output[0])

    x = x.detach().requires_grad_()
    handles = [module.register_forward_hook(keep) for module in hops]
    try:
        last = _total(run(x)[:, -1])
    finally:
        for handle in handles:
            handle.remove()
    slope, *slopes = torch.autograd.grad(last, [x, *outputs], allow_unused=True)
    if slope is None or not slope[:, 0].any():
        raise ValueError("A path leads from the first input to the last output, but here that gradient is 0.")
    return sum(slope is not None and bool(slope.any()) for slope in slopes)


@torch.no_grad()
def truncated(run: Run, x: Tensor, steps: int) -> Tensor:
    """Return the outputs of a recurrence that starts anew `steps` steps before each output, its own step among them.

    Miller & Hardt 2019, https://arxiv.org/abs/1805.10369 (section 2.2): the truncated model is a feed-forward net on
    the last `steps` inputs; a stable recurrence is nearly that. (B, T, in) -> (B, T, out).

    Raises:
        ValueError: steps is below 1.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, the output's own, but is {steps}.")
    start = run(x[:, :steps])  # up to there nothing is cut off
    if steps >= x.shape[1]:
        return start
    windows = x.unfold(1, steps, 1)[:, 1:].transpose(2, 3)  # (B, T - steps, steps, in)
    ends = run(windows.flatten(0, 1))[:, -1]  # (B (T - steps), out)
    return torch.cat([start, ends.view(*windows.shape[:2], -1)], dim=1)
