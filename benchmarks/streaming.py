"""What it costs to read features from the store while training (train.resident), beside features on the device. Run:

    ./run.sh bench streaming                                      # 1,000,000 rows, some five minutes on two cores
    ./run.sh bench streaming --rows 10000000 --parts reading      # reading alone

Series of 1 to 150 steps and 40 features. `training`: each line is a process of its own that trains a small network: the
smaller it is, the less time there is to read the next batch meanwhile. `step` is the time of a training step, `x` its
ratio to the first line, `cpu` the processor's time for it, which other work on the machine changes less, `memory` the
largest anonymous memory beyond that before the series were placed. `reading`: seconds that an epoch's reads take alone.

`cold`: the system has dropped the file before. `tenth`: it drops it each time that a tenth of an epoch has been read,
as if memory held no more of it.
"""

import argparse
import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch._dynamo  # an optimiser imports it: that memory is not the data's

from foldline.core.chunks import chunks
from foldline.data.store import Store
from foldline.fit import datasets, network_build, scaler, trainer
from foldline.fit.labelled_series import labelled_series
from foldline.fit.process_state import use_settings
from foldline.fit.row_sources import StoredRows
from foldline.fit.train_config import TrainConfig
from foldline.fit.training_state import State
from foldline.fit.training_windows import Windows, whole_series

ROOT = Path(__file__).resolve().parents[1]
FEATURES, LONGEST, BATCH = 40, 150, 64
WARM_UP = 3  # steps before the clock starts
LIMIT_S = 30.0  # of reading an epoch
CACHES = ("warm", "cold", "tenth")
PARAMS = {"width": 16, "blocks": [{"kind": "conv"}, {"kind": "conv"}]}


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a process measures."""

    path: str  # of the features, absolute
    rows: int
    steps: int  # timed ones
    resident: str = "on"
    shuffle: str = "all"
    cache: str = "warm"
    device: str = "cpu"


def write_features(path: Path, rows: int) -> None:
    """Write random features, (rows, FEATURES) float32, some at a time."""
    x = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, FEATURES))
    for first in range(0, rows, 1 << 16):
        x[first : first + (1 << 16)] = np.random.default_rng(first).standard_normal(x[first : first + (1 << 16)].shape)
    x.flush()


def store_of(task: Task) -> Store:
    """Open the features as series of random lengths."""
    lengths = np.random.default_rng(0).integers(1, LONGEST + 1, size=2 * task.rows // LONGEST)
    lengths = lengths[np.cumsum(lengths) <= task.rows]
    rows = int(lengths.sum())
    x = np.load(task.path, mmap_mode="r")
    return Store(
        path=Path(task.path).parent,
        names=tuple(f"f{number}" for number in range(FEATURES)),
        x=x,
        static=np.zeros((len(lengths), 0), dtype=np.int64),
        lengths=lengths,
        scored=np.ones(rows, dtype=bool),
        y=np.random.default_rng(1).standard_normal((rows, 1)),
        known=np.broadcast_to(True, (rows, 1)),
        labelled=True,
        observed=0,
        fingerprint="random",
        levels=(),
        of_static=(False,) * FEATURES,
    )


def drop(store: Store, path: str) -> None:
    """Let the system forget what it keeps of the file."""
    store.x._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)


def anonymous() -> int:
    """Bytes of this process that are in no file: pages of a mapped file belong to the system."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem")))


def measure(task: Task) -> dict[str, float]:
    """Train for some steps: seconds a step, and bytes of memory."""
    store = store_of(task)
    config = TrainConfig(
        epochs=1000,
        batch=BATCH,
        resident=task.resident,  # type: ignore[arg-type]
        shuffle=task.shuffle,  # type: ignore[arg-type]
        device=task.device,  # type: ignore[arg-type]
        checkpoint_s=1e9,
    )
    device, every = torch.device(task.device), np.arange(len(store.lengths))
    use_settings(config, device)
    fitted = scaler.fit("standard", store, every[:1000], 0)
    part = labelled_series(store, every)
    before = anonymous()
    fold = datasets.to_train([part], fitted, config, 0, device)
    state = State(network_build.network_of("hybrid", PARAMS, store, fitted), config, device)
    steps = trainer.train(state, config, 0, fold, None, lambda kind, **values: None, Path(tempfile.gettempdir()))
    for _ in range(WARM_UP):
        next(steps)
    if task.cache != "warm":
        drop(store, task.path)
    seconds, cpu, most = _timed(steps, task, store)
    if task.device == "cuda":
        most = before + torch.cuda.max_memory_allocated()
    return {"step_s": seconds, "cpu_s": cpu, "memory_bytes": max(most - before, 0), "series": len(every)}


