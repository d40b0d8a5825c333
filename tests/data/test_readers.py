"""Reading files: every way a table may be packed gives the same frame."""

from __future__ import annotations

import errno
import gzip
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from foldline.core.errors import UserError
from foldline.data import identity, parquet_tables, readers
from foldline.data.packed_files import guarded

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
    with pytest.raises(UserError, match=r"row 1: column 'x' must hold numbers, but holds 'strong'\. Write a number"):
        readers.read(tmp_path / "train.parquet", WANTED)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pl.Series([date(2020, 1, 1), date(2020, 1, 2)]), "Date"),
        (pl.Series([datetime(2020, 1, 1), datetime(2020, 1, 1, 0, 0, 1)]), "Datetime"),
        (pl.Series([timedelta(seconds=1), timedelta(seconds=2)]), "Duration"),
        (pl.Series([[1.0], [2.0]]), "List"),
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


@pytest.mark.parametrize("odd", ["007", "A150", "+7", "7.5", "-0", "9" * 19])
def test_a_name_behind_the_first_thousand_rows_stays_as_printed(odd: str, tmp_path: Path) -> None:
    rows = [str(number) for number in range(3000)] + [odd]
    (tmp_path / "train.csv").write_text("row,key\n" + "".join(f"{number},{key}\n" for number, key in enumerate(rows)))
    got = readers.read(tmp_path / "train.csv", {"key": None, "row": None})
    assert got["key"].to_list() == rows
    assert got["row"].to_list() == list(range(3001))


def test_flags_categories_and_dates_of_parquet_are_text_and_durations_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    flags = pl.Series("flag", [True, False])
    TABLE.with_columns(flags, pl.col("key").cast(pl.Categorical)).write_parquet(path)
    got = readers.read(path, {"flag": None, "key": None, "id": None})
    assert got.rows() == [("true", "a", 3), ("false", "b", 1)]
    TABLE.with_columns(key=pl.date(2020, 1, 1), id=pl.datetime(2020, 1, 1, 12)).write_parquet(path)
    assert readers.read(path, {"key": None, "id": None}).rows() == [("2020-01-01", "2020-01-01 12:00:00")] * 2
    TABLE.with_columns(key=pl.duration(days=1)).write_parquet(path)
    with pytest.raises(UserError, match=r"train.parquet: column 'key' must hold text or numbers, but holds Duration"):
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


def test_brackets_and_stars_in_a_path_are_no_pattern(tmp_path: Path) -> None:
    """polars expands paths: `data[1]` would be the folder data1 beside it."""
    for name, x in (("data[1]", 1.0), ("data1", 2.0), ("data*", 3.0), ("data?", 4.0)):
        for stem in ("csv", "parquet"):
            (tmp_path / name / stem).mkdir(parents=True)
        table = pl.DataFrame({"id": [1], "x": [x]})
        table.write_csv(tmp_path / name / "csv" / "train.csv")
        table.write_parquet(tmp_path / name / "parquet" / "train.parquet")
        for stem in ("csv", "parquet"):
            path = readers.locate(tmp_path / name / stem, "train")
            assert readers.columns(path) == ["id", "x"]
            assert readers.read(path, {"x": pl.Float64()})["x"].to_list() == [x]


def test_an_archive_whose_name_has_brackets_is_read(tmp_path: Path) -> None:
    packed(tmp_path, "archive").rename(tmp_path / "data[1].zip")
    assert readers.read(readers.locate(tmp_path / "data[1].zip", "train"), WANTED).height == 2


@pytest.mark.parametrize("wanted", ["x", "id"])
def test_two_columns_of_one_name_are_refused(wanted: str, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "train.csv").write_text('id,"x",x,y,y\n1,2,3,4,5\n')
    with pytest.raises(UserError, match=r"train.csv has more than one column called 'x', 'y'. Rename all but one"):
        readers.read(tmp_path / "train.csv", {wanted: pl.Float64()})
    pq.write_table(pa.table([[1], [2], [3]], names=["id", "x", "x"]), tmp_path / "train.parquet")
    with pytest.raises(UserError, match=r"train.parquet has two columns of one name \(.*'x'"):
        readers.read(tmp_path / "train.parquet", {wanted: pl.Float64()})


