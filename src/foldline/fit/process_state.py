"""PyTorch's settings of the whole process, set again before each step of a cell.

Threads, deterministic operations, TF32 and cuDNN's search for fast algorithms belong to the process, not to a network.
Cells that take turns in one process (executor.together) may differ in them, and sums depend on them: each cell's
settings are set whenever it goes on. That costs two look-ups a step; a setting is changed only where it differs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch

from foldline.fit.train_config import TrainConfig

_END = object()
# cuBLAS gives the same bits every time only with a workspace of fixed size, which it reads when it starts:
# https://docs.nvidia.com/cuda/cublas/index.html#results-reproducibility
WORKSPACE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


def before_gpu(configs: Iterable[TrainConfig]) -> None:
    """Set what a GPU's libraries read when they start; workers inherit it. configs: of all cells that will use it."""
    if any(config.deterministic == "on" and config.device_used == "cuda" for config in configs):
        for name, value in WORKSPACE.items():
            os.environ.setdefault(name, value)


def use_settings(config: TrainConfig, device: torch.device) -> None:
    """Set CPU threads, and which operations may be used on the device, for the process."""
    use_threads(config)
    # The CPU's operations give the same bits every time anyway. Switching them on imports the compiler: seconds.
    deterministic = config.is_deterministic and device.type != "cpu"
    if torch.are_deterministic_algorithms_enabled() != deterministic:
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
    if device.type == "cuda":
        # cuDNN's search times its candidates: which one wins depends on the moment
        torch.backends.cudnn.benchmark = not config.is_deterministic
        _use_tf32(config.precision == "tf32", config.precision in ("tf32", "bf16"))


def _use_tf32(products: bool, layers: bool) -> None:
    """Set whether matrix products, and cuDNN's convolutions and recurrences, of fp32 are TF32."""
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = products, layers


def _tf32() -> tuple[bool, bool] | None:
    """Return what `_use_tf32` sets; None where a caller has set it by other names: torch mixes no two kinds."""
    try:
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    except RuntimeError:
        return None


@contextmanager
def kept() -> Iterator[None]:
    """Set all of that back at the end of the block, and the random numbers: for callers with plans of their own."""
    threads, numbers = torch.get_num_threads(), torch.get_rng_state()
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only, searching = torch.is_deterministic_algorithms_warn_only_enabled(), torch.backends.cudnn.benchmark
    tf32 = _tf32()
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
        if tf32 is not None and tf32 != _tf32():
            _use_tf32(*tf32)


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