def _timed(steps: Iterator[None], task: Task, store: Store) -> tuple[float, float, int]:
    most, began, cpu_began = anonymous(), time.perf_counter(), time.process_time()
    a_tenth = max(1, len(store.lengths) // BATCH // 10)
    for step in range(task.steps):
        next(steps)
        if step % 20 == 0:
            most = max(most, anonymous())
        if task.cache == "tenth" and step % a_tenth == 0:
            drop(store, task.path)
    if task.device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / task.steps, (time.process_time() - cpu_began) / task.steps, most


def reading(path: Path, rows: int) -> None:
    """Print a line for each order: seconds that an epoch's reads take, extrapolated from LIMIT_S of it."""
    task = Task(path=str(path), rows=rows, steps=0)
    store = store_of(task)
    every = np.arange(len(store.lengths))
    source, windows = StoredRows([labelled_series(store, every)]), whole_series(store.lengths)
    near = trainer.NEAR_BYTES // (4 * FEATURES * LONGEST // 2)
    orders = {
        "in the store's order": every,
        "all": trainer.shuffled(np.zeros_like(every), BATCH, 0, 0),
        "blocks": trainer.shuffled(np.zeros_like(every), BATCH, 0, 0, near),
    }
    print(f"\n{'reading, s an epoch':32}" + "".join(f"{cache:>10}" for cache in CACHES))
    for name, order in orders.items():
        seconds = [_read(source, windows, order, task, store, cache) for cache in CACHES]
        print(f"{name:32}" + "".join(f"{each:10.1f}" for each in seconds), flush=True)


def _read(source: StoredRows, windows: Windows, order: np.ndarray, task: Task, store: Store, cache: str) -> float:
    if cache != "warm":
        drop(store, task.path)
    began, batches = time.perf_counter(), list(chunks(len(order), BATCH))
    for number, part in enumerate(batches):
        source.read(windows.some(order[part]), LONGEST)
        if cache == "tenth" and number % max(1, len(batches) // 10) == 0:
            drop(store, task.path)
        if time.perf_counter() - began > LIMIT_S:
            break
    return (time.perf_counter() - began) * len(batches) / (number + 1)


def run(task: Task) -> dict[str, float]:
    """Measure in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.streaming", "--task", json.dumps(asdict(task))]
    done = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def training(path: Path, rows: int, steps: int, runs: int, device: str) -> None:
    """Measure each way, and print a line of it."""
    lines = {
        "on the device": {},
        "from the store": {"resident": "off"},
        "from the store, blocks": {"resident": "off", "shuffle": "blocks"},
        "from the store, cold": {"resident": "off", "cache": "cold"},
        "from the store, tenth": {"resident": "off", "cache": "tenth"},
        "from the store, blocks, tenth": {"resident": "off", "shuffle": "blocks", "cache": "tenth"},
    }
    print(f"\n{f'training, batches of {BATCH}, {device}':32}{'step, ms':>10}{'x':>7}{'cpu, ms':>10}{'memory, MB':>12}")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in lines}
    for _ in range(runs):
        for name, changes in lines.items():
            found[name].append(run(Task(path=str(path), rows=rows, steps=steps, device=device, **changes)))
    first = found["on the device"]
    for name, each in found.items():
        ratio = median(mine["step_s"] / base["step_s"] for mine, base in zip(each, first, strict=True))
        step, cpu, memory = (median(one[key] for one in each) for key in ("step_s", "cpu_s", "memory_bytes"))
        print(f"{name:32}{1000 * step:10.1f}{ratio:7.2f}{1000 * cpu:10.1f}{memory / 1e6:12.0f}", flush=True)


def main(argv: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="streaming", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--parts", default="training,reading", help="which tables (default: both)")
    parser.add_argument("--steps", type=int, default=200, help="timed steps of a process; an epoch has rows / 4,800")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to measure (default: a temporary one)")
    parser.add_argument("--task", default="", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.task:
        print(json.dumps(measure(Task(**json.loads(options.task)))))
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder).resolve() / "x.npy"
        write_features(path, options.rows)
        print(f"{options.rows:,} rows of {FEATURES} features ({options.rows * FEATURES * 4 / 1e6:,.0f} MB)")
        if "training" in options.parts:
            training(path, options.rows, options.steps, options.runs, options.device)
        if "reading" in options.parts:
            reading(path, options.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
