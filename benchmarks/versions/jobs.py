"""The jobs: what a user waits for, as commands of both versions. JOBS has them by name."""

from __future__ import annotations

import json
import math
import re
import shutil
import statistics
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmarks.versions import checkouts, own_tests, process_costs
from benchmarks.versions.checkouts import ROOT, Side
from benchmarks.versions.process_costs import Cost

SAMPLES = 75_450  # breaths of the competition's train.csv: an epoch
TEST_BREATHS = 50_300  # of its test.csv
TOLERANCE = 1e-9  # of the winners' inputs


@dataclass(frozen=True)
class Command:
    """What is timed."""

    words: list[str]
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What one run has cost."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    details: dict[str, Any] = field(default_factory=dict)  # scores, counts


@dataclass(frozen=True)
class Bench:
    """What all jobs share."""

    now: Side
    before: Side
    data: Path | None  # the competition's real sample
    small: bool  # sizes for a try, whose figures mean nothing

    def simulated(self, breaths: int, test_breaths: int) -> Path:
        """Return a simulated competition that both sides read."""
        folder = self.now.shared / f"simulated-{breaths}-{test_breaths}"
        if not folder.exists():
            self.now.run("simulate", str(folder), f"breaths={breaths}", f"test_breaths={test_breaths}", "--quiet")
        return folder


class Job(ABC):
    """One of the jobs; `name` in JOBS."""

    title: ClassVar[str]
    at_most: ClassVar[str]  # the ratio that is wanted
    pairs: ClassVar[int] = 5
    measure: ClassVar[str] = "seconds"  # of Run: what the ratio is of
    needs_data: ClassVar[bool] = False
    codes: ClassVar[tuple[int, ...]] = (0,)  # exit codes with which a run counts

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def prepare(self, side: Side) -> None:  # noqa: B027, most jobs have nothing to do then
        """Do what comes once, before all runs."""

    def before(self, side: Side) -> None:  # noqa: B027, most jobs have nothing to do then
        """Do what comes before each run."""

    @abstractmethod
    def command(self, side: Side) -> Command:
        """Return what is timed."""

    def details(self, cost: Cost) -> dict[str, Any]:
        """Return what else a run has said."""
        return {}

    def run_of(self, cost: Cost) -> Run:
        """Return what a run has cost."""
        return Run(cost.seconds, cost.cpu_seconds, cost.peak_bytes, self.details(cost))

    def rival(self) -> Command | None:
        """Return what is timed beside each pair."""
        return None

    def check(self) -> str:
        """Compare what both sides have made; a sentence."""
        return ""


def run_sh(side: Side, *words: str) -> Command:
    """Return a command line of a side's checkout."""
    return Command(["./run.sh", *words], side.checkout)


def scores_of(cost: Cost) -> dict[str, Any]:
    """Return the fold scores, and that of all folds, of a `train --json`: with exact rows, and of models alone."""
    scores = json.loads(cost.output.splitlines()[-1])["scores"]
    return {"scores": {name: scores[name] for name in ("exact rows in place", "snapped to the grid") if name in scores}}


class Train(Job):
    title = "`train` on a clean clone, set-up included"
    at_most = "0.45"
    pairs = 3

    def words(self) -> list[str]:
        few = ["data.simulate.breaths=200", "data.simulate.test_breaths=50", "train.epochs=1"]
        return ["train", *(few if self.bench.small else [])]

    def before(self, side: Side) -> None:
        side.clone(side.folder / "fresh")

    def command(self, side: Side) -> Command:
        return Command(["./run.sh", *self.words(), "--json"], side.folder / "fresh")

    def details(self, cost: Cost) -> dict[str, Any]:
        return scores_of(cost)


class TrainAgain(Train):
    title = "the same again, nothing to do"
    at_most = "0.5"
    pairs = 5

    def prepare(self, side: Side) -> None:
        side.run(*self.words(), "--quiet")

    def before(self, side: Side) -> None:
        """Leave the checkout as it is."""

    def command(self, side: Side) -> Command:
        return run_sh(side, *self.words(), "--json")


