"""`cluster [HOST ...]`: the commands that make machines a cluster, and what is seen of a running one.

It runs none of these commands, and joins a cluster only to look. Ray is imported only where one is to be looked at.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import asdict
from pathlib import Path

from foldline.cli import cluster_commands
from foldline.cli.cluster_commands import Machines
from foldline.cli.main import Arguments
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import UserError, unknown
from foldline.run.on_ray import overview, session
from foldline.run.on_ray.overview import NodeView, Overview

KEYS = ("folder", "port", "address")
PORT = 6379  # Ray's own default
INSTALL = "Ray is not installed here: FOLDLINE_EXTRAS=ray ./run.sh doctor installs it."


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Print the commands for the hosts, and the table of a running cluster; 1 where a node of it can't run cells."""
    given = _given(arguments.overrides)
    address = given.get("address") or os.environ.get(session.ADDRESS, "")
    if address == session.LOCAL:
        raise UserError(
            f"cluster starts none: {session.ADDRESS} or --address must name a running one, not {address!r}."
        )
    answer: dict[str, object] = {"commands": []}
    if arguments.words:
        folder = Path(given.get("folder", str(files.home()))).expanduser()
        steps = cluster_commands.steps(Machines(tuple(arguments.words), folder, _port(given.get("port", str(PORT)))))
        terminal.say(cluster_commands.printed(steps) + "\n")
        answer["commands"] = [asdict(step) for step in steps]
    if not address:
        last = f"no cluster was looked at: {session.ADDRESS}=HOST:PORT, or --address, names a running one."
        terminal.result({**answer, "nodes": []}, last if _ray_is_installed() else f"{last} {INSTALL}")
        return 0
    found = overview.seen(address)
    _show(found, terminal)
    unfit = sum(bool(node.trouble) for node in found.nodes)
    last = f"{len(found.nodes)} nodes at {address}, cells can run on {len(found.nodes) - unfit}"
    terminal.result({**answer, **asdict(found)}, last)
    return 1 if unfit else 0


def _ray_is_installed() -> bool:
    """Whether Ray is installed; nothing is imported."""
    return importlib.util.find_spec("ray") is not None


def _given(overrides: list[str]) -> dict[str, str]:
    given = dict(text.split("=", 1) for text in overrides)
    for key in given:
        if key not in KEYS:
            raise unknown("key", key, KEYS, "./run.sh cluster")
    return given


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise UserError(f"cluster: port must be a whole number from 1 to 65535, but is {text!r}.")
    return int(text)


def _show(found: Overview, terminal: Terminal) -> None:
    rows = [
        [
            node.name + (" (head)" if node.head else ""),
            node.address,
            f"{node.cpus:g}",
            f"{node.gpus:g}" + (f" {node.gpu_kind}" if node.gpu_kind else ""),
            f"{node.memory / 2**30:.0f}",
            _judged(node),
        ]
        for node in found.nodes
    ]
    columns = ["node", "address", "CPUs", "GPUs", "memory, GiB", "cells"]
    terminal.table(f"cluster at {found.address}", columns, rows)
    gone = f"; {found.gone} nodes are gone" if found.gone else ""
    terminal.say(f"free now: {found.free_cpus:g} CPUs, {found.free_gpus:g} GPUs{gone}")


def _judged(node: NodeView) -> str:
    return node.trouble or "can run: same foldline, packages and folder"
