"""Files that can't be read get one clear sentence and exit code 2, and nothing is left half-written."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from refusals import refused


def cut(path: Path, pack: Callable[[Path, bytes], None]) -> None:
    """Pack train.csv, and cut the packed file in the middle."""
    plain = path / "train.csv"
    packed = path / "packed"
    pack(packed, plain.read_bytes())
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2])
    plain.unlink()


def zipped(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", content)


def gzipped(path: Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content))


def truncated_zip(source: Path) -> None:
    cut(source, zipped)
    (source / "packed").rename(source / "train.csv.zip")


def truncated_gz(source: Path) -> None:
    cut(source, gzipped)
    (source / "packed").rename(source / "train.csv.gz")


def zip_of_two(source: Path) -> None:
    with zipfile.ZipFile(source / "train.csv.zip", "w") as archive:
        archive.write(source / "train.csv", "a.csv")
        archive.write(source / "train.csv", "b.csv")
    (source / "train.csv").unlink()


def directory(source: Path) -> None:
    (source / "train.csv").unlink()
    (source / "train.csv").mkdir()


def separated_by(sign: str) -> Callable[[Path], object]:
    """train.csv as a spreadsheet may write it."""
    return lambda source: tiny.frames()["train"].write_csv(source / "train.csv", separator=sign)


def doubled(source: Path) -> None:
    """train.csv has a second column called speed."""
    lines = (source / "train.csv").read_text().splitlines()
    rows = [f"{line},{'speed' if number == 0 else number}\n" for number, line in enumerate(lines)]
    (source / "train.csv").write_text("".join(rows))


def damaged_gzip(source: Path) -> None:
    """sample_submission.csv.gz, whose packed bytes are damaged."""
    raw = bytearray(gzip.compress((source / "sample_submission.csv").read_bytes()))
    raw[12:40] = b"\xff" * 28
    (source / "sample_submission.csv").unlink()
    (source / "sample_submission.csv.gz").write_bytes(raw)


def link_to_nothing(source: Path) -> None:
    (source / "train.csv").unlink()
    (source / "train.csv").symlink_to("elsewhere.csv")


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "two columns of one name": (doubled, "train.csv has more than one column called 'speed'. Rename all but one"),
    "damaged gzip": (damaged_gzip, "sample_submission.csv.gz is damaged or cut short"),
    "link to nothing": (link_to_nothing, "train.csv is a link to elsewhere.csv, which is not there"),
    "empty file": (lambda source: (source / "train.csv").write_text(""), "train.csv is empty: it needs a header"),
    "truncated zip": (truncated_zip, "train.csv.zip is damaged or cut short"),
    "truncated gz": (truncated_gz, "train.csv.gz is damaged or cut short"),
    "zip of two files": (zip_of_two, "train.csv.zip must hold one file, but holds 2: a.csv, b.csv"),
    "directory": (directory, "train.csv is a directory, but a file is needed"),
    "no Parquet": (
        lambda source: (source / "train.csv").rename(source / "train.parquet"),
        "train.parquet is no readable Parquet",
    ),
    "semicolons": (
        separated_by(";"),
        "train.csv seems to be separated by ';', but columns must be separated by ','. Write it again, for instance "
        "by polars: `pl.read_csv(FILE, separator=';')",
    ),
    "tabs": (separated_by("\t"), "train.csv seems to be separated by '\\t'"),
    "binary": (lambda source: (source / "train.csv").write_bytes(b"\x80\xff\x00,\xfe\n\x93\n"), "train.csv"),
    "broken line": (
        lambda source: (source / "train.csv").write_text((source / "train.csv").read_text() + "1,2,3,4,5,6,7,8,9\n"),
        "train.csv is no readable CSV",
    ),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_bad_files(what: str, rides: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, message = BAD_FILES[what]
    spoil(rides)
    assert message in refused(["train", "rides"], home, capsys)


def test_a_source_that_is_not_there_or_no_folder(
    rides: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = f"nowhere does not exist (looked for at {tmp_path / 'nowhere'}: relative paths start at the folder"
    assert message in refused(["train", "rides", "data.source=nowhere"], home, capsys)
    alone = f"data.source={rides / 'train.csv'}"
    assert "is a file, but a folder or a .zip is needed" in refused(["train", "rides", alone], home, capsys)
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    assert "cut.zip is damaged or cut short" in refused(["train", "rides", "data.source=cut.zip"], home, capsys)
