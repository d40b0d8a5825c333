"""Kills at single operations on files: the states of the disk that no clock hits. Then the same command again."""

from __future__ import annotations

import random
import shlex
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fault_injection import homes, results, stopping
from benchmarks.fault_injection.children import foldline
from benchmarks.fault_injection.fault import Fault, Kind, Outcome
from benchmarks.fault_injection.homes import Homes

MOST_KILLS = 3  # of one command, one after another


@dataclass
class Stopped:
    """A command, and what it leaves where nothing kills it."""

    words: list[str]
    before: list[list[str]] = field(default_factory=list)  # commands that have run before, in an empty home folder
    weight: int = 1
    template: str = ""
    operations: int = 0
    whole: results.Tree = field(default_factory=dict)

    def prepare(self, made: Homes, number: int) -> None:
        """Run it twice without a kill, unless that is done: to compare with, and to count its operations."""
        if self.operations:
            return
        self.template = f"before-{number}"
        made.renew("configs")
        for words in self.before:
            made.run(*words)
        made.keep(self.template)
        made.run(*self.words)
        self.whole = results.of(made.path)
        made.renew(self.template)
        self.operations = stopping.operations(made.path, self.words)
        apart = results.differences(results.of(made.path), self.whole)
        assert not apart, f"{self.words}: without any fault two runs do not leave the same: {apart}"


def commands(made: Homes) -> list[Stopped]:
    """List the commands that are stopped; the first is the cheapest."""
    train, blend = ["train", "rides"], ["blend", "mixed", *made.outside]
    simulate = ["simulate", str(made.path / "sim"), "breaths=6", "test_breaths=3", "truth=true", "--force"]
    decode = ["decode", str(made.path / "sim" / "test.csv"), str(made.path / "exact.csv")]
    clean = ["clean", "caches", "unused", "old", "bench", "ledger", "--force"]
    return [
        Stopped(train, weight=4),
        Stopped(["folds", "rides"]),
        Stopped(["folds", "rides", "--force"], [["folds", "rides", "folds.seed=0"]]),
        Stopped(["train", "rides", "train.checkpoint_s=0"], weight=2),
        Stopped(["train", "rides", "--force"], [train], weight=2),
        Stopped(blend, [train], weight=2),
        Stopped(["infer", "rides"], [train], weight=2),
        Stopped(["report", "rides"], [train]),
        Stopped(["bundle", "rides", f"out={made.path / 'packed'}"], [train]),
        Stopped(["submit", "rides", "--dry-run"], [train]),
        Stopped(clean, [["train", "rides", "model.0.width=8"], ["train", "rides", "model.0.width=6"], train], weight=2),
        Stopped(["ablate", "parts"], [train], weight=2),
        Stopped(simulate, weight=2),
        Stopped(decode, [simulate]),
        Stopped(["train", "breaths"], weight=2),
        Stopped(["tune", "search", homes.TREES], weight=3),
        Stopped(["study", "systems"]),
    ]


def faults(seed: int, scratch: Path) -> Generator[Fault, None, None]:
    """Kill a command one to three times, each before an operation that is drawn; run it again to its end."""
    made = Homes(scratch)
    known = commands(made)
    places = [place for place, each in enumerate(known) for _ in range(each.weight)]
    number = 0
    while True:
        draw = random.Random(f"{seed} stops {number}")
        place = draw.choice(places) if number else 0
        command = known[place]
        command.prepare(made, place)
        yield stopped(made, command, draw, f"{number} of seed {seed}: {shlex.join(command.words)}")
        number += 1


def stopped(made: Homes, command: Stopped, draw: random.Random, what: str) -> Fault:
    """Kill it at drawn operations, and judge what the last run leaves."""
    made.renew(command.template)
    for _ in range(draw.randint(1, MOST_KILLS)):
        at = draw.randint(1, command.operations)
        what += f"; killed before operation {at}"
        with stopping.start(made.path, command.words, at) as child:
            ended = child.ended()
        if ended.code not in (0, -9):
            return Fault(what, ended.broken or Outcome.UNCLEAR, f"exit code {ended.code}: {ended.err}")
    ended = foldline(made.path, *command.words)
    if ended.code != 0:
        return Fault(what, ended.broken or Outcome.UNCLEAR, f"then: exit code {ended.code}: {ended.err}")
    apart = results.differences(results.of(made.path), command.whole)
    return Fault(what, Outcome.SILENT, apart) if apart else Fault(what, Outcome.FINE)


KIND = Kind(
    "stops",
    "a command that is killed at any moment and run again leaves the same bytes as one that nobody killed",
    "the process kills itself before a write, rename, deletion or fsync that is drawn, up to three times; then again",
    share=2.0,
    faults=faults,
)