def test_columns_without_a_name_are_no_copies_of_each_other(tmp_path: Path) -> None:
    """Spreadsheets write commas at the end of each line."""
    (tmp_path / "train.csv").write_text("id,x,,\n1,2,,\n")
    assert readers.read(tmp_path / "train.csv", {"x": pl.Float64()})["x"].to_list() == [2.0]


ODD_NAMES = ['a"x', "^x$", "*", "x_duplicated_0", " x", "x,y", "a\nb", "__row__"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_odd_names_of_columns_are_read_as_they_are(ending: str, tmp_path: Path) -> None:
    table = pl.DataFrame({name: [number, number + 10] for number, name in enumerate(["x", *ODD_NAMES])})
    path = tmp_path / f"train.{ending}"
    table.write_csv(path) if ending == "csv" else table.write_parquet(path)
    assert readers.columns(path) == ["x", *ODD_NAMES]
    for number, name in enumerate(ODD_NAMES, 1):
        got = readers.read(path, {name: pl.Float64(), "x": pl.Float64()})
        assert got.columns == [name, "x"]
        assert got.rows() == [(number, 0), (number + 10, 10)]


def test_a_byte_order_mark_and_empty_lines_before_the_header_will_do(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(b"\xef\xbb\xbfid,x\r\n1,2\r\n")
    assert readers.read(tmp_path / "train.csv", {"id": None})["id"].to_list() == [1]
    (tmp_path / "train.csv").write_text("\n\nid,x\n1,2\n")
    assert readers.columns(tmp_path / "train.csv") == ["id", "x"]


def test_what_a_mac_adds_to_a_zip_is_no_file_of_ours(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "train.csv.zip", "w") as archive:
        for name in ("__MACOSX/", "__MACOSX/._train.csv", ".DS_Store", "._train.csv"):
            archive.writestr(name, b"\x00\x05")
        archive.writestr("train.csv", CSV)
    assert readers.read(tmp_path / "train.csv.zip", WANTED).height == 2


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_of_a_zip_is_refused(method: int, tmp_path: Path) -> None:
    path = tmp_path / "train.csv.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("train.csv", CSV * 50)
    raw = bytearray(path.read_bytes())
    start = raw.index(b"train.csv") + len("train.csv")
    raw[start : start + 24] = b"\xff" * 24  # the first bytes of the packed data
    path.write_bytes(raw)
    with pytest.raises(UserError, match=r"train.csv.zip (is damaged or cut short|can't be unpacked) \(.+\)\."):
        readers.read(path, WANTED)


class PanicException(BaseException):
    """As a library written in Rust raises it."""


ODD_ERRORS = [
    PanicException("called `Option::unwrap()` on a `None` value"),
    pl.exceptions.InvalidOperationError("out-of-spec"),
    pl.exceptions.ShapeError("columns of different lengths"),
    ValueError("negative seek value -3"),
    OSError("Invalid data stream"),
    MemoryError(),
    OverflowError("too large"),
    KeyError("There is no item named 'x'"),
    RecursionError("maximum recursion depth exceeded"),
]


@pytest.mark.parametrize("error", ODD_ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("ending", "reader"),
    [
        (".csv", (pl, "read_csv")),
        (".parquet", (pl, "read_parquet")),
        (".parquet", (pl, "scan_parquet")),
        (".csv.gz", (gzip, "open")),
        (".csv.gz", (gzip.GzipFile, "read")),
        (".csv.zip", (zipfile.ZipExtFile, "read")),
        (".csv.zip", (zipfile, "ZipFile")),
        ("archive", (zipfile, "ZipFile")),
    ],
    ids=str,
)
def test_whatever_an_outside_reader_raises_is_one_message(
    error: BaseException, ending: str, reader: tuple[object, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = packed(tmp_path, ending)

    def failing(*given: object, **options: object) -> None:
        raise error

    path = readers.locate(source, "train")
    monkeypatch.setattr(*reader, failing)
    with pytest.raises(UserError, match=r"(train|data)\.\S+ (is |can't be unpacked)"):
        readers.read(path, WANTED)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), OSError(errno.ENOSPC, "No space left on device")])
def test_an_interrupt_or_a_full_disk_stays_what_it_is(error: BaseException) -> None:
    with pytest.raises(type(error)), guarded(Path("train.csv")):
        raise error


def test_links_to_nothing_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").symlink_to("gone.csv")
    for call in (lambda: readers.read(tmp_path / "train.csv", WANTED), lambda: readers.columns(tmp_path / "train.csv")):
        with pytest.raises(UserError, match=r"train.csv is a link to gone.csv, which is not there"):
            call()
    (tmp_path / "test.csv.gz").mkdir()
    for call in (
        lambda: readers.read(tmp_path / "test.csv.gz", WANTED),
        lambda: readers.columns(tmp_path / "test.csv.gz"),
    ):
        with pytest.raises(UserError, match=r"test.csv.gz is a directory, but a file is needed"):
            call()
    (tmp_path / "data").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"data is a link to nowhere, which is not there"):
        readers.locate(tmp_path / "data", "train")


