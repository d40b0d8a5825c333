"""All that wants a GPU, in ten minutes on one card. Run: ./run.sh bench gpu [--help], or python benchmarks/gpu.py

Any Python that has torch runs it, without set-up and without a network: a part that lacks a package is skipped, and the
package named. What fails soonest comes first:

    machine    the card, its driver, and torch
    tests      those marked `gpu` (`--device cpu`: the same ones as far as a CPU can show them)
    rival      our loop against the reimplemented winners' (benchmarks/train_rival.py); aim: 5 times as fast
    together   several cells in turn on one card, against one alone; aim: 2 times the samples a second
    graphs     a step's passes as CUDA graphs (train.graphs), against steps without
    networks   seconds an epoch of 75,450 breaths, of every network of the project's performance notes
    baseline   one epoch of configs/baseline.toml on simulated breaths, end to end

After each part, and where one fails, gpu.json and gpu.md are written. A part ends when the time is over, and says so.
`--device cpu --small` tries all of it in small; its times say nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SEARCH = os.pathsep.join([str(ROOT), str(ROOT / "src")])
EPOCH = 75_450  # breaths of the competition's train.csv
MARGIN = 4  # steps kept behind the last scored one
FAST_PAYS, TOGETHER_PAYS = 5.0, 2.0  # the aims
LAST_S = 20.0  # kept back, so that the last part can end
TESTS = (
    "tests/fit/test_devices.py",
    "tests/fit/test_waits.py",
    "tests/fit/test_step_graphs.py",
    "tests/models/test_run_recurrent.py",
    "tests/run/test_lanes.py",
)
FIRST = ("bi-LSTM 2x64", "TCN 64x6", "Transformer 64x3", "bi-GRU 2x64")  # the small ones, which are over soon
MANY_OPERATIONS = ("TCN 64x6", "Transformer 64x3", "TCN 256x8", "Transformer 256x4", "bi-LSTM 2x64", "first_place")
MACHINE = """
import json, torch
cuda = torch.cuda.is_available()
card = torch.cuda.get_device_properties(0) if cuda else None
print(json.dumps({
    "torch": torch.__version__, "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version() if cuda else None,
    "card": card.name if cuda else None, "gib": round(card.total_memory / 2**30, 1) if cuda else None,
    "capability": f"{card.major}.{card.minor}" if cuda else None, "cards": torch.cuda.device_count(),
}))
"""


class Skipped(Exception):
    """A part that can't be run here; its text says why."""


@dataclass
class Part:
    """What a part has found so far."""

    name: str
    state: str = "not run"  # "done", "skipped", "failed", "out of time", "running", "not run"
    why: str = ""
    seconds: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)  # sentences for people


