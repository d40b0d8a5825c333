"""What a command costs, with all processes that it starts: seconds, CPU seconds, and peak memory (on Linux).

Memory is what no file backs: anonymous and shared pages, each counted once however many processes map it. /proc's
smaps_rollup gives a process its share of a page (its proportional set size), and the sum over all is looked at several
times a second.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

LOOK_S = 0.2  # between two looks, at least
LOOK_SHARE = 20  # a look may take up to one part in so many of the time
OWN_MEMORY = ("Pss_Anon:", "Pss_Shmem:")


@dataclass(frozen=True)
class Cost:
    """What one run of a command cost, and what it said."""

    seconds: float
    cpu_seconds: float  # of it and all its descendants
    peak_bytes: int  # 0: not known on this system
    code: int
    output: str
    errors: str


def run(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Cost:
    """Run a command to its end; an interrupt ends it with all that it has started."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            words, cwd=folder, env=dict(environment), stdout=output, stderr=errors, start_new_session=True
        )
        watch = _Watch(process.pid)
        watch.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            watch.end()
        output.seek(0)
        errors.seek(0)
        # wait4 counts what has been waited for; a process that nobody waits for is known by looking at it alone.
        cpu_seconds = max(used.ru_utime + used.ru_stime, watch.cpu_seconds)
        said = output.read().decode(errors="replace"), errors.read().decode(errors="replace")
        return Cost(seconds, cpu_seconds, watch.peak_bytes, process.returncode, *said)


class _Watch(threading.Thread):
    """Looks at a process and its descendants until they have ended."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak_bytes = pid, 0
        self._cpu: dict[tuple[int, float], float] = {}  # (pid, start) -> CPU seconds so far
        self._ended = threading.Event()

    @property
    def cpu_seconds(self) -> float:
        """Of all processes seen, as far as they were looked at."""
        return sum(self._cpu.values())

    def end(self) -> None:
        """Stop looking."""
        self._ended.set()
        self.join()

    def run(self) -> None:
        while not self._ended.is_set():
            began = time.perf_counter()
            self._look()
            self._ended.wait(max(LOOK_S, LOOK_SHARE * (time.perf_counter() - began)))

    def _look(self) -> None:
        with suppress(psutil.Error):
            root = psutil.Process(self.pid)
            total = 0
            for process in [root, *root.children(recursive=True)]:
                with suppress(psutil.Error, OSError):
                    times = process.cpu_times()
                    self._cpu[process.pid, process.create_time()] = times.user + times.system
                    total += own_bytes(process.pid)
            self.peak_bytes = max(self.peak_bytes, total)


def own_bytes(pid: int) -> int:
    """Return a process's share of the memory that no file backs; 0 where the system has no such file."""
    path = Path(f"/proc/{pid}/smaps_rollup")
    if not Path("/proc/self/smaps_rollup").exists():
        return 0
    lines = path.read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(OWN_MEMORY)) * 1024