class FilesToStore(Job):
    title = "a full-size competition from files to folds and store"
    at_most = "0.3"

    def sizes(self) -> tuple[int, int]:
        return (2_000, 1_000) if self.bench.small else (SAMPLES, TEST_BREATHS)

    def prepare(self, side: Side) -> None:
        source = self.bench.simulated(*self.sizes())
        link = side.checkout / "runs" / "bench" / source.name  # where `bench border` looks for it
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(source)

    def command(self, side: Side) -> Command:
        breaths, test_breaths = map(str, self.sizes())
        return run_sh(side, "bench", "border", "--breaths", breaths, "--test-breaths", test_breaths)

    def run_of(self, cost: Cost) -> Run:
        together = re.search(r"^together +([\d.]+)", cost.output, re.MULTILINE)
        assert together is not None, cost.output
        return Run(float(together[1]), cost.cpu_seconds, cost.peak_bytes)


class DecodeFirst(Job):
    title = "decode of 1,000 breaths, first ever call"
    at_most = "0.35"
    breaths = 1_000

    def file(self) -> Path:
        return self.bench.simulated(10, 50 if self.bench.small else self.breaths) / "test.csv"

    def prepare(self, side: Side) -> None:
        self.file()

    def before(self, side: Side) -> None:
        for pattern in ("*.nbi", "*.nbc", "kernels-*/complete"):  # numba's; its mark
            for path in (side.checkout / "src").rglob(pattern):
                path.unlink()
        self.forget(side)

    def forget(self, side: Side) -> None:
        """Delete what was decoded."""
        shutil.rmtree(side.checkout / "runs" / "exact", ignore_errors=True)
        for path in side.folder.glob("exact.csv*"):
            path.unlink()

    def command(self, side: Side) -> Command:
        return run_sh(side, "decode", str(self.file()), str(side.folder / "exact.csv"))


class DecodeFull(DecodeFirst):
    title = "decode of 50,300 breaths, compiled"
    at_most = "0.6"
    pairs = 3
    breaths = TEST_BREATHS

    def prepare(self, side: Side) -> None:
        few = self.bench.simulated(10, 50) / "test.csv"
        side.run("decode", str(few), str(side.folder / "exact.csv"), "--quiet")

    def before(self, side: Side) -> None:
        self.forget(side)


class Sample(Job):
    title = "`configs/sample.toml` as it was"
    at_most = "0.5"
    pairs = 3
    needs_data = True

    def config(self, side: Side) -> Path:
        return side.checkout / "configs" / "as-it-was.toml"

    def prepare(self, side: Side) -> None:
        shutil.copy(self.bench.before.checkout / "configs" / "sample.toml", self.config(side))

    def before(self, side: Side) -> None:
        shutil.rmtree(side.checkout / "runs", ignore_errors=True)

    def command(self, side: Side) -> Command:
        few = "train.epochs=1", "model.0.pretrain.breaths=200", "model.1.pretrain.breaths=200"
        more = few if self.bench.small else ()
        return run_sh(side, "train", str(self.config(side)), f"data.source={self.bench.data}", *more, "--json")

    def details(self, cost: Cost) -> dict[str, Any]:
        return scores_of(cost)


class InferFast(Job):
    title = "`infer` of `sample-fast.toml` on 1,000 breaths, exact rows cached"
    at_most = "0.5"
    needs_data = True

    def prepare(self, side: Side) -> None:
        few = ["train.epochs=1"] if self.bench.small else []
        side.run("train", "sample-fast", f"data.source={self.bench.data}", *few, "--quiet")

    def before(self, side: Side) -> None:
        """Delete what cells have predicted; exact rows and features stay."""
        for path in (side.checkout / "runs" / "cells").glob("*/*test-*"):
            path.unlink()

    def command(self, side: Side) -> Command:
        return run_sh(side, "infer", "sample-fast", f"data.source={self.bench.data}")


