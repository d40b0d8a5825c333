"""A command and what it leaves where nothing disturbs it, to compare with what kills or another command leave."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.fault_injection import results
from benchmarks.fault_injection.children import foldline
from benchmarks.fault_injection.fault import Fault, Outcome
from benchmarks.fault_injection.homes import Homes

MANY = 30  # trials that find every point of the search's space, of which there are POINTS
POINTS, TRIALS = 6, 4


def draws(seed: str, places: list[int]) -> Iterator[tuple[int, int, random.Random]]:
    """Yield a fault's number, a drawn place (at first 0, the cheapest), and the generator of its other draws."""
    for number in itertools.count():
        draw = random.Random(f"{seed} {number}")
        yield number, draw.choice(places) if number else 0, draw


@dataclass
class Undisturbed:
    """A command, the commands that have run before it, and what it leaves."""

    words: list[str]
    before: list[list[str]] = field(default_factory=list)  # in a home folder with nothing but configs
    after: list[list[str]] = field(default_factory=list)  # commands that run then, too
    weight: int = 1
    template: str = ""  # of the home folder before it
    whole: results.Tree = field(default_factory=dict)  # after it
    seconds: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)  # of a search: overrides -> score

    def prepare(self, made: Homes, template: str) -> None:
        """Run it without a fault, unless that is done. template: a name for the home folder before it."""
        if self.template:
            return
        self.template = template
        made.renew("configs")
        for words in self.before:
            made.run(*words)
        made.keep(template)
        began = time.monotonic()
        made.run(*self.words)
        self.seconds = time.monotonic() - began
        for words in self.after:
            made.run(*words)
        if self.words[0] == "tune":
            made.run(*self.words, f"tune.trials={MANY}")
            self.scores = {str(trial["overrides"]): trial["score"] for trial in _trials(made.path)}
            assert len(self.scores) == POINTS, self.scores
        self.whole = results.of(made.path)

    def run_again(self, made: Homes, what: str) -> Fault:
        """Run it to its end behind a fault, and judge what it leaves. what: all that makes the fault again."""
        ended = foldline(made.path, *self.words)
        if ended.code != 0:
            return Fault(what, ended.broken or Outcome.UNCLEAR, f"then: exit code {ended.code}: {ended.err}")
        apart = self.differences(made.path)
        return Fault(what, Outcome.SILENT, apart) if apart else Fault(what, Outcome.FINE)

    def differences(self, home: Path, alone: bool = True) -> str:
        """Say what is not as it leaves it undisturbed; empty where all is.

        Args:
            alone: nothing else was to be left in the home folder.
        """
        now = results.of(home)
        if self.words[0] == "tune":
            return self._of_search(home, now)
        whole = self.whole
        if not alone:  # the order of a ledger's lines is then anybody's
            whole = {name: content for name, content in whole.items() if not name.endswith("ledger.csv")}
            now = {name: content for name, content in now.items() if name in whole}
        return results.differences(now, whole)

    def _of_search(self, home: Path, now: results.Tree) -> str:
        """Which points a search tries depends on the order in which trials end; their scores and cells do not."""
        complete = [trial for trial in _trials(home) if trial["state"] == "complete"]
        wrong = [trial for trial in complete if self.scores.get(str(trial["overrides"])) != trial["score"]]
        if len(complete) != TRIALS or wrong:
            return f"{len(complete)} of {TRIALS} trials are complete; with another score: {wrong}"
        cells = {name: content for name, content in now.items() if name.startswith("runs/cells/")}
        wanted = {name: content for name, content in self.whole.items() if name in cells}
        return results.differences({name: content for name, content in cells.items() if name in wanted}, wanted)


def _trials(home: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((home / "runs" / "search" / "latest" / "study.json").read_text())["trials"]
    return found
