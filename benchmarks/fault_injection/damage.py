"""Damage to everything that foldline stores: a bit flips, a file is cut off, emptied or gone, and a verb runs."""

from __future__ import annotations

import random
import re
import shlex
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.fault_injection import homes, results
from benchmarks.fault_injection.children import Ended, foldline
from benchmarks.fault_injection.fault import Fault, Kind, Outcome
from benchmarks.fault_injection.homes import Homes
from benchmarks.fault_injection.results import Tree
from benchmarks.fault_injection.undisturbed import Undisturbed

HARMS = ("flip", "cut", "empty", "delete")
TEST = re.compile(r"runs/cells/\w+/(spread-)?test-")  # predictions of a test table
COMMAND = re.compile(r"`(\./run\.sh [^`]+)`")
CLEAN = ["clean", "caches", "unused", "old", "bench", "--force"]
MODELS = ("runs/cells/*/[!.t]*",)  # of cells, without the predictions of the test table: few commands read these
CELLS, STORES = ("runs/cells/*/[!.]*",), ("runs/store/*/*",)


@dataclass(frozen=True)
class Scene:
    """Something stored, the command that makes it, and those that read it."""

    maker: list[str]
    globs: tuple[str, ...]  # of the files to be harmed, below the home folder
    readers: tuple[list[str], ...]
    weight: int = 1


def scenes(made: Homes) -> dict[str, Scene]:
    """List the scenes; the first is the cheapest to make."""
    verify, clean = ["doctor", "--verify"], CLEAN
    rides = ["runs/rides/*/*", "folds/*.csv", "submissions/*.csv", *CELLS, *CELLS, *STORES]
    tune, ablate, study = ["tune", "search", homes.TREES], ["ablate", "parts"], ["study", "systems"]
    blend, pack = ["blend", "mixed", *made.outside], ["bundle", "rides", f"out={made.scratch / 'packed'}"]
    infer, submit = ["infer", "rides"], ["submit", "rides", "--dry-run"]
    of_rides = (infer, ["report", "rides"], ["blend", "rides"], pack, submit, ["folds", "rides"], ["board"])
    return {
        "rides": Scene(["train", "rides"], tuple(rides), (*of_rides, verify, clean, ablate, tune), weight=40),
        "half": Scene(
            ["train", "rides", "train.checkpoint_s=0"],
            ("runs/cells/*/checkpoint*", "runs/cells/*/checkpoint*", *CELLS, *STORES),
            (verify, clean),
            weight=4,
        ),
        "mixed": Scene(
            blend,
            ("runs/outside/*/*", "runs/outside/*/*", "runs/mixed/*/*"),
            (["infer", "mixed"], ["report", "mixed"], verify, clean, ["board"]),
            weight=4,
        ),
        "search": Scene(tune, ("runs/search/*/*", *MODELS), (verify, clean), weight=4),
        "parts": Scene(ablate, ("runs/parts/*/*", *MODELS), (verify, clean), weight=3),
        "breaths": Scene(
            ["train", "breaths"],
            ("runs/exact/*", "runs/data/*/*", "runs/folds/*", "runs/ledger.csv", *STORES),
            (["infer", "breaths"], ["report", "breaths"], ["folds", "breaths"], verify, clean),
            weight=4,
        ),
        "systems": Scene(study, ("runs/systems/*/*",), (verify, clean)),
    }


@dataclass
class Lab:
    """The scenes with their templates, and what each command makes of an undamaged one."""

    homes: Homes
    scenes: dict[str, Scene]
    search: Undisturbed
    known: dict[str, tuple[Any, Tree, Tree]]  # scene and command -> its answer, the home's files after, those it made

    def prepare(self, name: str) -> None:
        """Make the template of a scene, unless it is there."""
        if self.homes.has(name):
            return
        scene = self.scenes[name]
        if name == "search":
            self.search.prepare(self.homes, "before-search")
        self.homes.renew("configs")
        if name == "half":
            homes.leave_half(self.homes, scene.maker)
        else:
            if name == "parts":  # it uses cells and stores of the rides
                self.homes.run("train", "rides")
            self.homes.run(*scene.maker)
        self.homes.keep(name)

    def undamaged(self, name: str, words: list[str]) -> tuple[Any, Tree, Tree]:
        """Return what a command does where nothing is damaged."""
        key = f"{name} {words}"
        if key not in self.known:
            before = results.of(self.homes.renew(name))
            ended = self.homes.run(*words, "--json")
            after = results.of(self.homes.path)
            new = {file: content for file, content in after.items() if before.get(file) != content}
            self.known[key] = (results.answer(ended), after, new)
        return self.known[key]


