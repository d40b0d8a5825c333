"""Zip archives: what zipfile lists is compared with the number of files that an archive says it has."""

from __future__ import annotations

import functools
import io
import zipfile
from pathlib import Path

import pytest

from foldline.core import zip_archives
from foldline.core.errors import UserError
from foldline.data import packed_files
from foldline.output.kaggle import download

MANY = 70_000  # more than a directory's 16 bits count


@functools.cache
def packed(files: int, comment: bytes = b"") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(files):
            archive.writestr(f"{number}.csv", b"")
        archive.comment = comment
    return stream.getvalue()


def another_count(raw: bytes, by: int, signature: bytes = b"PK\5\6", place: int = 10) -> bytes:
    """An archive that says another number of files than it lists; what it lists is all there."""
    at = raw.rfind(signature) + place
    changed = (int.from_bytes(raw[at : at + 2], "little") + by) % zip_archives.COUNTED
    return raw[:at] + changed.to_bytes(2, "little") + raw[at + 2 :]


@pytest.mark.parametrize(("files", "comment"), [(0, b""), (1, b"a comment"), (3, b""), (MANY, b"a comment")])
def test_whole_archives_are_opened(files: int, comment: bytes, tmp_path: Path) -> None:
    raw = packed(files, comment)
    (tmp_path / "a.zip").write_bytes(raw)
    for source in (tmp_path / "a.zip", io.BytesIO(raw)):
        with zip_archives.opened(source) as archive:
            assert len(archive.namelist()) == files


def test_a_count_without_the_large_record_is_one_of_16_bits() -> None:
    """The Archive Utility of macOS writes 70,000 as 4,464: those archives are whole."""
    raw = packed(MANY)
    raw = another_count(raw.replace(b"PK\6\6", b"\0\0\0\0").replace(b"PK\6\7", b"\0\0\0\0"), 1 + MANY % (1 << 16))
    assert zip_archives._count(io.BytesIO(raw)) == MANY % (1 << 16)


@pytest.mark.parametrize("comment", [b"", b"a comment"])
def test_an_archive_that_lists_fewer_files_than_it_says_is_refused(comment: bytes, tmp_path: Path) -> None:
    raw = another_count(packed(3, comment), 1)
    path = tmp_path / "data.zip"
    path.write_bytes(raw)
    with pytest.raises(zipfile.BadZipFile, match="4 files were packed, but 3 are listed"):
        zip_archives.opened(io.BytesIO(raw))
    with pytest.raises(UserError, match=r"data\.zip is damaged or cut short \(4 files were packed"):
        packed_files.members(path)
    with pytest.raises(UserError, match=r"data\.zip/1\.csv is damaged"):
        packed_files.content(path / "1.csv")
    with pytest.raises(UserError, match="It was removed; run the same command again"):
        download.unpack(path, tmp_path / "out", {})
    assert not path.exists() and not (tmp_path / "out").exists()


def test_so_is_a_large_one() -> None:
    raw = another_count(packed(MANY), 1, b"PK\6\6", 32)
    with pytest.raises(zipfile.BadZipFile, match="70001 files were packed, but 70000 are listed"):
        zip_archives.opened(io.BytesIO(raw))
