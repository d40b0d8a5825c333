"""`test --machines`: the suite under several instruction sets and numbers of threads, on one machine.

Libraries choose their code by what the processor can do. Another choice adds in another order, and last bits differ: a
test that holds on one machine only shows here. scikit-learn, LightGBM and polars have no such choice to make.

Sources of the variables: https://docs.pytorch.org/docs/stable/threading_environment_variables.html (ATen),
https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html, oneMKL's developer guide
(MKL_ENABLE_INSTRUCTIONS, MKL_CBWR), https://numpy.org/doc/stable/reference/simd/build-options.html, OpenBLAS' README
(OPENBLAS_CORETYPE), https://arrow.apache.org/docs/cpp/env_vars.html, numba's reference manual (NUMBA_CPU_NAME).
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foldline.core.console import Terminal
from foldline.core.errors import UserError, unknown

THREADS = (1, 4)
LIBRARIES = ("torch", "oneDNN", "MKL", "numpy", "OpenBLAS", "pyarrow", "numba")


@dataclass(frozen=True)
class Machine:
    """What the suite is run as: one instruction set, one number of threads."""

    instructions: str  # native, avx2, lowest
    threads: int
    environment: Mapping[str, str]  # variables that make the libraries obey

    @property
    def name(self) -> str:
        """`avx2-4`: as --machines= takes it."""
        return f"{self.instructions}-{self.threads}"


@dataclass(frozen=True)
class Outcome:
    """What pytest's report says of one run."""

    passed: int = 0
    skipped: int = 0
    failed: tuple[str, ...] = ()  # file::test of failures and errors
    code: int = 0  # pytest's exit code


def known_machines(scratch: Path) -> dict[str, Machine]:
    """List every machine that this one can stand for, by name; where it is no x86_64, only its own instructions.

    Args:
        scratch: a folder for numba's caches: one for each instruction set.
    """
    found = instruction_sets() if platform.machine() in ("x86_64", "AMD64") else {"native": {}}
    machines = []
    for name, variables in found.items():
        cache = {"NUMBA_CACHE_DIR": str(scratch / f"numba-{name}")} if variables else {}
        machines += [Machine(name, count, {**variables, **cache, **of_threads(count)}) for count in THREADS]
    return {machine.name: machine for machine in machines}


def instruction_sets() -> dict[str, dict[str, str]]:
    """Return the variables of each instruction set of x86_64: its own, AVX2, and the lowest that each library knows."""
    # All that numpy has code for: what this process lacks may be disabled in it, by a list that the child replaces.
    simd: Any = np.show_config(mode="dicts")["SIMD Extensions"]
    dispatched = [str(name) for group in ("found", "not found") for name in simd.get(group, [])]
    above_avx2 = [name for name in dispatched if name.startswith("AVX512") or name == "X86_V4"]
    return {
        "native": {},
        "avx2": {
            "ATEN_CPU_CAPABILITY": "avx2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",  # obeyed on Intel's processors only
            "NPY_DISABLE_CPU_FEATURES": ",".join(above_avx2),
            "OPENBLAS_CORETYPE": "Haswell",
            "ARROW_USER_SIMD_LEVEL": "AVX2",
            "NUMBA_CPU_NAME": "haswell",
            "NUMBA_CPU_FEATURES": "",  # else those of the processor are added to the name's
        },
        "lowest": {
            "ATEN_CPU_CAPABILITY": "default",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
            "MKL_CBWR": "COMPATIBLE",  # SSE2; obeyed on every processor
            "NPY_DISABLE_CPU_FEATURES": ",".join(dispatched),
            "OPENBLAS_CORETYPE": "Prescott",
            "ARROW_USER_SIMD_LEVEL": "NONE",
            "NUMBA_CPU_NAME": "x86-64",
            "NUMBA_CPU_FEATURES": "",
        },
    }


def of_threads(count: int) -> dict[str, str]:
    """Return the variables that set the number of threads; tests/conftest.py reads the first."""
    names = ("FOLDLINE_TEST", "OMP_NUM", "MKL_NUM", "OPENBLAS_NUM", "POLARS_MAX", "NUMBA_NUM")
    return {f"{name}_THREADS": str(count) for name in names}


def chosen(option: str, machines: Mapping[str, Machine]) -> list[Machine]:
    """Return the machines that `--machines` or `--machines=NAME,NAME` names; all where it names none.

    Raises:
        UserError: a name that is not known here.
    """
    names = [name for name in option.partition("=")[2].split(",") if name] or list(machines)
    for name in names:
        if name not in machines:
            raise unknown("machine", name, machines, "./run.sh test --machines")
    return [machines[name] for name in names]


