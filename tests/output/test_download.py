"""Unpacking a competition's archive: a damaged one goes, one that meets a fault of the disk stays."""

from __future__ import annotations

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
    with pytest.raises(OSError):
        download.unpack(archive, tmp_path / "out", {})
    assert archive.exists()
