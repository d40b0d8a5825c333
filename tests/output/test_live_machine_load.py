"""The machine's load: what nvidia-smi says, what a run's processes have, and when measuring makes sense."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from live_runs import DEAD

from foldline.output.live import machine_load
from foldline.output.live.machine_load import Gpu, MachineLoad, gpus_of, processes_of


def test_the_answer_of_nvidia_smi() -> None:
    text = "NVIDIA H200, 87, 1024, 143771\nA, B, [N/A], 0, 16\n\nbroken\n"
    first, second = gpus_of(text)
    assert first == Gpu("NVIDIA H200", 87.0, 1024 << 20, 143771 << 20) and 0.7 < first.full < 0.8
    assert second == Gpu("A, B", 0.0, 0, 16 << 20)
    assert Gpu("none", 0.0, 0, 0).full == 0.0


def test_the_load_is_measured_over_a_while_and_old_ones_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("shutil.which", lambda name: None)
    load = MachineLoad()
    load.measure()
    assert not load.history  # processors have done nothing yet that could be counted
    for now[0] in (101.0, 101.1, 102.0):
        load.measure()
    assert len(load.history) == 2 and all(0 < each.full < 100 and 0 <= each.cpu <= 100 for each in load.history)
    now[0] = 200.0  # nobody has looked for a while: a line over that would be an invention
    load.measure()
    assert len(load.history) == 1


class Times(NamedTuple):
    """Times of processors as Linux counts them, s."""

    user: float
    system: float
    idle: float
    iowait: float
    guest: float


def test_processors_are_busy_as_long_as_they_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """40 s of 160, 10 of them for a guest; then nothing but waiting. Another thread measures, as for a browser."""
    times = [Times(100, 20, 500, 80, 0), Times(130, 30, 600, 100, 10), Times(130, 30, 610, 110, 10)]
    monkeypatch.setattr("psutil.cpu_times", lambda: times.pop(0))
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(machine_load, "LEAST_S", 0.0)
    load = MachineLoad()
    other = threading.Thread(target=load.measure)
    other.start()
    other.join()
    load.measure()
    assert [each.cpu for each in load.history] == [25.0, 0.0]


@pytest.mark.parametrize(
    ("script", "names"),
    [("echo 'NVIDIA H200, 87, 1024, 143771'", ["NVIDIA H200"]), ("echo no driver; exit 9", []), ("exec sleep 60", [])],
)
def test_nvidia_smi_is_asked(script: str, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(machine_load, "LEAST_S", 0.0)
    monkeypatch.setattr(machine_load, "GPU_S", 0.2 if "sleep" in script else 60.0)
    load = MachineLoad()
    load.measure()
    assert [gpu.name for gpu in load.history[0].gpus] == names
    assert (load.nvidia is None) == ("sleep" in script)  # one that hangs is not asked again


def test_processes_of_a_run() -> None:
    count, memory = processes_of(os.getpid())
    assert count >= 1 and memory > 1 << 20
    assert processes_of(DEAD) == (0, 0)


def test_a_worker_that_has_just_ended_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil.Process, "children", lambda self, recursive: [psutil.Process(os.getpid()), ended])
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        ended = psutil.Process(child.pid)
    count, memory = processes_of(os.getpid())
    assert count == 2 and memory > 1 << 20
