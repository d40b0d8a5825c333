"""Unpacking a competition's archive: a damaged one goes, one that meets a fault of the disk stays."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from foldline.core.errors import UserError
from foldline.output.kaggle import download


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_archive_is_removed_however_it_is_packed(method: int, tmp_path: Path) -> None:
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w", method) as opened:
        opened.writestr("train.csv", b"row,speed\n" * 200)
    raw = bytearray(archive.read_bytes())
    start = raw.index(b"train.csv") + len("train.csv")
    raw[start : start + 20] = b"\xff" * 20  # the first bytes of the packed data
    archive.write_bytes(raw)
    with pytest.raises(UserError, match=r"data.zip is damaged \(.+\). It was removed; run the same command again"):
        download.unpack(archive, tmp_path / "out", {})
    assert not archive.exists()


def test_an_archive_stays_where_the_disk_is_at_fault(tmp_path: Path) -> None:
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("sub/train.csv", b"row\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").write_text("a file where a folder belongs")
    with pytest.raises(UserError, match=r"sub can't be written \(File exists\)\. Unpack"):
        download.unpack(archive, tmp_path / "out", {})
    assert archive.exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("train.csv", "must each have a place of their own, but 'train.csv' would lie where 'train.csv' does"),
        ("./train.csv", "must each have a place of their own"),
        ("a/../train.csv", "must each have a place of their own"),
        (".", "would lie where 'the folder itself' does"),
        ("train.csv/inside", "can't lie in another one, but 'train.csv/inside' does"),
        ("x" * 250, "can't be written"),
    ],
)
def test_two_files_for_one_place_are_refused(other: str, said: str, tmp_path: Path) -> None:
    """Else the last one would silently win."""
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("train.csv", b"row\n1\n")
        opened.writestr(other, b"row\n2\n")
    with pytest.raises(UserError, match=re.escape(said)):
        download.unpack(archive, tmp_path / "out", {})
    assert archive.exists()


def test_a_member_that_begins_before_its_archive_is_damage(tmp_path: Path) -> None:
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("train.csv", b"row\n1\n")
    raw = archive.read_bytes()
    archive.write_bytes(raw[3:])
    with pytest.raises(UserError, match=r"data.zip is damaged"):
        download.unpack(archive, tmp_path / "out", {})