def faults(seed: int, scratch: Path) -> Generator[Fault, None, None]:
    """Harm one file a fault, and run one command."""
    made = Homes(scratch)
    searched = Undisturbed(["tune", "search", homes.TREES])
    lab = Lab(made, scenes(made), searched, {})
    names = [name for name, scene in lab.scenes.items() for _ in range(scene.weight)]
    number = 0
    while True:
        draw = random.Random(f"{seed} damage {number}")
        name = draw.choice(names) if number else names[0]
        lab.prepare(name)
        scene = lab.scenes[name]
        words = scene.maker if draw.random() < 0.4 else draw.choice(scene.readers)
        for needed in (words, scene.maker):
            lab.undamaged(name, needed)
        path = chosen(made.renew(name), scene, draw)
        what = f"{number} of seed {seed}: {' '.join(scene.maker)}; {harmed(path, draw, made.path)}; {shlex.join(words)}"
        yield Damaged(lab, name, words, path, what).judged()
        number += 1


def chosen(home: Path, scene: Scene, draw: random.Random) -> Path:
    """Draw a file of a scene: first a glob, then a name, so that rare files come, too."""
    while True:
        pattern = draw.choice(scene.globs)
        found = [path for path in sorted(home.glob(pattern)) if path.is_file() and "latest" not in path.parts]
        if found:
            name = draw.choice(sorted({path.name for path in found}))
            return draw.choice([path for path in found if path.name == name])


def harmed(path: Path, draw: random.Random, home: Path) -> str:
    """Harm a file, and say how."""
    harm, content = draw.choice(HARMS), bytearray(path.read_bytes())
    where = path.relative_to(home)
    if harm == "delete":
        path.unlink()
        return f"delete {where}"
    if harm == "empty" or not content:
        path.write_bytes(b"")
        return f"empty {where}"
    at, bit = draw.randrange(len(content)), draw.randrange(8)
    if harm == "cut":
        path.write_bytes(content[:at])
        return f"cut {where} at byte {at}"
    content[at] ^= 1 << bit
    path.write_bytes(content)
    return f"flip bit {bit} of byte {at} of {where}"


