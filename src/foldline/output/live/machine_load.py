"""What a machine is doing: processors, memory, graphics cards, and what a run has of that."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections import deque
from dataclasses import dataclass

import psutil

KEPT = 600  # states: with one every second, of the last ten minutes
LEAST_S, MOST_S = 0.5, 10.0  # between two states: in less nothing can be counted; after more the past is forgotten
QUERY = "--query-gpu=name,utilization.gpu,memory.used,memory.total"
GPU_S = 5.0  # longest wait for nvidia-smi; one that does not answer is not asked again
MIB = 2**20


@dataclass(frozen=True)
class Gpu:
    """A graphics card."""

    name: str
    busy: float  # %
    used: int  # bytes
    total: int  # bytes

    @property
    def full(self) -> float:
        """How much of its memory is used, %."""
        return 100 * self.used / self.total if self.total else 0.0


@dataclass(frozen=True)
class Load:
    """The load at a moment."""

    time: float  # s since 1970
    cpu: float  # %, of all cores
    used: int  # bytes of memory
    total: int  # bytes of memory
    gpus: tuple[Gpu, ...]

    @property
    def full(self) -> float:
        """How much of the memory is used, %."""
        return 100 * self.used / self.total


class MachineLoad:
    """The load of this machine, as it was each time that it was measured."""

    def __init__(self) -> None:
        self.history: deque[Load] = deque(maxlen=KEPT)
        self.nvidia = shutil.which("nvidia-smi")
        self._last, self._times = time.monotonic(), _cpu_times()

    def measure(self) -> None:
        """Measure the load since the last call, and remember it."""
        now = time.monotonic()
        if now - self._last < LEAST_S:
            return
        if now - self._last > MOST_S:
            self.history.clear()
        self._last, memory = now, psutil.virtual_memory()
        used = memory.total - memory.available
        self.history.append(Load(time.time(), self._cpu(), used, memory.total, self._gpus()))

    def _cpu(self) -> float:
        """Compute how busy the processors were since the last call, %."""
        (idle, whole), now = self._times, _cpu_times()
        self._times = now
        return 100 * max(0.0, 1 - (now[0] - idle) / (now[1] - whole)) if now[1] > whole else 0.0

    def _gpus(self) -> tuple[Gpu, ...]:
        if self.nvidia is None:
            return ()
        command = [self.nvidia, QUERY, "--format=csv,noheader,nounits"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=GPU_S)
        except (OSError, subprocess.TimeoutExpired):
            self.nvidia = None
            return ()
        return gpus_of(answer.stdout) if answer.returncode == 0 else ()


def _cpu_times() -> tuple[float, float]:
    """Add up how long processors have been idle, and all their time, s since the machine began.

    psutil.cpu_percent would do, but it remembers each thread's calls apart: every browser has a thread of its own here.
    """
    times = psutil.cpu_times()._asdict()
    guests = times.get("guest", 0.0) + times.get("guest_nice", 0.0)  # Linux counts these in user and nice, too
    return times["idle"] + times.get("iowait", 0.0), sum(times.values()) - guests


def gpus_of(text: str) -> tuple[Gpu, ...]:
    """Read the answer of nvidia-smi, a line a card: name, % busy, MiB used, MiB in all. "[N/A]" counts as 0."""
    found = []
    for line in text.splitlines():
        name, *values = [part.strip() for part in line.rsplit(",", 3)]
        if len(values) == 3:
            busy, used, total = (int(value) if value.isdigit() else 0 for value in values)
            found.append(Gpu(name, busy, used * MIB, total * MIB))
    return tuple(found)


def processes_of(root: int) -> tuple[int, int]:
    """Count a process and all that it has started, and the bytes of memory that are theirs."""
    try:
        first = psutil.Process(root)
        every = [first, *first.children(recursive=True)]
    except psutil.Error:  # it has ended
        return 0, 0
    each = []
    for process in every:
        with contextlib.suppress(psutil.Error):  # a worker that has just ended has no memory; the others do
            each.append(process.memory_info().rss)
    return len(each), sum(each)