class Tests(Job):
    title = "the tests of the older version, or their successors"
    at_most = "0.6"
    pairs = 3
    measure = "cpu_seconds"
    codes = (0, 1)  # some may fail: the line says so

    def prepare(self, side: Side) -> None:
        said = self.bench.before.run("test", "--collect-only", "-q").output
        pairs = own_tests.successors(own_tests.collected(said), own_tests.in_files(self.bench.now.checkout))
        tests = list(pairs.values() if side is self.bench.now else pairs)
        (side.folder / "tests.txt").write_text(own_tests.node_ids(tests[:10] if self.bench.small else tests))

    def command(self, side: Side) -> Command:
        # Whatever ran by default is run, also where it is marked as slow now.
        words = ["-q", "-p", "no:cacheprovider", "-m", "slow or not slow", f"@{side.folder / 'tests.txt'}"]
        return run_sh(side, "test", *words)

    def details(self, cost: Cost) -> dict[str, Any]:
        return {"pytest": cost.output.splitlines()[-1]}


class Inputs(Job):
    title = "the winners' 37 inputs, reading included"
    at_most = "0.65"

    def csv(self) -> str:
        from benchmarks import features

        return str(features.breaths_csv(500 if self.bench.small else SAMPLES))

    def command(self, side: Side) -> Command:
        words = [str(side.python), "-m", "benchmarks.foldline_features", "features", self.csv()]
        return Command(words, side.checkout)

    def rival(self) -> Command:
        from benchmarks import features

        return Command([features.rival_python(), "-m", features.ANCHOR, "features", self.csv()], ROOT)

    def run_of(self, cost: Cost) -> Run:
        last = json.loads(cost.output.splitlines()[-1])["costs"][-1]
        return Run(last["seconds"], last["cpu_seconds"], cost.peak_bytes)

    def check(self) -> str:
        from benchmarks import features

        saved = {"pandas": (features.rival_python(), features.ANCHOR, ROOT)}
        saved |= {
            side.name: (str(side.python), features.OURS, side.checkout) for side in (self.bench.now, self.bench.before)
        }
        paths = {name: self.bench.now.shared / f"inputs-{name}.npy" for name in saved}
        for name, (python, module, folder) in saved.items():
            words = [python, "-m", module, "save", self.csv(), str(paths[name])]
            checkouts.succeeded(process_costs.run(words, folder, checkouts.environment()), words)
        expected = np.load(paths["pandas"], mmap_mode="r")
        said = []
        for name in ("now", "before"):
            found = np.load(paths[name], mmap_mode="r")
            largest = max(float(np.abs(one - other).max()) for one, other in zip(found, expected, strict=True))
            said.append(f"{name} {largest:.1e}")
        for path in paths.values():
            path.unlink()
        return f"largest difference to pandas over {expected.size:,} values, at most {TOLERANCE:.0e}: {', '.join(said)}"


class RecurrentEpoch(Job):
    title = f"an epoch of {SAMPLES:,} samples, small recurrent hybrids, one core, fp32"
    at_most = "0.77"  # 1.3 times as many samples a second
    precision = "fp32"

    def command(self, side: Side) -> Command:
        given = {"precision": self.precision if side is self.bench.now else "fp32"}
        task = json.dumps({**given, "steps": 5 if self.bench.small else 100})
        path = f"{side.checkout}:{side.checkout / 'src'}"
        script = str(Path(__file__).with_name("recurrent_epoch.py"))
        return Command([str(side.python), "-P", script, task], side.checkout, {"PYTHONPATH": path})

    def run_of(self, cost: Cost) -> Run:
        rates = json.loads(cost.output.splitlines()[-1])
        rate = statistics.geometric_mean(rates.values())
        assert math.isfinite(rate), rates
        return Run(SAMPLES / rate, cost.cpu_seconds, cost.peak_bytes, {"samples a second": rates})


class RecurrentEpochBf16(RecurrentEpoch):
    title = "the same, bf16 beside the older version's fp32"
    at_most = "0.56"  # 1.8 times as many
    precision = "bf16"


JOBS: dict[str, type[Job]] = {
    "again": TrainAgain,
    "infer": InferFast,
    "inputs": Inputs,
    "recurrent": RecurrentEpoch,
    "recurrent-bf16": RecurrentEpochBf16,
    "decode-first": DecodeFirst,
    "files": FilesToStore,
    "train": Train,
    "decode": DecodeFull,
    "tests": Tests,
    "sample": Sample,
}
