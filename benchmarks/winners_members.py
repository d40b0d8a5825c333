"""Reads a trained experiment for benchmarks/winners.py, in the home that FOLDLINE_HOME names.

    python benchmarks/winners_members.py NAME OUT

Writes to OUT, as JSON: the keys of the test series, the labels, and of each member and of "default", the submission:
predictions of the test series (of labels a probability each; 1 of that submitted), CPU seconds of the cells, numbers in
the file of one of them.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from foldline.data import identity, loading
from foldline.ensemble.members import Member
from foldline.experiment import stored_experiment


@dataclass(frozen=True, kw_only=True)
class Score:
    """A model on a set, or competition."""

    set: str
    model: str  # a member's label; "default": the blend of all
    metric: str
    score: float
    difference: float  # less the default's, in the metric's unit
    low: float  # of its 95 % interval
    high: float
    cpu_s: float  # of all its cells
    parameters: int  # numbers in the file of one of its cells; 0: none are counted (text)


def parameters(member: Member) -> int:
    """Count the numbers in the file of a member's first cell; 0 where it holds text."""
    path = member.cells[0].folder / "weights.safetensors"
    if not path.exists():
        return 0
    from safetensors import safe_open

    with safe_open(path, framework="np") as stored:
        return sum(int(np.prod(stored.get_slice(name).get_shape())) for name in stored.keys())  # noqa: SIM118


def cpu_seconds(member: Member) -> float:
    """Sum up the core seconds of a member's cells."""
    costs = (json.loads((cell.folder / "cost.json").read_text(encoding="utf-8")) for cell in member.cells)
    return sum(float(cost["core_s"]) for cost in costs)


def read(name: str) -> dict[str, Any]:
    """Read predictions and costs of an experiment; those of its own test table."""
    stored = stored_experiment.read(name, to_predict=False)
    competition = loading.load(stored.config.data)
    found: dict[str, Any] = {}
    for member in stored.members:
        tests = [np.load(next(cell.folder.glob("test-*.npy"))) for cell in member.test_cells]
        found[member.label] = {
            "test": np.mean(tests, axis=0).tolist(),
            "cpu_s": cpu_seconds(member),
            "parameters": parameters(member),
        }
    keys = identity.texts(competition.test.keys).to_list()
    submission = pl.read_csv(stored.folder / "submission.csv")
    classes = list(map(str, stored.classes))
    given = submission[:, 1].to_list()
    values = [[float(label == each) for label in classes] for each in given] if classes else [[each] for each in given]
    rows = dict(zip(submission[:, 0].cast(pl.String).to_list(), values, strict=True))
    both = sum(each["cpu_s"] for each in found.values()), sum(each["parameters"] for each in found.values())
    whole = {"test": [rows[key] for key in keys], "cpu_s": both[0], "parameters": both[1]}
    return {"keys": keys, "classes": classes, "of": {"default": whole, **found}}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(read(sys.argv[1])), encoding="utf-8")
