"""Which node holds a cell, and what a node must have: the home folder, the packages and this foldline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lab import fake

from foldline.run.executor_config import ExecutorConfig
from foldline.run.on_ray import nodes
from foldline.run.on_ray.nodes import Needs


@pytest.mark.parametrize(
    ("job", "config", "needs"),
    [
        (fake(threads=2), ExecutorConfig(), Needs(2.0, 0.0, 0)),
        (fake(threads=2), ExecutorConfig(cpus=0.5, gpus=0.25), Needs(0.5, 0.0, 0)),  # gpus: of cells on one
        (fake("cuda"), ExecutorConfig(memory_gb=1.5), Needs(1.0, 1.0, 1_500_000_000)),
        (fake("cuda"), ExecutorConfig(gpus=0.25), Needs(1.0, 0.25, 0)),
    ],
)
def test_a_cell_asks_for_its_threads_and_its_share_of_a_gpu(job: Any, config: ExecutorConfig, needs: Needs) -> None:
    assert Needs.of(job, config) == needs


def node(alive: bool = True, name: str = "", **resources: float) -> dict[str, Any]:
    """A node as ray.nodes() has it."""
    address = "10.0.0.7"
    names = {"NodeName": name or address, "NodeManagerHostname": "larch", "NodeManagerAddress": address}
    return {"Alive": alive, "Resources": resources, **names}


@pytest.mark.parametrize(
    ("found", "needs", "count"),
    [
        (node(CPU=8.0), Needs(1.0, 0.0, 0), 8),
        (node(CPU=8.0), Needs(3.0, 0.0, 0), 2),
        (node(CPU=8.0, GPU=2.0), Needs(1.0, 0.25, 0), 8),
        (node(CPU=8.0, GPU=1.0), Needs(1.0, 0.5, 0), 2),
        (node(CPU=8.0), Needs(1.0, 0.5, 0), 0),
        (node(CPU=8.0, memory=3e9), Needs(1.0, 0.0, 1_000_000_000), 3),
        (node(alive=False, CPU=8.0), Needs(1.0, 0.0, 0), 0),
    ],
)
def test_a_node_holds_what_its_scarcest_resource_allows(found: dict[str, Any], needs: Needs, count: int) -> None:
    assert needs.held_by(found) == count


def test_a_node_is_called_by_its_name_and_else_by_its_machines() -> None:
    assert nodes.name_of(node(name="two")) == "node two"
    assert nodes.name_of(node()) == "node larch (10.0.0.7)"


def test_this_machine_has_what_it_expects(home: Path) -> None:
    with nodes.expected() as wanted:
        assert nodes.trouble(wanted) == ""
        assert [path.name for path in (home / "runs" / "probes").iterdir()] == [wanted.token]
    assert not list((home / "runs" / "probes").iterdir())
    assert nodes.trouble(replace(wanted, content="of another moment")) != ""


def test_a_machine_says_what_it_lacks(home: Path, tmp_path: Path) -> None:
    with nodes.expected() as wanted:
        other = tmp_path / "other"
        assert nodes.trouble(replace(wanted, home=str(other))).startswith(f"does not see the home folder {other} (No")
        (other / "runs" / "probes").mkdir(parents=True)
        (other / "runs" / "probes" / wanted.token).write_text("the disk of another machine")
        assert f"has another folder at {other}" in nodes.trouble(replace(wanted, home=str(other)))
        versions = tuple((name, "0.1" if name == "numpy" else found) for name, found in wanted.versions)
        assert nodes.trouble(replace(wanted, versions=versions)).startswith("has other packages: numpy ")
        assert nodes.trouble(replace(wanted, code="")) == "has another foldline: its source differs"


def test_what_must_be_there_besides_is_looked_for(home: Path, tmp_path: Path) -> None:
    metric = tmp_path / "metric.py"
    with nodes.expected(shared=False, paths=(str(metric),)) as wanted:
        assert not (home / "runs").exists() and not wanted.token
        assert nodes.trouble(wanted) == f"does not see {metric}"
        metric.touch()
        assert nodes.trouble(wanted) == ""
