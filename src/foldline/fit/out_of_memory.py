"""When the device's memory is full: say the largest batch that fits, or go on with gradients added up over parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from foldline.core.errors import UserError
from foldline.fit.device_dataset import Batch
from foldline.fit.train_config import TrainConfig
from foldline.fit.training_state import State

ONE_IS_TOO_MUCH = (
    "The device's memory is full even with one series in a pass. Make the network smaller, crop more steps "
    "(train.margin), or train fewer cells at once (executor.together)."
)


def fitted(step: Callable[[], Tensor], state: State, config: TrainConfig, batch: Batch) -> Tensor:
    """The step's loss. Where memory is full: what `train.on_oom` says, and never a batch of another size in silence.

    Raises:
        UserError: it is full and may not be halved, or one series is too much.
    """
    try:
        return step()
    except torch.OutOfMemoryError:
        pass  # out of the handler first: the error's traceback holds the tensors that filled the memory
    tried = min(state.counters.micro or config.micro or config.batch, len(batch.x))
    size = largest(step, state, batch, tried)
    if config.on_oom == "stop":
        raise UserError(
            f"The device's memory is full with {tried} series in a pass; {size} fit. Set train.batch={size}, or keep "
            f"the batch and its result with train.micro={size}, or let that be found by itself: train.on_oom=halve."
        )
    return step()


def largest(step: Callable[[], Tensor], state: State, batch: Batch, size: int) -> int:
    """Series per pass that fit, found by halving `size`, which does not; left in the state's counters."""
    while size > 1:
        size //= 2
        state.counters.micro = size
        state.optimiser.zero_grad(set_to_none=True)
        give_back(batch.x.device)
        try:
            step()
            return size
        except torch.OutOfMemoryError:
            continue
    raise UserError(ONE_IS_TOO_MUCH)


def in_parts(run: Callable[[Tensor], Tensor], count: int, size: int, device: torch.device) -> Iterator[Tensor]:
    """`run` on the indices 0 .. count - 1, `size` at a time; on half as many where memory is full.

    For predictions: how many series go together is no part of their result.

    Raises:
        UserError: one series is too much.
    """
    first = 0
    while first < count:
        try:
            found = run(torch.arange(first, min(first + size, count), device=device))
        except torch.OutOfMemoryError:
            found = None  # out of the handler first, as above
        if found is not None:
            yield found
            first += size
        elif size == 1:
            raise UserError(ONE_IS_TOO_MUCH)
        else:
            size = min(size, count) // 2
            give_back(device)


def give_back(device: torch.device) -> None:
    """What the allocator keeps for later is free for passes of another size."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
