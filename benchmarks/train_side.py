"""The measured half of benchmarks/train.py: one side, in a fresh process, prints what it did as one line of JSON.

    python -m benchmarks.train_side '{"side": "ours", "network": "first_place", "steps": 5, ...}'

All of it on random breaths of the competition's shape: 80 steps of which the first 31 are scored, 37 features.
"""

import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import train_rival
from benchmarks.measured import peak_bytes
from foldline.fit import network_build, step_graphs, trainer
from foldline.fit.device_block import Block
from foldline.fit.device_dataset import DeviceDataset
from foldline.fit.process_state import use_settings, with_settings
from foldline.fit.train_config import TrainConfig
from foldline.fit.training_state import State
from foldline.models.contract import Targets

STEPS, SCORED, FEATURES = 80, 31, 37
WARM_UP = 3  # turns before the clock starts

# The networks of the project's performance notes; a bi-LSTM of 512 units has 512 in each direction.
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "first_place": ("first_place", {}),
    "bi-LSTM 4x512": ("hybrid", {"width": 1024, "blocks": [{"kind": "bilstm"}] * 4}),
    "bi-GRU 4x512": ("hybrid", {"width": 1024, "blocks": [{"kind": "gru"}] * 4}),
    "TCN 256x8": ("hybrid", {"width": 256, "blocks": [{"kind": "tcn", "levels": 8}]}),
    "Transformer 256x4": ("hybrid", {"width": 256, "blocks": [{"kind": "transformer", "ffn": 4}] * 4}),
    "bi-LSTM 2x64": ("hybrid", {"width": 128, "blocks": [{"kind": "bilstm"}] * 2}),
    "bi-GRU 2x64": ("hybrid", {"width": 128, "blocks": [{"kind": "gru"}] * 2}),
    "TCN 64x6": ("hybrid", {"width": 64, "blocks": [{"kind": "tcn", "levels": 6}]}),
    "Transformer 64x3": ("hybrid", {"width": 64, "blocks": [{"kind": "transformer", "ffn": 4}] * 3}),
}


@dataclass(frozen=True, kw_only=True)
class Task:
    """What to measure."""

    side: str  # "ours", "rival", or "ceiling": the device's matrix product
    network: str = "first_place"  # of NETWORKS
    batch: int = 128  # breaths
    steps: int = 5  # timed ones
    precision: str = "fp32"
    margin: int = -1  # steps kept behind the last scored one; -1: all 80
    together: int = 1  # cells that take turns
    device: str = "cpu"
    threads: int = 1
    deterministic: str = "auto"
    graphs: bool = False  # train.graphs

    @property
    def kept(self) -> int:
        """T, after cropping."""
        return STEPS if self.margin < 0 else SCORED + self.margin


def breaths(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (N, 80, 37) float32, y (N, 80) float32 and scored (N, 80) bool of random breaths."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, STEPS, FEATURES)).astype(np.float32)
    scored = np.broadcast_to(np.arange(STEPS) < SCORED, (count, STEPS))
    return x, x[:, :, 0].cumsum(axis=1) / 8, scored


def network_of(task: Task) -> Any:
    """The task's network, on 37 features and one target."""
    name, params = NETWORKS[task.network]
    return network_build.build(name, params, FEATURES, (), Targets(count=1))


def gflop_a_breath(task: Task) -> float:
    """Floating-point operations of one breath's forward and backward pass: three times the forward one's."""
    with torch.device("meta"), torch.no_grad():
        network, x = network_of(task), torch.empty(1, task.kept, FEATURES)
        with FlopCounterMode(display=False) as counted:
            network(x, torch.zeros(1, 0, dtype=torch.long), None)
    return 3 * float(counted.get_total_flops()) / 1e9


def ours(task: Task) -> float:
    """Samples per second of the engine's own loop, all cells together."""
    config = TrainConfig(
        epochs=10_000,
        batch=task.batch,
        precision=task.precision,  # type: ignore[arg-type]
        device=task.device,  # type: ignore[arg-type]
        threads=task.threads,
        deterministic=task.deterministic,  # type: ignore[arg-type]
        graphs=task.graphs,
        checkpoint_s=1e9,
    )
    turns = [_cell(task, config, seed) for seed in range(task.together)]
    began = 0.0
    first = WARM_UP + (step_graphs.WARM_UP if task.graphs else 0)
    for step in range(first + task.steps):
        if step == first:
            began = _now(task)
        for turn in turns:
            next(turn)
    return task.batch * task.steps * task.together / (_now(task) - began)


def _cell(task: Task, config: TrainConfig, seed: int) -> Iterator[None]:
    device = torch.device(task.device)
    use_settings(config, device)
    x, y, scored = breaths(4 * task.batch, seed)
    counted = torch.from_numpy(scored[:, : task.kept].copy()).to(device)
    block = Block(
        places=np.arange(len(x)),
        x=torch.from_numpy(x[:, : task.kept].copy()).to(device),
        static=torch.zeros(len(x), 0, dtype=torch.long, device=device),
        mask=None,
        known=None,
        has_unknown=False,
        y=torch.from_numpy(y[:, : task.kept, None].copy()).to(device),
        weight=counted.float(),
        scored=counted.bool(),
        absent={},
        hidden=torch.full((FEATURES,), math.nan, device=device),
        codes=1,
    )
    torch.manual_seed(seed)
    state = State(network_of(task).to(device), config, device)
    steps = trainer.train(state, config, seed, DeviceDataset((block,)), None, _silent, Path(tempfile.gettempdir()))
    return with_settings(steps, config, device)


def _silent(kind: str, **values: Any) -> None:
    """Drop an event."""


def _now(task: Task) -> float:
    if task.device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def rival(task: Task) -> float:
    """Samples per second of the rival's loop."""
    torch.set_num_threads(task.threads)
    torch.manual_seed(0)
    x, y, scored = breaths(4 * task.batch)
    device = torch.device(task.device)
    return train_rival.train(network_of(task), x, y, scored, task.batch, task.steps, device)


def ceiling(task: Task) -> float:
    """GFLOP/s of a large matrix product in the task's precision: the fastest of ten."""
    torch.set_num_threads(task.threads)
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(task.precision, torch.float32)
    torch.backends.cuda.matmul.allow_tf32 = task.precision == "tf32"
    size = 8192 if task.device == "cuda" else 2048
    a, b = (torch.randn(size, size, device=task.device).to(kind) for _ in range(2))
    seconds = []
    for _ in range(10):
        began = _now(task)
        a @ b
        seconds.append(_now(task) - began)
    return float(2 * size**3 / min(seconds) / 1e9)


def main() -> None:
    """Measure one task."""
    task = Task(**json.loads(sys.argv[1]))
    figure = {"ours": ours, "rival": rival, "ceiling": ceiling}[task.side](task)
    memory = torch.cuda.max_memory_allocated() if task.device == "cuda" else peak_bytes()
    print(json.dumps({**asdict(task), "figure": figure, "memory_bytes": memory, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
