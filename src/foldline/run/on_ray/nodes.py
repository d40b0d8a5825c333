"""The nodes of a cluster: which of them can hold a cell, and whether each has what cells need.

A node needs this foldline to the last line of its source, the same packages, and the home folder at the same path.
Each is probed before anything is trained; a worker looks again, as nodes may join later.
"""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldline.core import files, requirements
from foldline.core.errors import TryAgain, UserError
from foldline.run.cells import Job
from foldline.run.executor_config import ExecutorConfig

PACKAGES = (
    *("torch", "numpy", "scipy", "polars", "lightgbm", "scikit-learn", "numba", "safetensors", "pyarrow", "ray"),
    *("xgboost", "catboost"),
)
PROBE_S = 300.0  # longest wait for a node's probe: it imports foldline, from a network's disk perhaps
TOKENS = "probes"  # folder of runs/ for the file by which nodes recognise the home folder


@dataclass(frozen=True)
class Expected:
    """What a node must have, as the driver of the run has it."""

    home: str  # absolute path of the home folder
    token: str  # name of a file in runs/probes; empty: nothing is shared by path
    content: str  # of that file
    paths: tuple[str, ...]  # that must be there besides: a competition's metric file
    code: str  # hash of foldline's source
    versions: tuple[tuple[str, str], ...]  # package -> version, of Python and PACKAGES


@dataclass(frozen=True)
class Needs:
    """What a cell asks of a node."""

    cpus: float
    gpus: float
    memory: int  # bytes; 0: it says nothing

    @staticmethod
    def of(job: Job, config: ExecutorConfig) -> Needs:
        """Return what [executor] says, else the cell's threads, and a GPU where it is trained on one."""
        train = job.cell.model.train
        gpus = config.gpus or 1.0 if job.cell.model.on_gpu else 0.0
        return Needs(config.cpus or float(train.threads), gpus, round(config.memory_gb * 1e9))

    def held_by(self, node: Mapping[str, Any]) -> int:
        """Return how many such cells a node (of ray.nodes()) holds at once; 0 where it is gone."""
        if not node["Alive"]:
            return 0
        asked = {"CPU": self.cpus, "GPU": self.gpus, "memory": float(self.memory)}
        has = node["Resources"]
        return int(min(has.get(name, 0.0) / count for name, count in asked.items() if count))

    def __str__(self) -> str:
        more = [f"{self.gpus:g} GPUs"] * bool(self.gpus) + [f"{self.memory / 1e9:g} GB of memory"] * bool(self.memory)
        return " and ".join([f"{self.cpus:g} CPUs", *more])


@contextmanager
def expected(shared: bool = True, paths: tuple[str, ...] = ()) -> Iterator[Expected]:
    """Describe this process for its nodes; inside the block a file of the home folder is there for them to find.

    Args:
        shared: whether they are to find it.
        paths: what must be there besides.
    """
    if not shared:
        yield Expected(str(files.home()), "", "", paths, code(), _versions())
        return
    content = secrets.token_hex(16)
    # Each run has a file of its own: a network's file system may remember for a while that a name was not there.
    path = files.runs() / TOKENS / f".ray-{os.getpid()}-{content[:8]}{files.TEMPORARY}"
    files.write_text(path, content)
    try:
        yield Expected(str(files.home()), path.name, content, paths, code(), _versions())
    finally:
        path.unlink(missing_ok=True)


def trouble(wanted: Expected) -> str:
    """Say in what this process's machine differs from what is expected, a clause; empty where in nothing."""
    if wanted.token:
        path = Path(wanted.home) / "runs" / TOKENS / wanted.token
        try:
            found = path.read_text(encoding="utf-8")
        except OSError as error:
            return f"does not see the home folder {wanted.home} ({error.strerror}: {path})"
        if found != wanted.content:
            return f"has another folder at {wanted.home}: {path} has another content there"
    if missing := [path for path in wanted.paths if not Path(path).exists()]:
        return f"does not see {missing[0]}"
    differing = [f"{name} {here}, not {there}" for (name, there), (_, here) in _pairs(wanted) if there != here]
    if differing:
        return f"has other packages: {', '.join(differing)}"
    if code() != wanted.code:
        return "has another foldline: its source differs"
    return ""


def _pairs(wanted: Expected) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    return zip(wanted.versions, _versions(), strict=True)


@functools.cache
def code() -> str:
    """Hash the source of foldline, its features and models, and of what it computes with."""
    state = hashlib.sha256()
    # features and models are links in a checkout, which rglob does not follow
    folders = (files.PACKAGE, files.PACKAGE / "features", files.PACKAGE / "models", files.PACKAGE.parent / "ventilator")
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            state.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return state.hexdigest()


@functools.cache
def _versions() -> tuple[tuple[str, str], ...]:
    return (("python", ".".join(map(str, sys.version_info[:3]))), *((name, _version(name)) for name in PACKAGES))


def _version(package: str) -> str:
    return requirements.installed(package) or "none"


def refuse_unfit(wanted: Expected, needs: Sequence[Needs]) -> None:
    """Check that each kind of cell fits a node, and probe every node that one fits.

    Raises:
        UserError: no node holds one. TryAgain: a node lacks something; it says all that are wrong, by name.
    """
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    for need in needs:
        if not any(need.held_by(node) for node in alive):
            has = "; ".join(_resources(node) for node in alive)
            raise UserError(
                f"executor.kind = 'ray': a cell asks for {need}, and no node of the cluster has that: {has}. Lower "
                "train.threads, executor.cpus, executor.gpus or executor.memory_gb."
            )
    asked = probed(wanted, [node for node in alive if any(need.held_by(node) for need in needs)])
    wrong = [f"{name_of(node)} {said}" for node, said in asked if said]
    if wrong:
        more = f" {len(wrong) - 1} more nodes are wrong, too: {'; '.join(wrong[1:])}." if wrong[1:] else ""
        raise TryAgain(
            f"executor.kind = 'ray': {wrong[0]}. Every node needs the same checkout, the same packages and, but for "
            f"executor.data = 'object-store', the home folder at the same path; nothing was trained.{more}"
        )


def _resources(node: Mapping[str, Any]) -> str:
    has = node["Resources"]
    return f"{name_of(node)} has {has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs"


def name_of(node: Mapping[str, Any]) -> str:
    """Return what a node of ray.nodes() is called: its name, where it was given one, and its machine's."""
    name, machine = node["NodeName"], node["NodeManagerHostname"]
    return f"node {name}" if name not in (node["NodeManagerAddress"], machine) else f"node {machine} ({name})"


def probed(wanted: Expected, alive: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], str]]:
    """Let each node say what it lacks, as `trouble` does; one that goes away meanwhile is left out."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    probe = ray.remote(trouble)
    asked = [
        (node, probe.options(num_cpus=0, max_retries=1, scheduling_strategy=place).remote(wanted))
        for node in alive
        for place in [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)]
    ]
    answers = []
    for node, answer in asked:
        try:
            said = ray.get(answer, timeout=PROBE_S)
        except ray.exceptions.TaskUnschedulableError:
            continue  # it has gone away since: nothing will run there
        except (ray.exceptions.RayError, RuntimeError, ImportError) as error:
            said = f"can't run foldline ({_last_line(error)})"
        answers.append((node, said))
    return answers


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip()


def at_once(needs: Needs) -> int:
    """Return how many such cells the cluster, which this process is part of, holds at once; 1 at least."""
    import ray

    return max(1, sum(needs.held_by(node) for node in ray.nodes()))
