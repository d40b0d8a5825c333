"""The commands that make machines a cluster for foldline, for a set of hosts: text only, nothing is run.

Machines share one folder, foldline's home: the checkout with its .venv, and runs/ with features and cells. Each step is
a title with the commands of all hosts, which are typed on any machine that reaches the hosts by ssh.
"""

from __future__ import annotations

import shlex
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foldline.core.errors import UserError

RENDEZVOUS = 29400  # port at which torchrun's processes meet; its own default
TOKEN = "runs/ray_token"  # file in the shared folder, of which Git takes no notice, that all nodes and drivers read
AUTH = f"RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$PWD/{TOKEN}"  # before each command that joins a cluster
OWN_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Step:
    """Some commands that belong together."""

    title: str
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Machines:
    """The hosts, the first of which is Ray's head, and what they share."""

    hosts: tuple[str, ...]
    folder: Path  # foldline's home, at the same path on all
    port: int  # of Ray's head

    def __post_init__(self) -> None:
        twice = [host for number, host in enumerate(self.hosts) if host in self.hosts[:number]]
        if twice:
            raise UserError(f"cluster: each host once, but {twice[0]!r} is named twice.")
        for host in self.hosts:
            if host.startswith("-") or any(letter.isspace() or letter in "\"'`$;&|<>()\\" for letter in host):
                raise UserError(f"cluster: a host is a name or an address that ssh takes, but got {host!r}.")
        alone = [host for host in self.hosts if host in OWN_NAMES]
        if alone and len(self.hosts) > 1:
            raise UserError(
                f"cluster: others cannot reach {alone[0]!r}: name this machine as they do, such as "
                f"{socket.gethostname()!r}."
            )

    @property
    def head(self) -> str:
        """The name or address of Ray's head, without a user."""
        return self.hosts[0].rpartition("@")[2]

    @property
    def address(self) -> str:
        """Of the cluster, as RAY_ADDRESS takes it."""
        return f"{self.head}:{self.port}"

    def on(self, host: str, command: str) -> str:
        """Write a command that runs in the folder on a host."""
        there = f"cd {shlex.quote(str(self.folder))} && {command}"
        is_here = host.rpartition("@")[2] in (*OWN_NAMES, socket.gethostname())
        return f"({there})" if is_here else f"ssh {host} {shlex.quote(there)}"

    def on_all(self, command: str) -> tuple[str, ...]:
        """Write a command that runs on each host."""
        return tuple(self.on(host, command) for host in self.hosts)


def steps(machines: Machines) -> list[Step]:
    """Write all steps, in the order in which they are taken."""
    head, others = machines.hosts[0], machines.hosts[1:]
    ray, joining = f"{AUTH} RAY_USAGE_STATS_ENABLED=0 .venv/bin/ray", f"{AUTH} RAY_ADDRESS={machines.address}"
    joined = tuple(machines.on(host, f"{ray} start --address={machines.address}") for host in others)
    return [
        Step(
            f"Set up, once: all machines see {machines.folder}, and have its Python at the same path",
            (
                machines.on(head, "FOLDLINE_EXTRAS=ray,storage ./run.sh doctor"),
                *(machines.on_all("./run.sh doctor")[1:]),
            ),
        ),
        Step(
            f"Make the cluster's token, once, in {TOKEN}: who has none can't join; one that is there stays",
            (machines.on(head, _token()),),
        ),
        Step(
            "Start Ray: the head, then the others; each offers all of its cores and GPUs",
            (machines.on(head, f"{ray} start --head --port={machines.port}"), *joined),
        ),
        Step(
            "Look: nodes, cores, GPUs, whether all have the same foldline, packages and folder",
            (machines.on(head, f"{joining} ./run.sh cluster"),),
        ),
        Step(
            "Train on it: the cells of any verb that trains; start it on one of the nodes",
            (
                machines.on(head, f"{joining} ./run.sh train CONFIG executor.kind=ray"),
                machines.on(head, f"{joining} ./run.sh ablate FILE executor.kind=ray"),
            ),
        ),
        Step(
            "Or search without Ray: the same command on each machine, with a storage that they share",
            (
                *machines.on_all(
                    f"./run.sh tune FILE tune.storage={shlex.quote(str(machines.folder / 'study.journal'))}"
                ),
                "# with PostgreSQL instead: tune.storage=postgresql+psycopg://USER@HOST/DB",
            ),
        ),
        _large_model(machines),
        Step(
            "End Ray when you are done: `ray stop` ends every Ray process on the machine, also of others",
            machines.on_all(".venv/bin/ray stop"),
        ),
    ]


def _token() -> str:
    """Copy the user's token of Ray, which is made where there is none, to where nodes with other homes see it, too."""
    ray = "env -u RAY_AUTH_TOKEN_PATH .venv/bin/ray get-auth-token --generate"
    return f"mkdir -p runs && {{ [ -s {TOKEN} ] || (umask 077 && {ray} > {TOKEN}); }}"


def _large_model(machines: Machines) -> Step:
    """One network on all GPUs of all machines, by torchrun; it needs no Ray."""
    count = len(machines.hosts)
    meet = f"--nnodes {count} --rdzv-backend c10d --rdzv-endpoint {machines.head}:{RENDEZVOUS} --rdzv-id big "
    return Step(
        "Or one large network on all GPUs of all machines, by torchrun: the same command on each, at the same time",
        machines.on_all(f"./run.sh ddp --processes GPUS_OF_A_MACHINE {meet if count > 1 else ''}CONFIG"),
    )


def printed(written: Sequence[Step]) -> str:
    """Write steps as a script's lines."""
    return "\n\n".join(
        "\n".join([f"# {number}. {step.title}", *step.commands]) for number, step in enumerate(written, start=1)
    )
