"""PyTorch's settings of the whole process, set again before each step of a cell.

Threads, deterministic operations and cuDNN's search for the fastest algorithm belong to the process, not to a network.
Cells that take turns in one process (executor.together) may differ in them, and sums depend on them: each cell's
settings are set whenever it goes on. That costs two look-ups a step; a setting is changed only where it differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from foldline.fit.train_config import TrainConfig

_END = object()


def use_settings(config: TrainConfig, device: torch.device) -> None:
    """Set CPU threads, and which operations may be used on the device, for the process."""
    use_threads(config)
    # The CPU's operations give the same bits every time anyway. Switching them on imports the compiler: seconds.
    deterministic = config.is_deterministic and device.type != "cpu"
    if torch.are_deterministic_algorithms_enabled() != deterministic:
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
    if device.type == "cuda":  # cuDNN's search times its candidates: which one wins depends on the moment
        torch.backends.cudnn.benchmark = not config.is_deterministic


@contextmanager
def kept() -> Iterator[None]:
    """Set all of that back at the end of the block, and the random numbers: for callers with plans of their own."""
    threads, numbers = torch.get_num_threads(), torch.get_rng_state()
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only, searching = torch.is_deterministic_algorithms_warn_only_enabled(), torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(numbers)
        for number, state in enumerate(on_gpus):
            torch.cuda.set_rng_state(state, number)
        if torch.are_deterministic_algorithms_enabled() != deterministic:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.backends.cudnn.benchmark = searching


def use_threads(config: TrainConfig) -> None:
    """Set the CPU threads of the process."""
    if torch.get_num_threads() != config.threads:  # setting it restarts the thread pool
        torch.set_num_threads(config.threads)


def with_settings(steps: Iterator[None], config: TrainConfig, device: torch.device) -> Iterator[None]:
    """Run a cell's steps, each with the cell's own settings and, on a GPU, on a stream of the cell's own.

    Steps of cells that take turns overlap on the GPU because their streams are different.
    """
    stream = None
    if device.type == "cuda":
        torch.cuda.synchronize(device)  # what was placed by now is seen by the new stream
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    while True:
        use_settings(config, device)
        with torch.cuda.stream(stream):  # does nothing with None
            if next(steps, _END) is _END:
                break
        yield
    if stream is not None:
        stream.synchronize()