@dataclass
class Session:
    """One call: its options, its parts, and how much time is left."""

    device: str
    small: bool
    out: Path
    ends: float  # time.monotonic()
    command: str
    parts: list[Part] = field(default_factory=list)

    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self.ends - time.monotonic())

    def run(self, command: list[str], most: float = 600.0, **environment: str) -> str:
        """Run a Python of its own on the repository; return what it prints.

        Raises:
            Skipped: a package is not installed.
            subprocess.TimeoutExpired: the time is over.
            RuntimeError: it failed; the text is the end of what it said.
        """
        env = {**os.environ, "PYTHONPATH": SEARCH, "WANDB_MODE": "disabled", **environment}
        seconds = min(most, self.left())
        done = subprocess.run(
            [sys.executable, "-P", *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=seconds
        )
        if done.returncode == 0:
            return done.stdout
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        last = lines[-1] if lines else f"exit code {done.returncode}"
        if last.startswith("ModuleNotFoundError: No module named "):
            raise Skipped(f"needs {last.split()[-1]}, which is not installed")
        raise RuntimeError(" / ".join(lines[-3:]))

    def measure(self, **task: Any) -> float:
        """Return the figure of one task of benchmarks/train_side.py: samples a second."""
        common = {"device": self.device, "threads": os.cpu_count() or 1, "steps": 2 if self.small else 60}
        common["batch"] = 8 if self.small else 128
        given = json.dumps({**common, **task})
        return float(json.loads(self.run(["-m", "benchmarks.train_side", given]).splitlines()[-1])["figure"])

    def write(self) -> None:
        """Write what is known by now, whole files at a time."""
        self.out.mkdir(parents=True, exist_ok=True)
        found = {"command": self.command, "device": self.device, "small": self.small}
        texts = {
            "gpu.json": json.dumps({**found, "parts": list(map(asdict, self.parts))}, indent=1) + "\n",
            "gpu.md": markdown(self),
        }
        for name, text in texts.items():
            half = self.out / f".{name}"
            half.write_text(text, encoding="utf-8")
            half.replace(self.out / name)


def formats(session: Session) -> list[str]:
    """List the number formats that the device has."""
    text = "import torch; from foldline.fit import precision; print(*precision.candidates(torch.device('{}')))"
    return session.run(["-c", text.format(session.device)]).split()


# ---------------------------------------------------------------- the parts: each adds rows and sentences as it goes


def machine(session: Session, part: Part) -> None:
    """Name what it runs on, and the packages that other parts will miss."""
    found = json.loads(session.run(["-c", MACHINE]).splitlines()[-1])
    driver = shutil.which("nvidia-smi")
    if driver and session.device == "cuda":
        query = [driver, "--query-gpu=driver_version", "--format=csv,noheader"]
        asked = subprocess.run(query, capture_output=True, text=True, timeout=30)
        found["driver"] = asked.stdout.split("\n")[0].strip()
    part.rows.append({**found, "python": platform.python_version(), "cores": os.cpu_count()})
    if session.device == "cuda" and found["card"] is None:
        raise Skipped("needs an NVIDIA GPU, and torch finds none; --device cpu --small tries everything in small")
    try:
        session.run(["-c", "import foldline.fit.network_cell"])
    except Skipped as error:
        part.said.append(f"Parts that train {error}.")


def tests(session: Session, part: Part) -> None:
    """Run the tests marked `gpu`; on a CPU their variants for it."""
    report = session.out / ".tests.xml"
    chosen = ["-m", "gpu"] if session.device == "cuda" else ["-k", "clipped and cpu" if session.small else "cpu"]
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", f"--junitxml={report}", *chosen]
    command += ["-W", "ignore::pytest.PytestConfigWarning"]  # options of plugins that are not installed
    failed = ""
    try:
        session.run([*command, *TESTS], most=240.0)
    except RuntimeError as error:
        failed = str(error)
    if not report.exists():
        raise RuntimeError(failed)
    from xml.etree import ElementTree

    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        state = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        message = next((child.get("message", "") for child in case), "")
        part.rows.append({"test": case.get("name"), "result": state, "why": message.split("\n")[0][:200]})
    report.unlink()
    count = {state: sum(row["result"] == state for row in part.rows) for state in ("passed", "failed", "skipped")}
    part.said.append(", ".join(f"{number} {state}" for state, number in count.items()) + ".")
    if count["failed"] or not count["passed"]:
        raise RuntimeError(f"{count['failed']} tests failed, {count['passed']} passed")


def rival(session: Session, part: Part) -> None:
    """Compare our loop with the winners', on their network."""
    network = "bi-LSTM 2x64" if session.small else "first_place"
    theirs = session.measure(side="rival", network=network)
    part.rows.append({"loop": "rival, fp32, T = 80", "samples/s": round(theirs, 1), "ratio": 1.0})
    best = 0.0
    for margin in (-1, MARGIN):
        for kind in formats(session):
            ours = session.measure(side="ours", network=network, precision=kind, margin=margin)
            loop = f"ours, {kind}, T = {80 if margin < 0 else 31 + margin}"
            part.rows.append({"loop": loop, "samples/s": round(ours, 1), "ratio": round(ours / theirs, 2)})
            best = max(best, ours / theirs)
            session.write()
    part.said.append(f"{network}: {best:.2f} times the rival's samples a second at best; the aim is {FAST_PAYS:g}.")


def together(session: Session, part: Part) -> None:
    """Compare several cells in turn on one card with one alone."""
    for network in ("bi-LSTM 2x64",) if session.small else ("bi-LSTM 2x64", "bi-LSTM 4x512", "first_place"):
        alone = session.measure(side="ours", network=network, margin=MARGIN)
        for count in (2,) if session.small else (2, 4, 8):
            shared = session.measure(side="ours", network=network, margin=MARGIN, together=count)
            part.rows.append(
                {
                    "network": network,
                    "cells": count,
                    "samples/s": round(shared, 1),
                    "alone": round(alone, 1),
                    "ratio": round(shared / alone, 2),
                }
            )
            session.write()
    best = max(row["ratio"] for row in part.rows)
    part.said.append(f"{best:.2f} times one cell's samples a second at best; the aim is {TOGETHER_PAYS:g}.")


def graphs(session: Session, part: Part) -> None:
    """Compare steps as CUDA graphs with steps without."""
    if session.device != "cuda":
        raise Skipped("CUDA graphs need an NVIDIA GPU")
    for network in MANY_OPERATIONS[:1] if session.small else MANY_OPERATIONS:
        plain, graphed = (
            session.measure(side="ours", network=network, margin=MARGIN, graphs=used) for used in (False, True)
        )
        part.rows.append({"network": network, "samples/s": round(graphed, 1), "ratio": round(graphed / plain, 2)})
        session.write()


def networks(session: Session, part: Part) -> None:
    """Measure seconds an epoch of each network, in each format."""
    listed = session.run(["-c", "from benchmarks.train_side import NETWORKS; print(*NETWORKS, sep='\\n')"])
    names = [*FIRST, *(name for name in listed.splitlines() if name not in FIRST)]
    kinds = formats(session)
    for name in names[:2] if session.small else names:
        row: dict[str, Any] = {"network": name}
        part.rows.append(row)
        for kind in kinds:
            row[kind] = round(EPOCH / session.measure(side="ours", network=name, precision=kind, margin=MARGIN), 2)
            session.write()
    part.said.append(f"Seconds an epoch of {EPOCH:,} breaths, T = {31 + MARGIN}, batch 128.")


def baseline(session: Session, part: Part) -> None:
    """Train one epoch of configs/baseline.toml on simulated breaths, in a home of its own."""
    breaths = 60 if session.small else 20_000
    words = [
        "data.source=simulate",
        f"data.simulate={{breaths = {breaths}, test_breaths = {breaths // 10}, seed = 0}}",
        "folds.k=2",
        "train.epochs=1",
        "post.decode=false",  # it is the processor's work
        "model.1.rounds=20",
        f"train.device={session.device}",
        *(["model.0.width=16", "train.precision=fp32", "train.batch=16"] if session.small else []),
    ]
    with tempfile.TemporaryDirectory() as home:
        shutil.copytree(ROOT / "configs", Path(home) / "configs")
        began = time.monotonic()
        said = session.run(["-m", "foldline", "train", "baseline", *words, "--json"], FOLDLINE_HOME=home)
        seconds = time.monotonic() - began
    result = json.loads(said.splitlines()[-1])
    part.rows.append({"breaths": breaths, "seconds": round(seconds, 1), "score": result.get("score")})
    part.said.append(f"`train baseline {' '.join(words)}`")


PARTS: dict[str, Callable[[Session, Part], None]] = {
    "machine": machine,
    "tests": tests,
    "rival": rival,
    "together": together,
    "graphs": graphs,
    "networks": networks,
    "baseline": baseline,
}


def markdown(session: Session) -> str:
    """Write what is known by now for people."""
    lines = ["# On a GPU" if session.device == "cuda" else "# On a CPU: a trial, its times say nothing", ""]
    lines += [f"`{session.command}`", ""]
    for part in session.parts:
        state = part.state + (f": {part.why}" if part.why else "")
        lines += [f"## {part.name}", f"{state} ({part.seconds:.0f} s)", ""]
        rows = [row for row in part.rows if part.name != "tests" or row["result"] != "passed"]
        if rows:
            names = list(dict.fromkeys(name for row in rows for name in row))
            lines += ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
            lines += ["| " + " | ".join(_cell(row.get(name)) for name in names) + " |" for row in rows] + [""]
        lines += [*part.said, ""] if part.said else []
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return "" if value is None else str(value).replace("|", "\\|")


def run_part(session: Session, name: str) -> Part:
    """Run one part; whatever happens to it, the next ones come."""
    part = Part(name, "running")
    session.parts.append(part)
    session.write()
    began = time.monotonic()
    if session.left() <= LAST_S:
        part.state, part.why = "out of time", "the parts before took all of it"
    else:
        try:
            PARTS[name](session, part)
            part.state = "done"
        except Skipped as error:
            part.state, part.why = "skipped", str(error)
        except subprocess.TimeoutExpired:
            part.state, part.why = "out of time", "what was measured by then is kept"
        except Exception as error:  # the other parts must come, whatever this one met
            part.state, part.why = "failed", f"{type(error).__name__}: {error}"[:2000]
    part.seconds = round(time.monotonic() - began, 1)
    session.write()
    return part


def main(argv: list[str]) -> int:
    """Run the parts; 1 where one has failed."""
    parser = argparse.ArgumentParser(prog="gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help="cpu: to try it")
    parser.add_argument("--small", action="store_true", help="small networks and few steps: to try it")
    parser.add_argument("--minutes", type=float, default=10.0, help="most time for all of it (default: 10)")
    parser.add_argument("--parts", default=",".join(PARTS), help="which ones (default: all)")
    parser.add_argument("--out", type=Path, default=Path("gpu-results"), help="folder of gpu.json and gpu.md")
    options = parser.parse_args(argv)
    unknown = [name for name in options.parts.split(",") if name not in PARTS]
    if unknown:
        parser.error(f"--parts must be some of {', '.join(PARTS)}, but has {', '.join(unknown)}")
    command = " ".join(["./run.sh bench gpu", *argv])
    ends = time.monotonic() + 60 * options.minutes
    session = Session(options.device, options.small, options.out.absolute(), ends, command)
    for name in options.parts.split(","):
        part = run_part(session, name)
        print(f"{name}: {part.state}{f' ({part.why})' if part.why else ''}, {part.seconds:.0f} s", flush=True)
        for sentence in part.said:
            print(f"    {sentence}", flush=True)
        if name == "machine" and part.state == "skipped":
            break  # there is no such device
    print(f"{session.out / 'gpu.md'}, {session.out / 'gpu.json'}")
    return int(any(part.state == "failed" for part in session.parts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
