"""`test`, `lint`, `bench`: the developer's verbs. Each runs a public tool on this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from foldline.cli.main import Arguments
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import UserError, unknown

MACHINES = "--machines"
ARROWS = "import sys; from importlinter import cli; sys.exit(cli.lint_imports(no_cache=True))"  # it is no `-m` module
LINT = (
    ["-m", "ruff", "check", "."],
    ["-m", "ruff", "format", "--check", "."],
    ["-m", "mypy"],
    ["-c", ARROWS],  # pyproject.toml has the contracts: which room may import which
)


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Run the tool; its exit code is ours.

    Raises:
        UserError: foldline is an installed package; an unknown benchmark or machine.
    """
    checkout = checkout_of(arguments.verb)
    if arguments.verb == "test":
        return _test(arguments, checkout, terminal)
    if arguments.verb == "lint":
        return max(_python(command, checkout) for command in LINT)
    known = benchmarks(checkout)
    name = arguments.words[0] if arguments.words else ""
    if name not in known:
        raise unknown("benchmark", name, known, "./run.sh bench")
    command = [sys.executable, "-P", str(known[name]), *arguments.words[1:]]
    unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}  # else a file has its rows at the end only
    return subprocess.call(command, env=unbuffered)


def benchmarks(checkout: Path) -> dict[str, Path]:
    """Return the benchmarks by name: files that say how they are run. The others are parts of one."""
    paths = sorted((checkout / "benchmarks").glob("*.py"))
    return {path.stem: path for path in paths if f"./run.sh bench {path.stem}" in path.read_text(encoding="utf-8")}


def checkout_of(verb: str) -> Path:
    """Return the checkout that a developer's verb works on.

    Raises:
        UserError: foldline is an installed package, without tests, benchmarks and docs.
    """
    checkout = files.checkout()
    if checkout is None:
        raise UserError(f"`{verb}` needs a checkout of the repository, but this foldline is an installed package.")
    return checkout


def _test(arguments: Arguments, checkout: Path, terminal: Terminal) -> int:
    words = ["-m", "slow or not slow"] if "--slow" in arguments.flags else []
    words += [word for word in arguments.words if word.partition("=")[0] != MACHINES]
    options = [word for word in arguments.words if word.partition("=")[0] == MACHINES]
    if options:
        from foldline.cli import machines  # it imports numpy

        return machines.run(options[-1], words, checkout, terminal)
    return _python(["-m", "pytest", *words], checkout)


def _python(command: list[str], checkout: Path) -> int:
    return subprocess.call([sys.executable, *command], cwd=checkout)