def run(option: str, pytest_words: Sequence[str], checkout: Path, terminal: Terminal) -> int:
    """Run pytest once for each machine; return 1 where a run failed.

    Raises:
        UserError: a name of `option` is not known here.
    """
    with tempfile.TemporaryDirectory(prefix="foldline-machines-") as scratch:
        machines = chosen(option, known_machines(Path(scratch)))
        if len(known_machines(Path(scratch))) == len(THREADS):
            terminal.say(f"This processor is {platform.machine()}, no x86_64: only its own instructions can be tested.")
        _show_libraries(machines, terminal)
        outcomes = {}
        for machine in machines:
            terminal.say(f"== {machine.name}")
            outcomes[machine.name] = _tested(machine, pytest_words, checkout, Path(scratch) / f"{machine.name}.xml")
    return _show_outcomes(outcomes, terminal)


def _show_libraries(machines: Iterable[Machine], terminal: Terminal) -> None:
    """One row for each instruction set: what each library says that it runs on."""
    first = {machine.instructions: machine for machine in reversed(list(machines))}
    rows = []
    for name, machine in reversed(first.items()):
        seen = libraries(machine.environment)
        rows.append([name, *(seen[library] for library in LIBRARIES)])
    terminal.table("what each library runs on", ["instruction set", *LIBRARIES], rows)


# Each library is made to compute something, as some say what they use only then.
PROBE = """
import json
import numba, numpy, pyarrow, scipy.linalg, threadpoolctl, torch
@numba.njit(fastmath=True)
def total(values):
    result = 0.0
    for value in values:
        result += value
    return result
total(numpy.ones(64))
code = "".join(total.inspect_asm().values())
square = torch.rand(64, 64)
square @ square
with torch.no_grad():
    torch.nn.Conv2d(16, 16, 3)(torch.rand(2, 16, 32, 32))
cores = {pool["architecture"] for pool in threadpoolctl.threadpool_info() if "architecture" in pool}
print(json.dumps({
    "torch": torch.backends.cpu.get_cpu_capability(),
    "numpy": " ".join(numpy.show_config(mode="dicts")["SIMD Extensions"].get("found", [])) or "baseline",
    "OpenBLAS": " ".join(sorted(cores)) or "not there",
    "pyarrow": pyarrow.runtime_info().simd_level,
    "numba": next((register for register in ("zmm", "ymm", "xmm") if register in code), "scalar"),
}))
"""


def libraries(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what each library says that it runs on under these variables.

    Raises:
        UserError: the libraries do not even start under them.
    """
    loud = {"MKL_VERBOSE": "1", "ONEDNN_VERBOSE": "1"}
    everything = {**os.environ, **environment, **loud}
    done = subprocess.run([sys.executable, "-c", PROBE], env=everything, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"The libraries do not start with {dict(environment)}:\n{done.stderr}")
    one_dnn = re.search(r"onednn_verbose,.*,cpu,isa:(.*)", done.stdout)
    found = {"oneDNN": one_dnn[1] if one_dnn else "not there", "MKL": _of_mkl(done.stdout)}
    return found | dict(json.loads(done.stdout.splitlines()[-1]))


def _of_mkl(verbose: str) -> str:
    """Read MKL's choice from what MKL_VERBOSE prints; on processors that are not Intel's it does not say."""
    if "MKL_VERBOSE" not in verbose:
        return "not there"
    branch = re.search(r"CNR:(\w+)", verbose)
    if branch and branch[1] not in ("OFF", "AUTO"):
        return branch[1]
    level = re.search(r"\((Intel\(R\) )?(AVX[\w-]*|SSE[\d.]*)\)", verbose)
    return level[2] if level else "its own choice"


def _tested(machine: Machine, words: Sequence[str], checkout: Path, report: Path) -> Outcome:
    command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *words]
    code = subprocess.call(command, cwd=checkout, env={**os.environ, **machine.environment})
    return outcome_of(report, code)


def outcome_of(report: Path, code: int) -> Outcome:
    """Read a JUnit report; without one (pytest did not come so far) only the exit code is known."""
    if not report.is_file():
        return Outcome(code=code)
    cases = list(ElementTree.parse(report).iter("testcase"))
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    failed = tuple(f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}" for case in bad)
    return Outcome(len(cases) - len(bad) - len(skipped), len(skipped), failed, code)


def _show_outcomes(outcomes: Mapping[str, Outcome], terminal: Terminal) -> int:
    """The table at the end, and the names of what failed; 1 where a run failed."""
    rows = []
    for name, outcome in outcomes.items():
        instructions, threads = name.rsplit("-", 1)
        verdict = "passed" if outcome.code == 0 else f"failed (exit code {outcome.code})"
        counts = [str(outcome.passed), str(len(outcome.failed)), str(outcome.skipped)]
        rows.append([instructions, threads, verdict, *counts])
    columns = ["instruction set", "threads", "suite", "passed", "failed", "skipped"]
    terminal.table("the suite on each machine", columns, rows)
    for name, outcome in outcomes.items():
        for test in outcome.failed:
            terminal.say(f"failed on {name}: {test}")
    bad = [name for name, outcome in outcomes.items() if outcome.code]
    said = f"failed on {', '.join(bad)}" if bad else f"passed on all {len(outcomes)} machines"
    terminal.result({name: outcome.code for name, outcome in outcomes.items()}, f"test: {said}")
    return 1 if bad else 0
