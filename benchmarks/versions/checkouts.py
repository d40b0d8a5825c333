"""Clones of two commits in a temporary folder, each with an environment of its own that its run.sh has made."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.versions import process_costs

ROOT = Path(__file__).resolve().parents[2]
# Variables that would lead a clone to another environment, home, cluster or compiled code than its own.
FOREIGN = (
    *("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONSAFEPATH", "RAY_ADDRESS", "UV_PROJECT_ENVIRONMENT"),
    "NUMBA_CACHE_DIR",
)


class NoCommit(ValueError):
    """What was named is no commit of this repository."""


@dataclass(frozen=True)
class Side:
    """One of the two versions."""

    name: str  # "now" or "before"
    commit: str  # 40 digits
    folder: Path  # of its own, for all that its jobs need
    shared: Path  # inputs that both sides read

    @property
    def checkout(self) -> Path:
        """The clone that is set up."""
        return self.folder / "checkout"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.checkout / ".venv" / "bin" / "python"

    @property
    def ready(self) -> bool:
        """Whether it was set up, by this or an earlier call."""
        return (self.folder / "set-up").exists()

    def clone(self, to: Path) -> None:
        """Make a clean clone of the commit; its objects are this repository's."""
        shutil.rmtree(to, ignore_errors=True)
        git("clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(to))
        git("-C", str(to), "checkout", "--quiet", "--detach", self.commit)

    def set_up(self) -> None:
        """Clone, and make the environment.

        Raises:
            RuntimeError: run.sh failed.
        """
        self.clone(self.checkout)
        self.run("doctor", "--quiet")
        (self.folder / "set-up").touch()

    def run(self, *words: str) -> process_costs.Cost:
        """Run `./run.sh WORDS` in the checkout, not timed.

        Raises:
            RuntimeError: it failed.
        """
        return succeeded(process_costs.run(["./run.sh", *words], self.checkout, environment()), words)


def succeeded(cost: process_costs.Cost, words: object) -> process_costs.Cost:
    """Return a cost of a command that has ended well.

    Raises:
        RuntimeError: it has not; with its last lines.
    """
    if cost.code:
        last = "\n".join((cost.output + cost.errors).splitlines()[-15:])
        raise RuntimeError(f"{words} ended with exit code {cost.code}:\n{last}")
    return cost


def environment() -> dict[str, str]:
    """Return this process's environment, without what leads a clone elsewhere; wandb asks for no key."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FOLDLINE_")}
    return {name: value for name, value in kept.items() if name not in FOREIGN} | {"WANDB_MODE": "offline"}


def commit(name: str) -> str:
    """Return the 40 digits of a commit.

    Raises:
        NoCommit: there is none of that name here.
    """
    try:
        return git("-C", str(ROOT), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
    except subprocess.CalledProcessError as error:
        raise NoCommit(
            f"{name!r} is no commit of {ROOT}. A shallow clone lacks older ones: git fetch --unshallow"
        ) from error


def changed() -> list[str]:
    """Return the files of this checkout that differ from its last commit: they are in no clone."""
    return [line[3:] for line in git("-C", str(ROOT), "status", "--porcelain").splitlines()]


def git(*words: str) -> str:
    """Run git and return what it prints."""
    return subprocess.run(["git", *words], check=True, stdout=subprocess.PIPE, text=True).stdout
