"""Where a cell ran and what it cost: runs/cells/KEY/cost.json, beside what the cell stores.

These are facts about a machine and a moment. No key hashes them, done.json does not list them, and nothing is lost with
them: a cell whose cost.json is missing, as those of older versions, or damaged is whole, and its cost unknown. They are
those of the run that finished the cell: what a killed run has spent before its last checkpoint is nobody's.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

from foldline.core import artefacts, files
from foldline.core.artefacts import Damaged
from foldline.core.durations import duration

COST = "cost.json"  # in a cell's folder


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a cell cost, from the beginning of its training until its held-out series were predicted."""

    node: str  # the host's name
    device: str  # model of the processor; a GPU's number and name
    waited_s: float  # from when all that the cell needs was done until it began; behind other cells, or for a lock
    wall_s: float
    core_s: float  # processor time of its process, all threads, in the cell's turns
    gpu_s: float  # how long it held a GPU: the time of its turns; 0 on a CPU
    memory: int  # bytes: largest size that its process has had by then
    gpu_memory: int  # bytes: most that its process has allocated there meanwhile
    others: tuple[Cost, ...] = ()  # of the processes that trained it together with that one (train.processes)


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What cells have cost together, on one device or on several."""

    nodes: tuple[str, ...]
    devices: tuple[str, ...]  # of all nodes
    cells: int
    waited_s: float
    core_s: float
    gpu_s: float

    @classmethod
    def of(cls, costs: Iterable[Cost]) -> Spent:
        """Add up costs."""
        cells = list(costs)
        every = [each for cost in cells for each in (cost, *cost.others)]
        return cls(
            nodes=tuple(sorted({cost.node for cost in every})),
            devices=tuple(sorted({cost.device for cost in every})),
            cells=len(cells),
            waited_s=sum(cost.waited_s for cost in every),
            core_s=sum(cost.core_s for cost in every),
            gpu_s=sum(cost.gpu_s for cost in every),
        )

    def __str__(self) -> str:
        nodes = f"{len(self.nodes)} node{'s' if len(self.nodes) > 1 else ''}"
        each = duration(self.waited_s / max(1, self.cells))  # cells wait at once: their sum outlasts the run
        gpus = f"{duration(self.gpu_s)} of GPUs, " if self.gpu_s else ""
        spent = f"{duration(self.core_s)} of cores, {gpus}a cell waited {each} on average"
        return f"{self.cells} cell{'s' if self.cells > 1 else ''} on {nodes}: {spent}"

    @property
    def row(self) -> list[str]:
        """Write it as a row of a table with COLUMNS."""
        minutes = [f"{seconds / 60:.1f}" for seconds in (self.waited_s, self.core_s, self.gpu_s)]
        return [", ".join(self.nodes), ", ".join(self.devices), str(self.cells), *minutes]


COLUMNS = ("node", "device", "cells", "minutes waited", "core minutes", "GPU minutes")


def by_device(costs: Iterable[Cost]) -> list[Spent]:
    """Add up costs for each device of each node, in the order of their names."""
    found: dict[tuple[str, str], list[Cost]] = {}
    for cost in (each for cell in costs for each in (replace(cell, others=()), *cell.others)):
        found.setdefault((cost.node, cost.device), []).append(cost)
    return [Spent.of(found[place]) for place in sorted(found)]


def cost_of(key: str) -> Cost | None:
    """Read what a stored cell cost; None: nobody knows."""
    try:
        value = artefacts.read_json(files.runs() / "cells" / key / COST)
        return Cost(**{**value, "others": tuple(Cost(**other) for other in value.get("others", ()))})
    except (Damaged, TypeError):  # TypeError: another version's
        return None


def costs_of(keys: Iterable[str]) -> list[Cost]:
    """Read what stored cells cost, those of which it is known."""
    return [cost for key in keys if (cost := cost_of(key)) is not None]


class Meter:
    """Measures a cell while it runs, also where it takes turns with others in a process."""

    def __init__(self, device: str, since: float | None) -> None:
        """Begin.

        Args:
            device: as train.device_used says it: cpu, cuda, mps.
            since: when the cell could have begun, s since 1970; None: just now.
        """
        self._on_gpu = device != "cpu"
        self._device, self._cuda = _name_of(device), device == "cuda"
        self._waited = 0.0 if since is None else max(0.0, time.time() - since)  # two nodes' clocks may differ a little
        self._began = self._turn = time.perf_counter()
        self._core_turn = time.process_time()
        self._core = self._held = 0.0  # s, of the turns before this one
        self.others: Sequence[Cost] = ()  # of other processes that train it, once it is trained
        if self._cuda:
            import torch

            torch.cuda.reset_peak_memory_stats()

    def turns(self, steps: Iterator[None]) -> Iterator[None]:
        """Go through a cell's steps; what others do between them is not counted."""
        self._turn, self._core_turn = time.perf_counter(), time.process_time()
        for _ in steps:
            self._core, self._held = self._core_so_far(), self._held_so_far()
            yield
            self._turn, self._core_turn = time.perf_counter(), time.process_time()

    def write(self, folder: Path) -> None:
        """Write cost.json of the cell whose turn it is."""
        artefacts.write_json(folder / COST, asdict(self.cost()))

    def cost(self) -> Cost:
        """Return what the cell, whose turn it is, has cost so far."""
        return Cost(
            node=platform.node() or "unknown",
            device=self._device,
            waited_s=self._waited,
            wall_s=time.perf_counter() - self._began,
            core_s=self._core_so_far(),
            gpu_s=self._held_so_far() if self._on_gpu else 0.0,
            memory=_peak_memory(),
            gpu_memory=self._gpu_memory(),
            others=tuple(self.others),
        )

    def _core_so_far(self) -> float:
        return self._core + time.process_time() - self._core_turn

    def _held_so_far(self) -> float:
        return self._held + time.perf_counter() - self._turn

    def _gpu_memory(self) -> int:
        if not self._cuda:
            return 0
        import torch

        return int(torch.cuda.max_memory_allocated())


def _peak_memory() -> int:
    """Return the largest size that this process has had, bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


@cache
def _name_of(device: str) -> str:
    """Name a device of this process: the processor's model, or a GPU's number on this node and its name."""
    if device == "cpu":
        return _processor()
    if device != "cuda":
        return f"GPU ({device})"
    import torch

    number = torch.cuda.current_device()
    visible = [word.strip() for word in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if word.strip()]
    return f"GPU {visible[number] if number < len(visible) else number}, {torch.cuda.get_device_name(number)}"


def _processor() -> str:
    """Return the processor's model, or where nothing says it, its kind."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine() or "CPU"
