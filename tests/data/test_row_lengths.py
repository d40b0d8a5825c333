"""CSV files in blocks of rows: whatever the blocks, the same table comes out and the same rows are refused."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest

from foldline.core.errors import UserError
from foldline.data import readers, row_lengths

QUOTED = 'key,x,"a ""name"", of"\na,1,p\n"b, ""c""",2,"q\nr\n"\nd,3,\n'


@pytest.mark.parametrize("size", [1, 7, 30, 1 << 20])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_blocks_are_whole_rows_and_nothing_is_lost(size: int, mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_lengths, "BLOCK", size)
    monkeypatch.setattr(row_lengths, "MORE", 1)
    text = (mark + QUOTED).encode()
    blocks = list(row_lengths.blocks(io.BytesIO(text)))
    assert b"".join(blocks) == text
    assert all(block.count(b'"') % 2 == 0 and block.endswith(b"\n") for block in blocks)
    assert row_lengths.head_of(blocks[0] if size > 30 else text).decode() == mark + QUOTED[: QUOTED.index("a,1")]


@pytest.mark.parametrize("size", [1, 7, 30, 1 << 20])
@pytest.mark.parametrize("text", [QUOTED, "\ufeff" + QUOTED, QUOTED.rstrip("\n"), QUOTED.replace("\n", "\r\n")])
def test_a_table_is_the_same_whatever_the_blocks(
    size: int, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_lengths, "BLOCK", size)
    (tmp_path / "train.csv").write_bytes(text.encode())
    name = 'a "name", of'
    frame = readers.read(tmp_path / "train.csv", {"key": None, "x": pl.Float64(), name: pl.String()})
    assert frame["key"].to_list() == ["a", 'b, "c"', "d"]
    assert frame["x"].to_list() == [1.0, 2.0, 3.0]
    assert [cell and cell.replace("\r", "") for cell in frame[name]] == ["p", "q\nr\n", None]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("true", 1.0), (" 5", 5.0), ("", None), ("1e3", 1000.0)],
    ids=["flag", "space", "gap", "float"],
)
def test_a_cell_of_a_later_block_decides_for_the_whole_file(
    cell: str, expected: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_lengths, "BLOCK", 1)
    (tmp_path / "train.csv").write_text(f"t,x\n9007199254740993,1\n9007199254740995,{cell}\n")
    frame = readers.read(tmp_path / "train.csv", {"t": readers.ORDER, "x": pl.Float64()})
    assert frame["t"].to_list() == [9007199254740993, 9007199254740995]
    assert frame["x"].to_list() == [1.0, expected]


@pytest.mark.parametrize("size", [1, 8, 1 << 20])
@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("c,3,4,5", "line 4: a row must have 3 fields, as the header has, but this one has 4"),
        ('c,3,"4" 5', "line 4: a quote stands where none may"),
        ("c,3\r4,5", "line 4: a carriage return stands inside a row"),
    ],
)
def test_a_bad_row_is_named_by_its_line(
    row: str, said: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_lengths, "BLOCK", size)
    (tmp_path / "train.csv").write_bytes(f"key,x,unused\na,1,1\nb,2,1\n{row}\nd,5,1\n".encode())
    with pytest.raises(UserError, match=said):
        readers.read(tmp_path / "train.csv", {"key": None, "x": pl.String()})
