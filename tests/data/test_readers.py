"""Reading files: every way a table may be packed gives the same frame."""

from __future__ import annotations

import gzip
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from foldline.core.errors import UserError
from foldline.data import readers

TABLE = pl.DataFrame({"id": [3, 1], "key": ["a", "b"], "x": [0.1, 2.5], "unused": [1, 1]})
WANTED = {"key": None, "x": pl.Float64(), "id": None}
CSV = TABLE.write_csv().encode()


def packed(folder: Path, ending: str) -> Path:
    """The table in a file of that ending, or in an archive of the competition; where to look for it."""
    if ending == "archive":
        with zipfile.ZipFile(folder / "data.zip", "w") as archive:
            archive.writestr("train.csv", CSV)
        return folder / "data.zip"
    if ending == ".parquet":
        TABLE.write_parquet(folder / "train.parquet")
    elif ending == ".csv.zip":
        with zipfile.ZipFile(folder / "train.csv.zip", "w") as archive:
            archive.writestr("whatever.csv", CSV)
    else:
        (folder / f"train{ending}").write_bytes(gzip.compress(CSV) if ending == ".csv.gz" else CSV)
    return folder


@pytest.mark.parametrize("ending", [*readers.ENDINGS, "archive"])
def test_every_way_of_packing_gives_the_wanted_columns(ending: str, tmp_path: Path) -> None:
    path = readers.locate(packed(tmp_path, ending), "train")
    assert readers.read(path, WANTED).equals(TABLE.select("key", "x", "id"))
    assert readers.columns(path) == ["id", "key", "x", "unused"]


def test_numbers_become_floats_and_are_read_to_the_last_digit(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("x\n1\n5.837491705069121\n0.1\n-3e-7\n")
    frame = readers.read(tmp_path / "train.csv", {"x": pl.Float64()})
    assert frame["x"].to_list() == [1.0, 5.837491705069121, 0.1, -3e-7]


def test_parquet_comes_before_csv_and_nothing_is_none(tmp_path: Path) -> None:
    packed(tmp_path, ".csv")
    packed(tmp_path, ".parquet")
    found = readers.find(tmp_path, "train")
    assert found is not None and found.name == "train.parquet"
    assert readers.find(tmp_path, "test") is None
    with pytest.raises(UserError, match=r"no test with one of the endings .*; it holds train.csv, train.parquet"):
        readers.locate(tmp_path, "test")


def test_text_in_a_parquet_number_is_refused(tmp_path: Path) -> None:
    TABLE.with_columns(x=pl.lit("strong")).write_parquet(tmp_path / "train.parquet")
    with pytest.raises(UserError, match="a numeric column holds something else"):
        readers.read(tmp_path / "train.parquet", WANTED)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pl.Series([date(2020, 1, 1), date(2020, 1, 2)]), "Date"),
        (pl.Series([datetime(2020, 1, 1), datetime(2020, 1, 1, 0, 0, 1)]), "Datetime"),
        (pl.Series([timedelta(seconds=1), timedelta(seconds=2)]), "Duration"),
        (pl.Series(["1", "2"], dtype=pl.Categorical), "Categorical"),
    ],
)
def test_what_parquet_stores_as_a_number_and_is_none_is_refused(values: pl.Series, kind: str, tmp_path: Path) -> None:
    """Else days or microseconds since 1970 would silently be trained on."""
    path = tmp_path / "train.parquet"
    TABLE.with_columns(x=values).write_parquet(path)
    with pytest.raises(UserError, match=rf"train.parquet: column 'x' must hold numbers, but holds {kind}.* as the sec"):
        readers.read(path, WANTED)


def test_flags_and_printed_numbers_of_parquet_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    for values, expected in (([True, False], [1.0, 0.0]), (["1.5", "-2"], [1.5, -2.0])):
        TABLE.with_columns(x=pl.Series(values)).write_parquet(path)
        assert readers.read(path, WANTED)["x"].to_list() == expected


def test_text_behind_the_first_thousand_rows_is_found(tmp_path: Path) -> None:
    rows = [f"{number}" for number in range(3000)]
    rows[2500] = "many"
    (tmp_path / "train.csv").write_text("x\n" + "\n".join(rows) + "\n")
    with pytest.raises(UserError, match="line 2502: column 'x' must hold numbers, but holds 'many'"):
        readers.read(tmp_path / "train.csv", {"x": pl.Float64()})


def test_leading_zeros_make_a_name_not_a_number(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("row,code,x\n1,007,01\n2,010,2\n")
    got = readers.read(tmp_path / "train.csv", {"row": None, "code": None, "x": pl.Float64()})
    assert got["row"].to_list() == [1, 2]
    assert got["code"].to_list() == ["007", "010"]
    assert got["x"].to_list() == [1.0, 2.0]


@pytest.mark.parametrize("odd", ["007", "A150", "+7", "7.0", "-0", "9" * 19])
def test_a_name_behind_the_first_thousand_rows_stays_as_printed(odd: str, tmp_path: Path) -> None:
    rows = [str(number) for number in range(3000)] + [odd]
    (tmp_path / "train.csv").write_text("row,key\n" + "".join(f"{number},{key}\n" for number, key in enumerate(rows)))
    got = readers.read(tmp_path / "train.csv", {"key": None, "row": None})
    assert got["key"].to_list() == rows
    assert got["row"].to_list() == list(range(3001))


def test_flags_and_categories_of_parquet_are_text_and_dates_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    flags = pl.Series("flag", [True, False])
    TABLE.with_columns(flags, pl.col("key").cast(pl.Categorical)).write_parquet(path)
    got = readers.read(path, {"flag": None, "key": None, "id": None})
    assert got.rows() == [("true", "a", 3), ("false", "b", 1)]
    TABLE.with_columns(key=pl.date(2020, 1, 1)).write_parquet(path)
    with pytest.raises(UserError, match=r"train.parquet: column 'key' must hold text or numbers, but holds Date\."):
        readers.read(path, WANTED)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes("key\ncafé\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"no readable CSV \(invalid utf-8 sequence\).* save it as UTF-8"):
        readers.read(tmp_path / "train.csv", {"key": None})


@pytest.mark.parametrize("where", ["archive", ".csv.zip"])
def test_an_encrypted_zip_is_refused(where: str, tmp_path: Path) -> None:
    source = packed(tmp_path, where)
    archive = source if source.is_file() else source / "train.csv.zip"
    raw = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # of the member's and the directory's header
        raw[raw.index(signature) + flags] |= 1  # bit 0: encrypted
    archive.write_bytes(raw)
    with pytest.raises(UserError, match=r"can't be unpacked .* is encrypted"):
        readers.read(readers.locate(source, "train"), WANTED)
