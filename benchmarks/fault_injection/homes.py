"""Home folders with something in them, made once a kind and copied for each fault. Copied: damage is done in place.

Every copy lies at the same path, so that paths that are stored or printed are the same, too.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import tiny

from benchmarks.fault_injection import children, stopping

TREES = "model=[{name = 'lightgbm', rounds = 3, num_leaves = 7, min_data_in_leaf = 2}]"  # cells of milliseconds
CONFIGS = {
    "search": """
base = "rides.toml"
[tune]
trials = 4
workers = 1
pruner = "none"
check_seeds = [0]
[space]
"model.0.rounds" = {choices = [2, 5, 9]}
"model.0.num_leaves" = {choices = [3, 7]}
""",
    "parts": """
base = "rides.toml"
[ablate]
seeds = [0]
bootstrap = 100
[[variant]]
name = "no lags"
drop = ["features.lags"]
""",
    "systems": """
base = "rides.toml"
[study]
parameters = 900
tolerance = 0.5
seeds = [0]
bootstrap = 100
steps = [8]
batch = 2
[[system]]
name = "one"
model = {name = "hybrid", blocks = [{kind = "lstm"}]}
[[system]]
name = "two"
model = {name = "hybrid", blocks = [{kind = "conv", kernel = 3}]}
""",
    "breaths": """
extends = "ventilator.toml"
[data]
source = "simulate"
simulate = {breaths = 12, test_breaths = 4, seed = 0}
[features]
families = ["raw", "time"]
[folds]
kind = "group"
k = 2
[[model]]
name = "lightgbm"
rounds = 3
[track]
wandb = "disabled"
[executor]
kind = "serial"
""",
}


class Homes:
    """The home folder of a kind of faults, and the templates that it is made from."""

    def __init__(self, scratch: Path) -> None:
        """Install the configs in an empty home folder; the competition's files lie outside of it."""
        self.scratch, self.path, self.source = scratch, scratch / "home", scratch / "rides"
        tables = tiny.frames()
        tiny.write(self.source, tables)
        for name in ("rides", "mixed"):  # a blend gets the name of its first config
            tiny.install(self.path, self.source, name)
        for name, text in CONFIGS.items():
            (self.path / "configs" / f"{name}.toml").write_text(text)
        shutil.copy(Path(__file__).resolve().parents[2] / "configs" / "ventilator.toml", self.path / "configs")
        truth = tiny.rides(501, 4, 10, seed=1)  # of the test table
        for name, table in {"out_of_fold": tables["train"], "test": truth}.items():
            table.select("row", speed=pl.col("speed") + 0.1).write_csv(scratch / f"friend-{name}.csv")
        self.keep("configs")
        children.foldline(self.path, "--help")  # the first child waits for the server of all: nobody is to time that

    @property
    def outside(self) -> list[str]:
        """The words that bring a member from outside into a blend."""
        return ["--outside", f"friend={self.scratch / 'friend-out_of_fold.csv'},{self.scratch / 'friend-test.csv'}"]

    def keep(self, name: str) -> None:
        """Make the home folder, as it is, the template of a name."""
        shutil.copytree(self.path, self._template(name), symlinks=True)

    def has(self, name: str) -> bool:
        """Whether there is a template of that name."""
        return self._template(name).exists()

    def renew(self, name: str) -> Path:
        """Put a copy of a template in the place of the home folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        return Path(shutil.copytree(self._template(name), self.path, symlinks=True))

    def _template(self, name: str) -> Path:
        return self.scratch / f"home-{name}"

    def run(self, *words: str) -> children.Ended:
        """Run a command line that must end well."""
        ended = children.foldline(self.path, *words)
        if ended.code != 0:
            raise RuntimeError(f"{' '.join(words)} ended with {ended.code} without any fault: {ended.err}")
        return ended


def leave_half(made: Homes, words: list[str]) -> None:
    """Train in the home folder and kill that between two checkpoints of the first network, always at the same one."""
    at = 20
    while not list(made.path.glob("runs/cells/*/checkpoint.safetensors")):
        made.renew("configs")
        with stopping.start(made.path, words, at) as child:
            child.ended()
        at += 5
