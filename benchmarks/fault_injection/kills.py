"""Kills of real processes at random moments: of all of a command, of its parent only, of one worker. Then again."""

from __future__ import annotations

import os
import random
import shlex
import signal
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.fault_injection import homes
from benchmarks.fault_injection.children import Child, Ended, start_foldline
from benchmarks.fault_injection.fault import Fault, Kind, Outcome
from benchmarks.fault_injection.homes import Homes
from benchmarks.fault_injection.undisturbed import Undisturbed, draws

PROCESSES = ["executor.kind=process", "executor.workers=2"]
ORPHAN_S = 60.0  # longest wait until a worker has noticed that its parent is gone


def commands(made: Homes) -> list[Undisturbed]:
    """List the commands that are killed; the first is the cheapest."""
    train = ["train", "rides", "train.epochs=6", "train.checkpoint_s=0"]
    return [
        Undisturbed(train, weight=3),
        Undisturbed([*train, *PROCESSES], weight=4),
        Undisturbed([*train, "executor.together=2"], weight=2),
        Undisturbed([*train, "--force", *PROCESSES], [train], weight=2),
        Undisturbed(["tune", "search", homes.TREES], weight=2),
        Undisturbed(["tune", "search", homes.TREES, "tune.workers=2"], weight=3),
        Undisturbed(["ablate", "parts", *PROCESSES], weight=2),
        Undisturbed(["blend", "mixed", *made.outside]),
        Undisturbed(["infer", "rides"], [["train", "rides"]]),
        Undisturbed(["train", "breaths"]),
        Undisturbed(["study", "systems"]),
    ]


def faults(seed: int, scratch: Path) -> Generator[Fault, None, None]:
    """Kill a command at a moment that is drawn, and run it again to its end."""
    made = Homes(scratch)
    known = commands(made)
    places = [place for place, each in enumerate(known) for _ in range(each.weight)]
    for number, place, draw in draws(f"{seed} kills", places):
        command = known[place]
        command.prepare(made, f"kills-{place}")
        yield killed(made, command, draw, f"{number} of seed {seed}: {shlex.join(command.words)}")


def killed(made: Homes, command: Undisturbed, draw: random.Random, what: str) -> Fault:
    """Kill it once, and judge what the next run leaves."""
    made.renew(command.template)
    whom = draw.choice(("all", "parent", "worker"))
    moment = draw.uniform(0.0, command.seconds)
    with start_foldline(made.path, *command.words) as child:
        time.sleep(moment)
        if whom == "worker":
            whom = _kill_worker(child, draw)
        if whom == "all":
            child.kill()
        elif whom == "parent":
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
        what += f"; {whom} killed after {moment:.3f} s"
        ended = child.ended()
        orphans = _left(child)
    if orphans:
        return Fault(what, Outcome.HANG, f"a worker outlived its parent, which ended with {ended.code}")
    if not _expected(ended, whom):
        return Fault(what, ended.broken or Outcome.UNCLEAR, f"exit code {ended.code}: {ended.err}")
    return command.run_again(made, what)


def _kill_worker(child: Child, draw: random.Random) -> str:
    """Kill one worker, and return whom to kill: the parent, where it has none."""
    running = [number for number in child.workers if psutil.pid_exists(number)]
    if not running:
        return "parent"
    with suppress(ProcessLookupError):
        os.kill(draw.choice(running), signal.SIGKILL)
    return "worker"


def _left(child: Child) -> bool:
    """Whether a worker runs on for long after its parent has ended."""
    deadline = time.monotonic() + ORPHAN_S
    while any(psutil.pid_exists(number) for number in child.workers):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.005)
    return False


def _expected(ended: Ended, whom: str) -> bool:
    """Whether it ended as it should: well, if that was before the kill or it has replaced a worker; killed; refused."""
    return ended.code == 0 or (ended.refused if whom == "worker" else ended.code == -signal.SIGKILL)


KIND = Kind(
    "kills",
    "a run whose processes are killed, all or one of them, leaves no other one behind, and the next one goes on",
    "all processes, the parent or a worker killed at a random moment, serial and with workers; then the same command",
    share=2.0,
    faults=faults,
)