def test_the_list_of_a_wide_tables_columns_is_short(tmp_path: Path) -> None:
    pl.DataFrame({f"sensor_{number:03d}": [1.0] for number in range(300)}).write_csv(tmp_path / "train.csv")
    with pytest.raises(UserError, match=r"unknown column 'sensor_x'\. Did you mean .* and \d+ more\.") as caught:
        readers.read(tmp_path / "train.csv", {"sensor_x": pl.Float64()})
    assert len(str(caught.value)) < 700


def test_two_files_of_one_name_in_an_archive_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("train.csv", CSV)
        archive.writestr("train.csv", CSV[:-5])
    with pytest.raises(UserError, match=r"must hold one file, but holds 2: train.csv, train.csv"):
        readers.read(readers.locate(tmp_path / "data.zip", "train"), WANTED)


def test_the_name_of_a_column_that_nobody_uses_need_not_be_utf8(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes("id,Höhe,Hähe\n1,2,3\n".encode("latin-1"))
    assert readers.read(tmp_path / "train.csv", {"id": None})["id"].to_list() == [1]
    assert readers.columns(tmp_path / "train.csv") == ["id", r"H\xf6he", r"H\xe4he"]


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize(("row", "count"), [("2,7,b,20,1", 5), ("2,20,1", 3), ("2", 1)])
def test_a_row_of_another_length_than_the_header_is_refused(row: str, count: int, quote: str, tmp_path: Path) -> None:
    """Else the values behind a comma too much or too few would be read from the column beside theirs."""
    (tmp_path / "train.csv").write_text(f"id,key,x,unused\n1,{quote}a{quote},10,1\n\n{row}\n3,c,30,1\n")
    with pytest.raises(UserError, match=rf"train.csv, line 4: a row must have 4 fields, .* but this one has {count}\."):
        readers.read(tmp_path / "train.csv", {"id": None})


def test_commas_and_line_ends_in_quotes_are_no_fields_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(b'id,note\r\n1,"a, b"\r\n2,"c\r\nd,e"\r\n3,"f ""g"", h"')
    assert readers.read(tmp_path / "train.csv", {"id": None})["id"].to_list() == [1, 2, 3]
    assert readers.read(tmp_path / "train.csv", {"note": pl.String()})["note"][1] == "c\r\nd,e"


@pytest.mark.parametrize("row", ['2,b"', '2,"b', '2,"b"c', '2,b "c"', '2,b""'])
def test_a_quote_where_none_may_stand_is_refused(row: str, tmp_path: Path) -> None:
    """Else a reader takes the rows behind it for a text, and drops them where nobody reads that column."""
    (tmp_path / "train.csv").write_text(f"id,note\n1,a\n{row}\n" + "".join(f"{n},c\n" for n in range(3, 40)))
    with pytest.raises(UserError, match=r"train.csv(, line 3: a quote stands where none may| is no readable CSV)"):
        readers.read(tmp_path / "train.csv", {"id": None})


def test_rows_that_the_reader_loses_are_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.csv").write_bytes(CSV)
    whole = pl.read_csv
    monkeypatch.setattr(pl, "read_csv", lambda *given, **options: whole(*given, **options)[:1])
    with pytest.raises(UserError, match=r"train.csv has 2 rows, but only 1 of them can be read"):
        readers.read(tmp_path / "train.csv", WANTED)


def test_a_member_whose_name_is_damaged_in_the_directory_is_no_missing_one(tmp_path: Path) -> None:
    """A sample submission under another name would only look as if there were none."""
    source = packed(tmp_path, "archive")
    raw = bytearray(source.read_bytes())
    raw[raw.rindex(b"train.csv")] ^= 1  # the directory's name of it; the file's own stays
    source.write_bytes(raw)
    with pytest.raises(UserError, match=r"is damaged or cut short .*differ"):
        readers.find(source, "sample_submission")


def test_checksums_of_parquet_pages_are_compared(tmp_path: Path) -> None:
    from pyarrow import parquet

    path = tmp_path / "train.parquet"
    table = pl.DataFrame({"x": [1.0, 2.0, 3.0]}).to_arrow()
    parquet.write_table(table, path, compression="none", use_dictionary=False, write_page_checksum=True)
    assert readers.read(path, {"x": pl.Float64()})["x"].to_list() == [1.0, 2.0, 3.0]
    raw = bytearray(path.read_bytes())
    raw[raw.index(np.array([1.0, 2.0, 3.0]).tobytes()) + 8 + 6] ^= 1  # polars reads another number
    path.write_bytes(raw)
    with pytest.raises(UserError, match=r"is no readable Parquet file .*CRC"):
        readers.read(path, {"x": pl.Float64()})


def test_readers_that_differ_in_what_is_missing_are_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are no checksums polars may read numbers of a damaged page that pyarrow takes for missing."""
    path, wanted = tmp_path / "train.parquet", {"name": None, "x": pl.Float64()}
    frame = pl.DataFrame({"x": [1.0, None, 3.0], "name": [7, None, 9]})
    frame.write_parquet(path)
    assert readers.read(path, wanted)["x"].to_list() == [1.0, None, 3.0]
    other = frame.select("name", pl.col("x").fill_null(2.6e-8))
    monkeypatch.setattr(parquet_tables, "_parts", lambda found, places: iter([other]))
    with pytest.raises(
        UserError, match=r"no readable Parquet file.*'x' has 0 missing values for polars, 1 for pyarrow"
    ):
        readers.read(path, wanted)


@pytest.mark.parametrize("places", [0, 2, 10])
def test_decimal_names_keep_their_digits(places: int, tmp_path: Path) -> None:
    """More of them than float64 holds; zeros behind the point are nothing, as they are for other numbers."""
    whole = [0, 10, 9007199254740993, -(2**63)]
    names = pl.Series("name", whole).cast(pl.Decimal(38, places))
    names.to_frame().write_parquet(tmp_path / "train.parquet")
    assert identity.texts(readers.read(tmp_path / "train.parquet", {"name": None})["name"]).to_list() == [
        str(value) for value in whole
    ]


def test_decimal_names_print_as_numbers_do(tmp_path: Path) -> None:
    names = pl.Series("name", ["1.10", "-0.50", "100.00", None]).cast(pl.Decimal(10, 2))
    names.to_frame().write_parquet(tmp_path / "train.parquet")
    read = readers.read(tmp_path / "train.parquet", {"name": None})["name"]
    assert identity.texts(read).to_list() == ["1.1", "-0.5", "100", None]


def test_a_carriage_return_inside_a_row_is_refused_and_one_in_quotes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(b'id,x\r\n"a\rb",1\r\nc,2\r\n')
    assert readers.read(path, {"x": pl.Float64()})["x"].to_list() == [1.0, 2.0]
    path.write_bytes(b"id,x\na,1\nb\rc,2\n")
    with pytest.raises(UserError, match="line 3: a carriage return stands inside a row"):
        readers.read(path, {"x": pl.Float64()})
