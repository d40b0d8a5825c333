"""Two commands at once on one home folder, begun at random moments: both end well, or one is refused in a sentence."""

from __future__ import annotations

import random
import shlex
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fault_injection import homes
from benchmarks.fault_injection.children import Ended, foldline, start_foldline
from benchmarks.fault_injection.fault import Fault, Kind, Outcome
from benchmarks.fault_injection.homes import Homes
from benchmarks.fault_injection.undisturbed import Undisturbed, draws

READERS = ("infer", "report", "bundle", "board", "doctor", "submit", "clean")  # may be refused while another one writes
CLEAN = ["clean", "caches", "unused", "old", "bench", "ledger", "--force"]


@dataclass
class Pair:
    """Two commands that run at once. The first writes; so does the second, or it is a reader."""

    first: Undisturbed
    second: Undisturbed
    weight: int = 1
    late: Undisturbed | None = None  # the second one begun after the first has ended, where that makes a difference


def pairs(made: Homes) -> list[Pair]:
    """List the pairs; the first is the cheapest."""
    train, older = ["train", "rides"], ["train", "rides", "model.0.width=8"]
    tune, blend = ["tune", "search", homes.TREES], ["blend", "mixed", *made.outside]
    parallel = [*train, "executor.kind=process", "executor.workers=2"]
    force, pack = [*train, "--force"], ["bundle", "rides", f"out={made.path / 'packed'}"]

    def pair(first: list[str], second: list[str], *before: list[str], weight: int = 1) -> Pair:
        after = [CLEAN, first] if second == CLEAN else []
        # `infer` predicts with the latest experiment: that of `before`, or the one that the first command records.
        late = Undisturbed(second, [*before, first]) if second == ["infer", "rides"] != first else None
        return Pair(Undisturbed(first, list(before), after), Undisturbed(second, list(before)), weight, late)

    return [
        pair(train, train, weight=3),
        pair(parallel, parallel, weight=2),
        pair(train, CLEAN, older, train, older, weight=3),
        pair(force, CLEAN, older, train, weight=2),
        pair(train, ["infer", "rides"], older, weight=2),
        pair(force, ["infer", "rides"], train, weight=3),
        pair(force, ["report", "rides"], train),
        pair(force, pack, train),
        pair(force, ["board"], train),
        pair(force, ["submit", "rides", "--dry-run"], train),
        pair(force, ["doctor", "--verify"], train),
        pair(force, blend, train, weight=2),
        pair(train, blend),
        pair(["infer", "rides"], ["infer", "rides"], train),
        pair(["infer", "rides"], CLEAN, older, train),
        pair(["folds", "rides", "--force"], train),
        pair(tune, tune, weight=3),
        pair(tune, CLEAN, older, train),
        pair(["ablate", "parts"], train),
        pair(["ablate", "parts"], tune),
        pair(["train", "breaths"], ["train", "breaths"]),
        pair(["train", "breaths"], CLEAN),
    ]


def faults(seed: int, scratch: Path) -> Generator[Fault, None, None]:
    """Start two commands at moments that are drawn."""
    made = Homes(scratch)
    known = pairs(made)
    places = [place for place, each in enumerate(known) for _ in range(each.weight)]
    for number, place, draw in draws(f"{seed} meanwhile", places):
        pair = known[place]
        for name, command in (("first", pair.first), ("second", pair.second), ("late", pair.late)):
            if command is not None and command.words not in (["doctor", "--verify"], ["board"], CLEAN):
                command.prepare(made, f"meanwhile-{place}-{name}")
        yield at_once(made, pair, draw, f"{number} of seed {seed}")


def at_once(made: Homes, pair: Pair, draw: random.Random, what: str) -> Fault:
    """Run both, and judge how they end and what is left."""
    made.renew(pair.first.template)
    commands, wait = [pair.first, pair.second], draw.uniform(0.0, pair.first.seconds)
    if draw.random() < 0.5:
        commands.reverse()
    what += f": {shlex.join(commands[0].words)}; {shlex.join(commands[1].words)} after {wait:.3f} s"
    with start_foldline(made.path, *commands[0].words) as one:
        time.sleep(wait)
        with start_foldline(made.path, *commands[1].words) as other:
            ended = {id(commands[0]): one.ended(), id(commands[1]): other.ended()}
    forced = "--force" in pair.first.words
    for command in commands:
        how = ended[id(command)]
        if how.broken or not _expected(command, how, forced and command is pair.second):
            said = f"{shlex.join(command.words)}: exit code {how.code}: {how.err}"
            return Fault(what, how.broken or Outcome.UNCLEAR, said)
    cleaned = pair.second.words == CLEAN
    again = foldline(made.path, *pair.first.words) if cleaned else ended[id(pair.first)]
    if again.code != 0:
        return Fault(what, again.broken or Outcome.UNCLEAR, f"then: exit code {again.code}: {again.err}")
    wrong = [_wrong(made, pair, command) for command in commands if _left(command, ended[id(command)])]
    return Fault(what, Outcome.SILENT, "; ".join(wrong)) if any(wrong) else Fault(what, Outcome.FINE)


def _wrong(made: Homes, pair: Pair, command: Undisturbed) -> str:
    """Say what a command has not left as it does alone, before the other one or after it."""
    apart = command.differences(made.path, alone=False)
    if apart and command is pair.second and pair.late is not None:
        return pair.late.differences(made.path, alone=False) and apart
    return apart


def _expected(command: Undisturbed, ended: Ended, may_be_refused: bool) -> bool:
    """Whether a command ended well, or as one may that reads, or whose cells another one trains anew by --force."""
    if ended.refused:
        return may_be_refused or command.words[0] in READERS
    return ended.code == 0 or (ended.code == 1 and command.words[0] == "doctor")


def _left(command: Undisturbed, ended: Ended) -> bool:
    """Whether it has left something to be compared."""
    return bool(command.whole) and ended.code == 0


KIND = Kind(
    "meanwhile",
    "two commands at once end as each alone would, or one is refused in a sentence; nothing in use is deleted",
    "train, tune, blend, ablate, infer, clean and others in pairs, the second begun at a random moment of the first",
    share=2.0,
    faults=faults,
)
