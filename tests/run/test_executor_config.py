"""[executor]: what it refuses, and what a record of it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from foldline.experiment import config
from foldline.run.executor_config import NEWER, ExecutorConfig


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"workers": -1}, "workers must not be below 0"),
        ({"together": 0}, "together at least 1"),
        ({"workers": 2000}, "at most 1,024"),
        ({"cpus": -0.5}, "cpus must be 0 or more, but is -0.5"),
        ({"memory_gb": float("inf")}, "memory_gb must be 0 or more, but is inf"),
        ({"cpus": 0.00005}, "cpus must be 0 or at least 0.0001"),
        ({"gpus": 0.00005}, "gpus must be 0 or at least 0.0001"),
        ({"gpus": 2.0}, "gpus must be at most 1, but is 2.0: a cell is trained on one GPU"),
        ({"kind": "ray", "together": 4}, "together must be 1 where kind is 'ray', but is 4: .* gpus = 0.25"),
    ],
)
def test_what_can_not_be_is_refused_with_the_rule(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExecutorConfig(**given)


def test_a_record_has_newer_keys_only_where_they_are_used(rides: Path, home: Path) -> None:
    """So that the hash of an older config is what it was."""
    plain = config.load(Path("rides"), []).tables()["executor"]
    assert set(plain) == {"kind", "workers", "together"} and not set(plain) & set(NEWER)
    used = config.load(Path("rides"), ["executor.kind=ray", "executor.gpus=0.5"]).tables()["executor"]
    assert used == {**plain, "kind": "ray", "gpus": 0.5}
