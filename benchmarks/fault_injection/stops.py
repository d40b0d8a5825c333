"""Kills at single operations on files: the states of the disk that no clock hits. Then the same command again."""

from __future__ import annotations

import random
import shlex
from collections.abc import Generator
from pathlib import Path

from benchmarks.fault_injection import homes, stopping
from benchmarks.fault_injection.fault import Fault, Kind, Outcome
from benchmarks.fault_injection.homes import Homes
from benchmarks.fault_injection.undisturbed import Undisturbed, draws

MOST_KILLS = 3  # of one command, one after another


def commands(made: Homes) -> list[Undisturbed]:
    """List the commands that are stopped; the first is the cheapest."""
    train, blend = ["train", "rides"], ["blend", "mixed", *made.outside]
    simulate = ["simulate", str(made.path / "sim"), "breaths=6", "test_breaths=3", "truth=true", "--force"]
    decode = ["decode", str(made.path / "sim" / "test.csv"), str(made.path / "exact.csv")]
    clean = ["clean", "caches", "unused", "old", "bench", "ledger", "--force"]
    return [
        Undisturbed(train, weight=4),
        Undisturbed(["folds", "rides"]),
        Undisturbed(["folds", "rides", "--force"], [["folds", "rides", "folds.seed=0"]]),
        Undisturbed(["train", "rides", "train.checkpoint_s=0"], weight=2),
        Undisturbed(["train", "rides", "--force"], [train], weight=2),
        Undisturbed(blend, [train], weight=2),
        Undisturbed(["infer", "rides"], [train], weight=2),
        Undisturbed(["report", "rides"], [train]),
        Undisturbed(["bundle", "rides", f"out={made.path / 'packed'}"], [train]),
        Undisturbed(["submit", "rides", "--dry-run"], [train]),
        Undisturbed(
            clean, [["train", "rides", "model.0.width=8"], ["train", "rides", "model.0.width=6"], train], weight=2
        ),
        Undisturbed(["ablate", "parts"], [train], weight=2),
        Undisturbed(simulate, weight=2),
        Undisturbed(decode, [simulate]),
        Undisturbed(["train", "breaths"], weight=2),
        Undisturbed(["tune", "search", homes.TREES], weight=3),
        Undisturbed(["study", "systems"]),
    ]


def faults(seed: int, scratch: Path) -> Generator[Fault, None, None]:
    """Kill a command one to three times, each before an operation that is drawn; run it again to its end."""
    made = Homes(scratch)
    known, operations = commands(made), dict[int, int]()
    places = [place for place, each in enumerate(known) for _ in range(each.weight)]
    for number, place, draw in draws(f"{seed} stops", places):
        command = known[place]
        command.prepare(made, f"stops-{place}")
        if place not in operations:
            made.renew(command.template)
            operations[place] = stopping.operations(made.path, command.words)
        yield stopped(made, command, operations[place], draw, f"{number} of seed {seed}: {shlex.join(command.words)}")


def stopped(made: Homes, command: Undisturbed, operations: int, draw: random.Random, what: str) -> Fault:
    """Kill it at drawn operations, and judge what the last run leaves."""
    made.renew(command.template)
    for _ in range(draw.randint(1, MOST_KILLS)):
        at = draw.randint(1, operations)
        what += f"; killed before operation {at}"
        with stopping.start(made.path, command.words, at) as child:
            ended = child.ended()
        if ended.code not in (0, -9):
            return Fault(what, ended.broken or Outcome.UNCLEAR, f"exit code {ended.code}: {ended.err}")
    return command.run_again(made, what)


KIND = Kind(
    "stops",
    "a command that is killed at any moment and run again leaves the same bytes as one that nobody killed",
    "the process kills itself before a write, rename, deletion or fsync that is drawn, up to three times; then again",
    share=2.0,
    faults=faults,
)
