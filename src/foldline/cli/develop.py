"""`test`, `lint`, `bench`: the developer's verbs. Each runs a public tool on this checkout."""

from __future__ import annotations

import subprocess
import sys

from foldline.cli.main import Arguments
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import unknown

ARROWS = "import sys; from importlinter import cli; sys.exit(cli.lint_imports(no_cache=True))"  # it is no `-m` module
LINT = (
    ["-m", "ruff", "check", "."],
    ["-m", "ruff", "format", "--check", "."],
    ["-m", "mypy"],
    ["-c", ARROWS],  # pyproject.toml has the contracts: which room may import which
)


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Run the tool; its exit code is ours."""
    if arguments.verb == "test":
        slow = ["-m", "slow or not slow"] if "--slow" in arguments.flags else []
        return _python(["-m", "pytest", *slow, *arguments.words])
    if arguments.verb == "lint":
        return max(_python(command) for command in LINT)
    benchmarks = {path.stem: path for path in (files.home() / "benchmarks").glob("*.py")}
    name = arguments.words[0] if arguments.words else ""
    if name not in benchmarks:
        raise unknown("benchmark", name, benchmarks, "./run.sh bench")
    return subprocess.call([sys.executable, "-P", str(benchmarks[name]), *arguments.words[1:]])


def _python(command: list[str]) -> int:
    return subprocess.call([sys.executable, *command], cwd=files.home())
