"""Patterns name files and columns; a folder's own brackets, and those of files, are never patterns."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from foldline.core import unchanged
from foldline.core.errors import UserError
from foldline.data import file_patterns


def made(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x\n1\n")
    return folder


def found(folder: Path, pattern: str) -> dict[str, dict[str, str | None]]:
    files = file_patterns.matching(folder, pattern, "data.train")
    return {file.path.relative_to(folder).as_posix(): file.columns for file in files}


NAMES = ("train/b.csv", "train/a.csv", "train/deep/c.csv", "train/.hidden.csv", "test.csv")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("train/*.csv", ["train/a.csv", "train/b.csv"]),
        ("train/?.csv", ["train/a.csv", "train/b.csv"]),
        ("train/**/*.csv", ["train/a.csv", "train/b.csv", "train/deep/c.csv"]),
        ("t*t.csv", ["test.csv"]),
        ("train/{series}.csv", ["train/a.csv", "train/b.csv"]),
        ("train/{kind}/{series}.csv", ["train/deep/c.csv"]),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_pattern_finds_the_same_files_in_a_folder_and_in_an_archive(
    pattern: str, expected: list[str], packed: bool, tmp_path: Path
) -> None:
    source = made(tmp_path / "rides[1]", *NAMES)
    if packed:
        with zipfile.ZipFile(tmp_path / "rides.zip", "w") as archive:
            for name in NAMES:
                archive.write(source / name, name)
        source = tmp_path / "rides.zip"
    assert list(found(source, pattern)) == expected


def test_columns_come_from_names_and_folders(tmp_path: Path) -> None:
    made(tmp_path, "train/lab/007.csv", "train/home/a b.csv")
    assert found(tmp_path, "train/{place}/{ride}.csv") == {
        "train/home/a b.csv": {"place": "home", "ride": "a b"},
        "train/lab/007.csv": {"place": "lab", "ride": "007"},
    }


@pytest.mark.parametrize("pattern", ["train/*/a.csv", "train/*/deep/a.csv", "train/**/a.csv", "train/{place}/a.csv"])
def test_a_file_that_comes_into_a_folder_which_was_there_is_a_change(pattern: str, tmp_path: Path) -> None:
    name = "deep/a.csv" if "deep" in pattern else "a.csv"
    source = made(tmp_path / "rides", f"train/lab/{name}", "train/home/notes.txt")
    witness = unchanged.Witness()
    file_patterns.matching(source, pattern, "data.train")
    witness.end()
    facts = witness.facts([], tmp_path / "runs" / "cells")
    assert facts is not None
    (source / "train" / "home" / "notes.txt").write_text("others")
    assert not unchanged.differing(facts)
    made(source, f"train/home/{name}")
    assert unchanged.differing(facts) == str(source / "train" / "home")


def test_brackets_are_literal(tmp_path: Path) -> None:
    made(tmp_path / "rides[1]", "part[2]/x.csv", "part2/y.csv")
    made(tmp_path / "rides1", "part[2]/z.csv")
    assert list(found(tmp_path / "rides[1]", "part[2]/*.csv")) == ["part[2]/x.csv"]


def test_a_name_that_splits_in_two_ways_is_refused(tmp_path: Path) -> None:
    made(tmp_path, "train/a_b.csv")
    assert found(tmp_path, "train/{x}_{y}.csv") == {"train/a_b.csv": {"x": "a", "y": "b"}}
    made(tmp_path, "train/a_b_c.csv")
    with pytest.raises(UserError, match=r"a_b_c.csv: .* in one way, but this one gives a_b, c or a, b_c. Take one"):
        found(tmp_path, "train/{x}_{y}.csv")


def test_nothing_found_and_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    made(tmp_path, "train/a.csv", "train/notes.txt")
    with pytest.raises(UserError, match=r"no file matches data.train = 'trian/\*.csv'; it holds train. In a pattern"):
        found(tmp_path, "trian/*.csv")
    with pytest.raises(UserError, match=r"notes.txt: data.train = 'train/\*' must match tables only .* 1 of 2 files"):
        found(tmp_path, "train/*")


@pytest.mark.parametrize("pattern", ["{a}/{a}.csv", "{a}{b}.csv"])
def test_patterns_that_read_two_ways_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="column"):
        file_patterns.check(pattern)


def test_partitions_give_their_columns_and_skip_what_is_no_data(tmp_path: Path) -> None:
    made(tmp_path, "t/id=a%20b/part-1.parquet", "t/id=7/part-0.parquet", "t/_delta/x.parquet", "t/_SUCCESS")
    made(tmp_path, "t/id=__HIVE_DEFAULT_PARTITION__/p.parquet")
    files = file_patterns.partitions(tmp_path / "t", "data.train")
    assert [file.columns["id"] for file in files] == ["7", None, "a b"]


def test_partitions_of_several_kinds_and_folders_without_parquet_are_refused(tmp_path: Path) -> None:
    made(tmp_path, "t/id=1/a.parquet", "t/day=1/a.parquet", "u/a.csv")
    with pytest.raises(UserError, match=r"id=1/a.parquet must lie in folders of the columns day"):
        file_patterns.partitions(tmp_path / "t", "data.train")
    with pytest.raises(UserError, match=r'Name the files in it by a pattern: data.train = "u/\*.csv"'):
        file_patterns.partitions(tmp_path / "u", "data.train")
