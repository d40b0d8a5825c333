"""Names of series and rows: one normal form, whatever a file stores them as, and one way to compare them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import tiny

from foldline.core.errors import UserError
from foldline.data import identity, loading, readers
from foldline.data.roles import DataConfig

RIDES = DataConfig(id="row", key="ride", order="second", target=("speed",), inputs=("power",))
BIG = 1234567890123456789  # 19 digits


@pytest.mark.parametrize(
    ("column", "names"),
    [
        (pl.Series(["1", " 2", "3 ", "4.0", "5.00", "\t6"]), [1, 2, 3, 4, 5, 6]),
        (pl.Series([1.0, -2.0, 0.0, -0.0]), [1, -2, 0, 0]),
        (pl.Series([1.0, 3.0], dtype=pl.Float32), [1, 3]),
        (pl.Series([1, 2], dtype=pl.Int32), [1, 2]),
        (pl.Series([1, 2], dtype=pl.UInt32), [1, 2]),
        (pl.Series([1, BIG]), ["1", str(BIG)]),
        (pl.Series(["1", f"{BIG}.0"]), ["1", str(BIG)]),
        (pl.Series([2.0**60]), [str(2**60)]),
        (pl.Series([1.0, 1.5]), ["1", "1.5"]),
        (pl.Series(["1.0", "a b "]), ["1", "a b"]),
        (pl.Series(["007.0", "+7.0", "1.50", "1e2", "-0.0"]), ["007.0", "+7.0", "1.50", "1e2", "-0.0"]),
        (pl.Series([None, 1.0]), [None, 1]),
        (pl.Series([None, " ", "", "x"]), [None, None, None, "x"]),
    ],
)
def test_names_have_one_normal_form(column: pl.Series, names: list[object]) -> None:
    got = identity.normal(column)
    assert got.to_list() == names
    assert identity.normal(got).equals(got)


def test_floats_that_are_no_numbers_stay_to_be_refused() -> None:
    assert identity.normal(pl.Series([1.0, float("nan")])).dtype == pl.Float64


def test_ids_are_compared_as_sets_in_their_normal_form() -> None:
    ours = pl.Series("row", [" 1", "2.0", "x"])
    assert identity.difference(ours, pl.Series("row", ["x", "1", "2"])) == ""
    assert identity.difference(pl.Series("row", [2.0, 1.0]), pl.Series("row", [1, 2], dtype=pl.UInt32)) == ""
    got = identity.difference(pl.Series("row", [1, 1, 4]), pl.Series("row", [1, 2, 3]))
    assert (
        got
        == "lacks 2 of them (first: row 2) and names 1 that are not there (first: row 4) and names row 1 more than once"
    )
    assert "more than once" in identity.difference(pl.Series("row", ["1", "1.0"]), pl.Series("row", [1]))
    assert identity.places(pl.Series(["2", "9", "1.0"]), pl.Series([1, 2])).to_list() == [1, None, 0]


def test_a_space_or_a_point_splits_no_series(home: Path, tmp_path: Path) -> None:
    tables = tiny.frames()
    ride = pl.col("ride").cast(pl.String)
    odd = (
        pl.when(pl.col("row") % 3 == 0).then(ride + " ").when(pl.col("row") % 3 == 1).then(ride + ".0").otherwise(ride)
    )
    expected = loading.load_table(tiny.write(tmp_path / "a", tables) / "train.csv", RIDES, labelled=True)
    tiny.write(tmp_path / "b", {"train": tables["train"].with_columns(odd.alias("ride"))})
    got = loading.load_table(tmp_path / "b" / "train.csv", RIDES, labelled=True)
    assert got.lengths.tolist() == [10] * 12
    assert got.keys.equals(expected.keys) and got.fingerprint == expected.fingerprint


@pytest.mark.parametrize("printed", [" 3", "3 ", "3.0", "3"])
def test_one_series_in_both_tables_is_found_however_it_is_printed(printed: str, home: Path, tmp_path: Path) -> None:
    tables = tiny.frames()
    rides = tables["test"]["ride"].cast(pl.String).replace("502", printed)
    source = tiny.write(tmp_path / "rides", {**tables, "test": tables["test"].with_columns(rides)})
    with pytest.raises(UserError, match=r"must not be in the training data too, but 1 are \(first: ride 3\)"):
        loading.load(readers_config(source))


def test_float_keys_of_a_parquet_file_are_found_in_the_other_table(home: Path, tmp_path: Path) -> None:
    tables = tiny.frames()
    source = tiny.write(tmp_path / "rides", tables)
    (source / "test.csv").unlink()
    tables["test"].with_columns(pl.col("ride").cast(pl.Float64).replace(502.0, 3.0)).write_parquet(
        source / "test.parquet"
    )
    with pytest.raises(UserError, match=r"must not be in the training data too, but 1 are \(first: ride 3\)"):
        loading.load(readers_config(source))


@pytest.mark.parametrize("kind", [pl.Int32, pl.UInt32, pl.Float64, pl.String])
def test_a_samples_ids_are_those_of_the_test_table_whatever_their_type(
    kind: type[pl.DataType], home: Path, tmp_path: Path
) -> None:
    tables = tiny.frames()
    source = tiny.write(tmp_path / "rides", tables)
    (source / "sample_submission.csv").unlink()
    tables["sample_submission"].with_columns(pl.col("row").cast(kind)).write_parquet(
        source / "sample_submission.parquet"
    )
    _, sample = loading.load_test(readers_config(source), {})
    assert sample is not None
    assert sample["row"].cast(pl.Float64).to_list() == tables["test"]["row"].to_list()


def test_ids_of_nineteen_digits_keep_each_digit(home: Path, tmp_path: Path) -> None:
    tables = tiny.frames()
    ids = [str(BIG + place) for place in range(40)]
    test = tables["test"].with_columns(row=pl.Series(ids))
    source = tiny.write(tmp_path / "rides", {**tables, "test": test})
    sample = tables["sample_submission"].with_columns(row=pl.Series(ids).cast(pl.Int64)).reverse()
    (source / "sample_submission.csv").unlink()
    sample.write_parquet(source / "sample_submission.parquet")
    _, got = loading.load_test(readers_config(source), {})
    assert got is not None and got["row"].to_list() == [int(number) for number in ids[::-1]]  # of the sample's type


def test_two_spellings_of_one_row_id_are_two_rows_of_one_name(home: Path, tmp_path: Path) -> None:
    tables = tiny.frames()
    rows = tables["train"]["row"].cast(pl.String).replace("1005", "1004.0")
    source = tiny.write(tmp_path / "rides", {**tables, "train": tables["train"].with_columns(rows)})
    with pytest.raises(UserError, match="'row' must name each row once, but 1004 comes 2 times"):
        readers.locate(source, "train")
        loading.load(readers_config(source))


def readers_config(source: Path) -> DataConfig:
    """The roles of the rides in a folder."""
    return DataConfig(id="row", key="ride", order="second", target=("speed",), inputs=("power",), source=str(source))


def test_spaces_of_all_alphabets_are_seen_before_they_are_taken_away() -> None:
    signs = [chr(code) for code in range(0x3100)]  # the last space is U+3000
    for names in (pl.Series([f"{sign}a" for sign in signs]), pl.Series([f"a{sign}" for sign in signs])):
        assert names.str.contains(identity.EDGE).equals(names.str.strip_chars() != names)
    assert identity.normal(pl.Series(["\u3000a", "b\n"])).to_list() == ["a", "b"]


@pytest.mark.parametrize("names", [["b", "a"], ["1", "2", "10"], ["3", "1", "2"], [], ["x", None]])
def test_names_in_the_same_order_have_the_places_of_a_join(names: list[str | None]) -> None:
    ids = pl.Series("id", names, dtype=pl.String)
    expected = [None if name is None else place for place, name in enumerate(names)]
    assert identity.places(ids, ids).to_list() == expected and identity.places(ids, ids).dtype == pl.UInt32


@pytest.mark.parametrize(
    ("names", "expected"), [([1, 2, 3], True), ([3, 1, 2], True), ([1, 1], False), ([2, 1, 2], False), ([], True)]
)
def test_names_are_unique_in_any_order(names: list[int], expected: bool) -> None:
    for kind in (pl.Int64, pl.String):
        assert identity.is_unique(pl.Series(names, dtype=pl.Int64).cast(kind)) == expected
    assert not identity.is_unique(pl.Series([None, None, *names], dtype=pl.Int64))
