"""What a training step costs: seconds and peak memory, in a process of its own, for one number of steps after another.

A fresh process for each system, because a process does not give back the memory that a system took. On a GPU
peak memory is what its allocator held; on a CPU it is how far the process grew beyond what it took before the first
step, so that a few MiB of it are torch's own.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import torch

from foldline.core import worker_start
from foldline.data.store import Store
from foldline.evidence.study import width_search
from foldline.fit import network_build
from foldline.fit.batch import Batch
from foldline.fit.process_state import use_settings
from foldline.fit.training_state import State
from foldline.fit.training_step import training_step
from foldline.models.contract import Targets
from foldline.models.ops import covariates, pairs
from foldline.run.cells import ModelConfig

TRIALS, ENOUGH_S = 5, 2.0  # the fastest of so many steps counts; one that takes so long is its own measurement


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A training step, forward and backward and update, on `batch` series of `steps` steps."""

    batch: int
    steps: int
    step_s: float
    peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class MeasuredModel:
    """A model and the shape of its data: it travels to the measuring process."""

    model: ModelConfig
    names: tuple[str, ...]  # of the features
    places: dict[str, int] = field(default_factory=dict)  # number of known values of those that are places
    channels: int  # of the network's input: features, and known target
    levels: tuple[int, ...]
    targets: Targets

    @classmethod
    def of(cls, model: ModelConfig, store: Store) -> MeasuredModel:
        """Take what the measuring process needs of a store."""
        targets = width_search.targets_of(store)
        return cls(
            model=model,
            names=store.names,
            places=store.places,
            channels=store.channels,
            levels=store.levels,
            targets=targets,
        )


def measured(shape: MeasuredModel, batch: int, steps: Sequence[int]) -> list[Cost]:
    """Run `measure` in a fresh process, forked by a server that has imported what it needs and done nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "torch._dynamo"])  # an optimiser imports the latter: seconds each time
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        with worker_start.without_script():
            measuring = pool.submit(measure, shape, batch, tuple(steps))
        return measuring.result()


def measure(shape: MeasuredModel, batch: int, steps: Sequence[int]) -> list[Cost]:
    """Measure the costs for rising numbers of steps, on random series."""
    config = shape.model.train
    device = torch.device(config.device_used)
    use_settings(config, device)
    name, params = shape.model.name, shape.model.params
    network = network_build.build(name, params, shape.channels, shape.levels, shape.targets, shape.names, shape.places)
    plain = (shape.names, [0.0] * len(shape.names), [1.0] * len(shape.names))
    covariates.set_clocks(network, *plain)
    pairs.set_columns(network, *plain, shape.channels)
    taken = _resident_bytes()  # before the optimiser's moments are allocated: a step needs them
    state = State(network, config, device)
    return [_cost(state, shape, _batch(shape, batch, count, device), taken) for count in steps]


def _batch(shape: MeasuredModel, series: int, steps: int, device: torch.device) -> Batch:
    x = torch.randn(series, steps, shape.channels, device=device)
    answers = 1 if shape.targets.level == "series" else steps
    y = torch.randn(series, answers, shape.targets.count, device=device)
    if shape.targets.kind != "regression":  # the first class, or label, of every answer
        y = torch.zeros_like(y)
        y[..., 0] = 1.0
    static = torch.ones(series, len(shape.levels), dtype=torch.long, device=device)
    ones = torch.ones(series, answers, device=device)
    return Batch(x, static, None, y, ones, ones > 0, None, has_unknown=False)


def _cost(state: State, shape: MeasuredModel, batch: Batch, taken: int) -> Cost:
    """Time steps on one batch. taken: bytes of the process before the first one."""
    config, device = shape.model.train, batch.x.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    state.network.train()
    seconds: list[float] = []
    for _ in range(1 + TRIALS):  # the first one warms up: it is never the fastest
        began = time.perf_counter()
        training_step(state, config, [batch], config.lr)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - began)
        if seconds[-1] > ENOUGH_S:
            break
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else max(0, _peak_bytes() - taken)
    return Cost(batch=len(batch.x), steps=batch.x.shape[1], step_s=min(seconds), peak_bytes=peak)


def _status(field: str) -> int | None:
    """A size in /proc/self/status, bytes; None where the system has no such file."""
    path = Path("/proc/self/status")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field + ":")), None)


def _peak_bytes() -> int:
    """Most memory that this process has held; on Linux not from getrusage, which remembers the parent's."""
    unit = 1 if sys.platform == "darwin" else 1024
    return _status("VmHWM") or unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _resident_bytes() -> int:
    """Memory that this process holds now; where the system does not say, the most it has held until now."""
    return _status("VmRSS") or _peak_bytes()
