"""Every kind of faults says what it promises, and its first fault ends well. How many more do: ./run.sh bench faults"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # benchmarks/ is no package that is installed
from benchmarks.fault_injection import KINDS, Kind, Outcome, table_oracle
from foldline.data import times

SLOW = ("stops", "kills", "meanwhile")  # several commands each
EACH = [pytest.param(kind, id=kind.name, marks=pytest.mark.slow if kind.name in SLOW else ()) for kind in KINDS]


def test_kinds_have_names_of_their_own() -> None:
    assert KINDS and len({kind.name for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_says_what_it_promises_and_how_that_is_tested(kind: Kind) -> None:
    assert kind.promise and kind.how and kind.share > 0
    assert "|" not in kind.promise + kind.how  # they stand in a table


@pytest.mark.parametrize("kind", EACH)
def test_its_first_fault_ends_well(kind: Kind, tmp_path: Path) -> None:
    with closing(kind.faults(0, tmp_path)) as faults:
        fault = next(faults)
    assert fault.outcome is Outcome.FINE, f"{fault.outcome.value}: {fault.what}\n{fault.detail}"
    assert fault.what


@pytest.mark.parametrize("parts", [(0, 0), (1, 0), (1000, 0), (120000, 7)])
@pytest.mark.parametrize("hour", [0, 5])
def test_the_oracle_names_moments_as_foldline_does(parts: Sequence[int], hour: int) -> None:
    moments = [datetime(2021, 3, day, hour, microsecond=part) for day, part in enumerate(parts, 1)]
    names = times.printed(pl.Series(moments)).to_list()
    assert table_oracle.printed(moments) == names and len(set(names)) == len(moments)
