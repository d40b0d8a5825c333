"""CSV blocks by compiled code: the same tables and the same refusals as by polars, whatever stands in a cell."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from foldline.core.errors import UserError
from foldline.data import csv_cells, csv_tables, readers, row_lengths
from foldline.data.csv_cells import Cells

WANTED: readers.Wanted = {"id": None, "key": None, "x": pl.Float64(), "kind": pl.String()}
ROW = "{id},b{key},skipped text,{x},{kind}\n"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code from the second block on."""
    monkeypatch.setattr(row_lengths, "BLOCK", 400)
    monkeypatch.setattr(csv_tables, "LATER", 0)
    csv_cells.compiling().result()


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each block that compiled code has looked at: whether it took it."""
    found, parse = [], Cells.parsed

    def watched(self: Cells, block: bytearray) -> csv_cells.Parsed | None:
        parts = parse(self, block)
        found.append(parts is not None)
        return parts

    monkeypatch.setattr(Cells, "parsed", watched)
    return found


def both(path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[pl.DataFrame | str, pl.DataFrame | str]:
    """Read a table by both ways; of a refusal its words."""
    path.write_bytes(text.encode())
    found: list[pl.DataFrame | str] = []
    for there in (True, False):
        monkeypatch.setattr(csv_cells, "available", lambda there=there: there)
        try:
            found.append(readers.read(path, WANTED))
        except UserError as error:
            found.append(str(error))
    return found[0], found[1]


def table(rows: int, **cells: str) -> str:
    """Write a table; the row in the middle has other cells."""
    lines = [
        ROW.format(
            **{"id": row, "key": row // 9, "x": f"{row * 0.37:.17g}", "kind": "abc"}
            | (cells if row == rows // 2 else {})
        )
        for row in range(rows)
    ]
    return "id,key,other,x,kind\n" + "".join(lines)


def test_usual_blocks_are_taken_and_bits_are_those_of_polars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parsed: list[bool]
) -> None:
    ours, polars = both(tmp_path / "train.csv", table(500), monkeypatch)
    assert isinstance(ours, pl.DataFrame) and isinstance(polars, pl.DataFrame)
    assert ours.equals(polars) and ours.dtypes == polars.dtypes == [pl.Int64, pl.String, pl.Float64, pl.String]
    assert len(parsed) > 20 and all(parsed)


@pytest.mark.parametrize(
    "cells",
    [
        *(
            {"x": cell}
            for cell in ("", " 5", "5 ", "true", "-", ".5", "5.", "+5", "1e5", "1E-07", "1e", "nan", "-inf", "0x1")
        ),
        *({"x": cell} for cell in ("-0", "1" * 30, "0." + "0" * 30 + "123456789", "1e400", "1_000", "٣", '"5"', "\t5")),
        *({"id": cell} for cell in ("", "007", "-0", "-12", "1.0", "1" * 19, " 7", "x")),
        *(
            {"kind": cell}
            for cell in ("", "thirteen long", "twelve chars", "ä", '"a,b"', '"a\nb"', " a ", 'a"b', "a\rb")
        ),
        *({"kind": cell} for cell in ("a,b", "a\r", "a\x00b", "NaN")),
        {"key": "9, "},
        {"key": '"'},
    ],
    ids=str,
)
def test_an_unusual_cell_is_read_or_refused_as_by_polars(
    cells: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, polars = both(tmp_path / "train.csv", table(60, **cells), monkeypatch)
    assert type(ours) is type(polars)
    assert ours == polars if isinstance(ours, str) else ours.equals(polars, null_equal=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
@pytest.mark.parametrize("line", ["", "\n", "5\n", "1,b,s,2.0,c,more\n"], ids=["none", "empty", "short", "long"])
def test_lines_are_checked_alike(end: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = table(30) + line + table(30).partition("\n")[2]
    text = text.rstrip("\n") if not end else text.replace("\n", end)
    ours, polars = both(tmp_path / "train.csv", text, monkeypatch)
    assert type(ours) is type(polars)
    assert ours == polars if isinstance(ours, str) else ours.equals(polars)  # type: ignore[arg-type]


def number(rng: random.Random) -> str:
    """Print a number as programs do, or as they do not; some lie exactly between two floats."""
    value = rng.gauss(0.0, 1.0) * 10.0 ** rng.randrange(-40, 40)
    between = f"{abs(rng.gauss(0, 1)) * 2.0 ** rng.randrange(-5, 60):.80f}".rstrip("0") + "5"
    digits = "".join(rng.choice("0123456789") for _ in range(rng.randrange(1, 25)))
    return rng.choice(
        (
            *(repr(value), f"{value:.17g}", between, f"{digits}e{rng.randrange(-330, 310)}", f"0.00{digits}", digits),
            *(str(2**53 + 2 * rng.randrange(1000) + 1), f"{rng.randrange(1000)}.{digits}", f"-{digits}"),
        )
    )


def test_decimals_are_rounded_to_the_nearest_float() -> None:
    rng = random.Random(0)
    cells = Cells(2, [0, 1], [pl.Series([0.5]), pl.Series([0])], 8)
    for _ in range(20):
        texts = [number(rng) for _ in range(500)]
        found = cells.parsed(bytearray("".join(f"{text},7\n" for text in texts).encode()))
        assert found is not None
        expected = np.array([float(text) for text in texts])
        assert np.array_equal(found.columns[0].to_numpy().view(np.int64), expected.view(np.int64))
        cells.give_back(found)


def test_a_file_of_another_kind_is_left_to_polars_soon() -> None:
    cells = Cells(2, [0, 1], [pl.Series([0.5]), pl.Series([0])], 8)
    assert [cells.parsed(bytearray(b"5 ,7\n")) for _ in range(9)] == [None] * 9
    assert cells.unusual == csv_cells.GIVEN_UP
