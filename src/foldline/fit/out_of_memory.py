"""What full device memory looks like, and how passes are made smaller where their size is no part of the result."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from foldline.core.chunks import chunks
from foldline.core.errors import UserError

Result = TypeVar("Result")


class FullMemory(UserError):
    """The device's memory is too small for what a config asks for."""


ONE_IS_TOO_MUCH = (
    "The device's memory is full even with one series in a pass. Make the network smaller, crop more steps "
    "(train.margin), or train fewer cells at once (executor.together)."
)
NETWORK_IS_TOO_LARGE = (
    "The device's memory is full with the network's weights and the optimiser's moments alone, before the first pass. "
    "Make the network smaller, or train fewer cells at once (executor.together)."
)
STEP_IS_TOO_MUCH = (
    "The device's memory is full outside of a pass (at a batch's augmentation, or the update or average of weights), "
    "where a smaller train.micro does not help. Set a smaller train.batch, make the network smaller, or train fewer "
    "cells at once (executor.together). The last checkpoint is kept."
)
# Lower case, as they stand in a RuntimeError's message: only PyTorch's own CUDA allocator has an error class for it.
PHRASES = (
    "out of memory",  # CUDA's runtime, MPS
    "cudnn_status_alloc_failed",
    "device_allocation_failed",  # cuDNN 9: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED
    "cublas_status_alloc_failed",
    "can't allocate memory",  # the CPU's allocator on Linux and macOS
    "not enough memory",  # the same on Windows
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the device's memory is full, whichever library it comes from."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in PHRASES)


def attempt(run: Callable[[], Result]) -> Result | None:
    """Return what `run` returns, None where memory is full.

    The caller goes on outside of the `except` block: inside it the error's traceback holds the tensors that fill the
    memory.
    """
    try:
        return run()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    return None


@contextmanager
def reporting_full_memory(message: str) -> Iterator[None]:
    """Raise FullMemory with this message where memory is full: for work that can't be done in smaller parts."""
    try:
        yield
        return
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    raise FullMemory(message)


def in_parts(
    run: Callable[[Tensor], Tensor], count: int, size: int, device: torch.device, at_once: int = 1
) -> Iterator[Tensor]:
    """Yield `run` of the indices 0 .. count - 1, `size` at a time; of half as many where memory is full.

    For predictions: how many series go together is no part of their result.

    Args:
        at_once: on a CPU, how many parts are computed side by side, a thread each; where memory is full, one again.

    Raises:
        FullMemory: one series is too much.
    """
    first = 0
    if device.type == "cpu" and min(at_once, count // size) > 1:
        with closing(_side_by_side(run, count, size, at_once)) as results:
            for result in results:
                if result is None:
                    break
                yield result
                first += len(result)
    while first < count:
        tried = min(size, count - first)
        index = torch.arange(first, first + tried, device=device)
        result = attempt(partial(run, index))
        if result is not None:
            yield result
            first += tried
        elif tried == 1:
            raise FullMemory(ONE_IS_TOO_MUCH)
        else:
            size = tried // 2
            free_cache(device)


def _side_by_side(
    run: Callable[[Tensor], Tensor], count: int, size: int, at_once: int
) -> Generator[Tensor | None, None, None]:
    """Yield `run` of parts in their order, None for one that memory is too small for."""
    threads = torch.get_num_threads()  # of an operation: a new thread would take what the process began with
    waiting = deque[Future[Tensor | None]]()
    pool = ThreadPoolExecutor(at_once, initializer=torch.set_num_threads, initargs=(threads,))
    try:
        for part in chunks(count, size):
            waiting.append(pool.submit(attempt, partial(run, torch.arange(part.start, part.stop))))
            if len(waiting) > at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def free_cache(device: torch.device) -> None:
    """Give back what the allocator keeps for later: its blocks have the size of passes that did not fit."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
