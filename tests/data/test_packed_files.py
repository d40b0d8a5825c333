"""Packed files: unpacked part by part, damage at any place found, copies on disk gone when they are not needed."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from foldline.core import zip_archives
from foldline.core.errors import UserError
from foldline.data import packed_files, readers, row_lengths

TABLE = pl.DataFrame({"key": [f"k{row // 10}" for row in range(30_000)], "x": np.arange(30_000) * 0.5})
WANTED = {"key": None, "x": pl.Float64()}
PACKED = ("train.csv.gz", "train.csv.zip", "data.zip/train.csv", "data.zip/train.csv.gz", "data.zip/train.csv.zip")


def written(folder: Path, name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Content packed as a name says."""
    path = folder / name
    if name.endswith(".gz"):
        content = gzip.compress(content)
    elif name.endswith(".csv.zip"):
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w", method) as archive:
            archive.writestr("whatever.csv", content)
        content = inner.getvalue()
    if path.parent.name == "data.zip":
        with zipfile.ZipFile(path.parent, "w", method) as archive:
            archive.writestr(path.name, content)
    else:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", PACKED)
def test_files_are_unpacked_part_by_part(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a file is in memory nowhere: nobody asks for more than a block at once."""
    text = TABLE.write_csv().encode()
    path = written(tmp_path, name, text)
    monkeypatch.setattr(row_lengths, "BLOCK", 1 << 15)
    monkeypatch.setattr(packed_files, "PART", 64)
    most, read = 0, packed_files._Unpacking.readinto

    def watched(self: Any, buffer: Any) -> int:
        nonlocal most
        most = max(most, len(buffer))
        return read(self, buffer)

    monkeypatch.setattr(packed_files._Unpacking, "readinto", watched)
    assert readers.read(path, WANTED).equals(TABLE)
    assert readers.columns(path) == ["key", "x"]
    assert most < len(text) / 2  # the library's own buffers are 8 or 128 KiB
    assert packed_files.content(path) == text


@pytest.mark.parametrize("name", ["train.csv", "train.csv.gz"])
def test_an_archive_is_opened_once_and_closed_when_another_one_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / folder / "data.zip" for folder in ("one", "other")]
    for path in paths:
        path.parent.mkdir()
        written(path.parent, f"data.zip/{name}", TABLE.write_csv().encode())
    archives, plain = list[zipfile.ZipFile](), zip_archives.opened

    def watched(packed: Any) -> zipfile.ZipFile:
        archives.append(plain(packed))
        return archives[-1]

    monkeypatch.setattr(zip_archives, "opened", watched)
    with packed_files.opened(paths[0] / name) as begun:
        begun.read(1)
        assert readers.read(paths[0] / name, WANTED).equals(TABLE) and len(archives) == 1
        assert readers.read(paths[1] / name, WANTED).equals(TABLE) and len(archives) == 2
        assert begun.read() == TABLE.write_csv().encode()[1:]  # whoever reads goes on
    assert [archive.fp is None for archive in archives] == [True, False]


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("place", [0.3, 0.9])
def test_damage_is_found_wherever_it_is(name: str, place: float, tmp_path: Path) -> None:
    """Also in the values of a number, where only a checksum shows it."""
    content = TABLE.write_csv().encode()
    path = written(tmp_path, name, content, zipfile.ZIP_STORED)
    file = path.parent if path.parent.name == "data.zip" else path
    raw = bytearray(file.read_bytes())
    at = raw.find(b",31.5") + 1 if b",31.5" in raw else int(len(raw) * place)
    raw[at] ^= 1
    file.write_bytes(raw)
    with pytest.raises(UserError, match=r"is damaged or cut short|is no readable CSV|must hold numbers"):
        readers.read(path, WANTED)


@pytest.mark.parametrize("small", [1 << 24, 100])
def test_a_parquet_member_is_lent_from_memory_or_from_a_copy_that_goes(
    small: int, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = io.BytesIO()
    TABLE.write_parquet(whole)
    path = written(tmp_path, "data.zip/train.parquet", whole.getvalue())
    monkeypatch.setattr(packed_files, "SMALL", small)
    assert readers.read(path, WANTED).equals(TABLE)
    assert readers.columns(path) == ["key", "x"]
    with packed_files.at_hand(path) as found:
        assert isinstance(found, bytes if small > 100 else Path)
        assert (found if isinstance(found, bytes) else found.read_bytes()) == whole.getvalue()
        if isinstance(found, Path):
            assert list((home / "runs").iterdir()) == [found] and found.name.endswith(".foldline-tmp")
    with pytest.raises(UserError, match="unknown column 'y'"):
        readers.read(path, {"y": pl.Float64()})
    assert not list((home / "runs").glob(".*")) if small == 100 else not (home / "runs").exists()


def test_a_plain_file_is_lent_as_it_is(tmp_path: Path) -> None:
    TABLE.write_csv(tmp_path / "train.csv")
    with packed_files.at_hand(tmp_path / "train.csv") as found:
        assert found == packed_files.content(tmp_path / "train.csv") == tmp_path / "train.csv"
