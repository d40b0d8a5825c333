"""What Ray's benchmark takes for wrong: other bytes, and faults that did not happen."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import executors

FINE = {"rounds": 2, "workers killed": 6, "nodes killed": 2, "cells rerun": 8, "files": 68, "wrong": 0}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, []),
        ({"wrong": 1}, ["1 of 68 files differ from those of a run without faults."]),
        ({"nodes killed": 1}, ["nodes killed: 1, not 2."]),
        ({"workers killed": 5}, ["workers killed: 5, not 6."]),
        ({"cells rerun": 7}, ["cells rerun: 7, fewer than were killed."]),
    ],
)
def test_a_count_that_must_not_be_is_said(changed: dict[str, int], said: list[str]) -> None:
    assert executors.wrong({"faults": {**FINE, **changed}}) == said


def test_bytes_that_differ_between_executors_are_said() -> None:
    found: dict[str, Any] = {"speed": {"pairs": [{"differing": 0}, {"differing": 2}]}}
    assert executors.wrong(found) == ["2 files of cells from Ray differ from those of worker processes."]
    assert executors.wrong({"speed": {"pairs": [{"differing": 0}]}}) == []