@dataclass
class Damaged:
    """A command on a home folder with a damaged file."""

    lab: Lab
    name: str  # of the scene
    words: list[str]
    path: Path  # what is damaged
    what: str

    def judged(self) -> Fault:
        """Run it, and judge how it ended."""
        ended = self._run(self.words)
        if ended.broken:
            return Fault(self.what, ended.broken, ended.err)
        if self.words[0] == "doctor":
            return self._doctor(ended)
        if ended.refused and self.words[0] == "board" and not self.path.exists():
            return Fault(self.what, Outcome.FINE)  # the only record is gone: there is nothing to show
        if ended.refused:
            return self._way_out(ended)
        if ended.code != 0:
            return Fault(self.what, Outcome.UNCLEAR, f"exit code {ended.code}: {ended.err}")
        return self._result(ended)

    def _run(self, words: list[str]) -> Ended:
        return foldline(self.lab.homes.path, *words, "--json")

    def _result(self, ended: Ended) -> Fault:
        """Judge what a command that ended well has left."""
        if self.words == CLEAN:
            return self._next_run()
        if self.words[0] == "board" and self.path.parent.name in ended.err:  # it names what it leaves out
            return Fault(self.what, Outcome.FINE)
        wrong = self._wrong(ended)
        return Fault(self.what, Outcome.SILENT, wrong) if wrong else Fault(self.what, Outcome.FINE)

    def _wrong(self, ended: Ended) -> str:
        """Say what is not as without the damage. What the maker makes is compared whole, of others their own files."""
        if self.words[0] == "tune" and self.path.name == "study.journal":  # it may search anew, in another order
            return self.lab.search.differences(self.lab.homes.path)
        answer, after, new = self.lab.undamaged(self.name, self.words)
        if results.answer(ended) != answer:
            return f"answered {results.answer(ended)}, not {answer}"
        now, makes = results.of(self.lab.homes.path), self.words == self.lab.scenes[self.name].maker
        wanted = self._without_texts(after if makes else new)
        now = {file: content for file, content in self._without_texts(now).items() if makes or file in wanted}
        return self._apart(now, wanted, self.words)

    def _apart(self, now: Tree, wanted: Tree, words: list[str]) -> str:
        """Compare files, but for what these commands do not need.

        A search that has ended reads few of its cells again: one may stay damaged, if it is listed. An ablation trains
        a damaged cell again, and predicts no test table.
        """
        if words[0] == "tune" and self._stays_known():
            now, wanted = ({name: each[name] for name in each if name != self.file} for each in (now, wanted))
        if words[0] == "ablate":
            wanted = {name: content for name, content in wanted.items() if name in now or not TEST.search(name)}
        return results.differences(now, wanted)

    @property
    def file(self) -> str:
        """What is damaged, below the home folder."""
        return self.path.relative_to(self.lab.homes.path).as_posix()

    def _stays_known(self) -> bool:
        """Whether it is damaged still, and `doctor --verify` lists it."""
        listed = results.answer(self._run(["doctor", "--verify"]))["damaged"]
        return any(Path(each) in (self.path, *self.path.parents) for each in listed)

    def _without_texts(self, tree: Tree) -> Tree:
        """Leave out what has no checksum where it is damaged: texts that users may edit. Ledgers keep odd lines aside,
        folds may be made again in another folder, and lists of cells may name more.
        """
        kept = {name: content for name, content in tree.items() if not name.endswith("ledger.csv.damaged")}
        for odd in (name for name in ("ledger.csv", "folds/", "cells.txt") if name in str(self.path)):
            kept = {name: content for name, content in kept.items() if odd not in name}
        return kept

    def _way_out(self, refused: Ended) -> Fault:
        """Do what the refusal says; then the command has to end as without the damage."""
        named = COMMAND.findall(refused.err)
        maker = self.lab.scenes[self.name].maker
        way_out = shlex.split(named[0])[1:] if named else maker
        if self.path.name == "experiment.json" and not self.path.exists():
            way_out = maker  # `train NAME` is what is said: what else was blended stood in the record that is gone
        if not named and "move it away" in refused.err.lower():
            self.path.unlink(missing_ok=True)
        first = self._run(way_out)
        if first.broken:
            return Fault(f"{self.what}; {shlex.join(way_out)}", first.broken, first.err)
        ended = self._run(self.words)
        if ended.code != 0:
            return Fault(self.what, Outcome.UNCLEAR, f"{refused.err}{first.err}and then, as before: {ended.err}")
        return self._result(ended)

    def _doctor(self, ended: Ended) -> Fault:
        """It lists the damage; what nothing reads has no checksum, and is not listed."""
        if ended.code not in (0, 1):
            return Fault(self.what, Outcome.UNCLEAR, f"exit code {ended.code}: {ended.err}")
        listed = [Path(each) for each in results.answer(ended)["damaged"]]
        near = (self.path, self.path.with_suffix(".npy"), self.path.with_suffix(".parquet"), *self.path.parents)
        right = ended.code == bool(listed) and all(each in near for each in listed)
        return Fault(self.what, Outcome.FINE) if right else Fault(self.what, Outcome.SILENT, ended.out)

    def _next_run(self) -> Fault:
        """What `clean` deletes was not needed: the next run has the same results."""
        maker = self.lab.scenes[self.name].maker
        what, ended = f"{self.what}; {shlex.join(maker)}", self._run(maker)
        if ended.refused:  # by what is damaged, not by what was deleted
            return Damaged(self.lab, self.name, maker, self.path, what)._way_out(ended)
        if ended.code != 0:
            return Fault(what, ended.broken or Outcome.UNCLEAR, f"exit code {ended.code}: {ended.err}")
        if self.path.name == "study.journal":  # as in `_wrong`
            wrong = self.lab.search.differences(self.lab.homes.path)
            return Fault(what, Outcome.SILENT, wrong) if wrong else Fault(what, Outcome.FINE)
        answer, after, _ = self.lab.undamaged(self.name, maker)
        now, after = self._without_texts(results.of(self.lab.homes.path)), self._without_texts(after)
        apart = self._apart(now, {file: content for file, content in after.items() if file in now}, maker)
        wrong = apart if results.answer(ended) == answer else f"answered {results.answer(ended)}, not {answer}"
        return Fault(what, Outcome.SILENT, wrong) if wrong else Fault(what, Outcome.FINE)


KIND = Kind(
    "damage",
    "what is stored and damaged is never used: it is made again, or refused with a sentence that says how",
    "a bit flipped, cut off, emptied or deleted in any stored file; then a verb, and what its refusal says to do",
    share=2.0,
    faults=faults,
)
