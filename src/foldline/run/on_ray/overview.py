"""What is seen of a running cluster: its nodes, what each offers, and whether it has what cells need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foldline.run.executor_config import ExecutorConfig
from foldline.run.on_ray import nodes, session

ACCELERATOR = "accelerator_type:"  # begins the resource by which Ray names a GPU's kind


@dataclass(frozen=True)
class NodeView:
    """A node as it is seen."""

    name: str
    address: str
    head: bool
    cpus: float  # that it offers
    gpus: float
    gpu_kind: str  # empty: it has none, or Ray does not know it
    memory: int  # bytes that it offers to tasks
    trouble: str  # what it lacks, a clause; empty: cells can run there


@dataclass(frozen=True)
class Overview:
    """A cluster as it is seen from this machine."""

    address: str
    nodes: tuple[NodeView, ...]  # that are alive, the head first
    gone: int  # nodes that were there before
    free_cpus: float  # that nobody uses now
    free_gpus: float


def seen(address: str) -> Overview:
    """Join the cluster at an address, look at it, and leave it.

    Raises:
        UserError: Ray is not installed, or no cluster answers there.
    """
    with session.opened(ExecutorConfig(kind="ray", address=address)), nodes.expected() as wanted:
        import ray

        everyone = ray.nodes()
        views = [_view(node, said) for node, said in nodes.probed(wanted, [node for node in everyone if node["Alive"]])]
        free = ray.available_resources()
        gone = sum(not node["Alive"] for node in everyone)
        ordered = tuple(sorted(views, key=lambda node: (not node.head, node.name)))
        return Overview(address, ordered, gone, free.get("CPU", 0.0), free.get("GPU", 0.0))


def _view(node: Mapping[str, Any], trouble: str) -> NodeView:
    has = node["Resources"]
    kinds = [name.removeprefix(ACCELERATOR) for name in has if name.startswith(ACCELERATOR)]
    return NodeView(
        name=nodes.name_of(node).removeprefix("node "),
        address=node["NodeManagerAddress"],
        head="node:__internal_head__" in has,
        cpus=has.get("CPU", 0.0),
        gpus=has.get("GPU", 0.0),
        gpu_kind=", ".join(kinds),
        memory=int(has.get("memory", 0.0)),
        trouble=trouble,
    )
