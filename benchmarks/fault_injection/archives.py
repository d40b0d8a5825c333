"""Odd archives: members that would leave their folder, links, folders, doubled and foreign members, damage.

An archive is read as data.source and unpacked as a download. Nothing may appear outside its folder, and what it gives
is what zipfile says that it holds; else it is refused.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import traceback
import warnings
import zipfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import tiny

from benchmarks.fault_injection import batches, sheets, tables
from benchmarks.fault_injection.children import Ended
from benchmarks.fault_injection.fault import Fault, Kind, Outcome
from foldline.core.errors import UserError
from foldline.output.kaggle import download

BATCH = 20
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
SENTINEL = "not yours"  # what a file beside the folder holds, before and after
STEMS = ("train.csv", "test.csv", "sample_submission.csv")
ODD = (
    *(
        "../beside.txt",
        "../../beside.txt",
        "/tmp/foldline-not-there/x",
        "a/../../beside.txt",
        "a/../train.csv",
        "./train.csv",
    ),
    *(
        "..",
        ".",
        "../target/train.csv",
        "nested/train.csv",
        "train.csv/inside",
        "TRAIN.CSV",
        "train.csv ",
        " train.csv",
    ),
    *("__MACOSX/._train.csv", "._train.csv", ".DS_Store", "__MACOSX/x", "Thumbs.db", "train.csv.gz", "train.parquet"),
    *(
        "..\\beside.txt",
        "C:\\x.txt",
        "a//b.txt",
        "é.txt",
        "a\nb.txt",
        "~/x.txt",
        "$HOME/x",
        "nested/",
        "readme.md",
        "x" * 250,
    ),
)


@dataclass(frozen=True)
class Odd:
    """A folder with an odd archive in it."""

    folder: Path
    what: str
    packed: int  # files in the archive, folders not counted

    @property
    def archive(self) -> Path:
        return self.folder / "data.zip"


def made(number: int, seed: int, scratch: Path, plain: dict[str, bytes]) -> Odd:
    """Write one archive of the small competition, with odd members."""
    draw, folder = Random(f"archive {seed} {number}"), scratch / f"{number}"
    members, parts = [(name, content, 0) for name, content in plain.items()], list[str]()
    for _ in range(draw.choice([0, 1, 1, 2, 3])):
        name, kind = draw.choice(ODD), draw.choice(["file", "file", "link", "copy", "executable"])
        if kind == "copy":
            name = draw.choice([*STEMS, f"nested/{draw.choice(STEMS)}"])
        content = (
            b"../beside.txt" if kind == "link" else draw.choice(list(plain.values())) if kind == "copy" else b"odd"
        )
        mode = {"link": stat.S_IFLNK | 0o777, "executable": stat.S_IFREG | 0o4755}.get(kind, 0)
        members.insert(draw.randrange(len(members) + 1), (name, content, mode))
        parts.append(f"{kind} {name[:40]!r}")
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w") as archive:
        warnings.simplefilter("ignore")  # of doubled names
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, draw.choice(METHODS)
            archive.writestr(info, content)
    raw = stream.getvalue()
    if not parts or draw.random() < 0.2:
        raw, part = sheets.spoiled(raw, draw)
        parts.append(part)
    (folder / "target").mkdir(parents=True)
    (folder / "beside.txt").write_text(SENTINEL)
    packed = sum(not name.endswith("/") for name, _, _ in members)
    odd = Odd(folder, f"seed {seed}, number {number}: {', '.join(parts)}", packed)
    odd.archive.write_bytes(raw)
    return odd


def tried(folder: Path) -> tuple[Any, Any]:
    """Load an archive and unpack it, in the child: what each gave, an exception's text or ("refused", the sentence)."""
    os.umask(0o022)
    loaded = tables.loaded(folder / "data.zip")
    copy = folder / "copy.zip"
    shutil.copy(folder / "data.zip", copy)
    try:
        return loaded, ("read", download.unpack(copy, folder / "target", {})[0])
    except UserError as error:
        return loaded, ("refused", str(error))
    except BaseException:
        return loaded, ("traceback", traceback.format_exc())


def archive_faults(seed: int, scratch: Path) -> Generator[Fault, None, None]:
    """Read and unpack odd archives, without end."""
    source, number = tiny.write(scratch / "rides", tiny.frames(train_series=6, test_series=3, steps=6)), 0
    plain = {name: (source / name).read_bytes() for name in STEMS}
    expected = tables.loaded(source)
    while True:
        several = [made(number + place, seed, scratch, plain) for place in range(BATCH)]
        number += BATCH
        for odd, answer in zip(several, batches.answers(tried, [one.folder for one in several], scratch), strict=True):
            yield Fault(odd.what, *_judged(odd, answer, expected))
            shutil.rmtree(odd.folder)


def _judged(odd: Odd, answer: Any, expected: Any) -> tuple[Outcome, str]:
    if isinstance(answer, Ended):
        return answer.broken or Outcome.OUTSIDE, answer.err
    loaded, (how, found) = answer
    if outside := _outside(odd):
        return Outcome.SILENT, f"written outside: {outside}"
    if "traceback" in (loaded[0], how):
        return Outcome.TRACEBACK, str(loaded[1] if loaded[0] == "traceback" else found)
    if loaded[0] == "read" and loaded != expected:
        return Outcome.SILENT, "other tables were read from it than those of the competition"
    if "\n" in (loaded[1] if loaded[0] == "refused" else "") + (found if how == "refused" else ""):
        return Outcome.UNCLEAR, f"{loaded[1]} {found}"
    return _of_unpacked(odd, found) if how == "read" else (Outcome.FINE, "")


def _outside(odd: Odd) -> list[str]:
    """List what was written beside the target folder."""
    names = {path.name for path in odd.folder.iterdir()} - {"data.zip", "copy.zip", "beside.txt", "target"}
    if (odd.folder / "beside.txt").read_text() != SENTINEL:
        names.add("beside.txt")
    links = [str(path) for path in (odd.folder / "target").rglob("*") if path.is_symlink()]
    return sorted([*names, *links, *(["/tmp"] if Path("/tmp/foldline-not-there").exists() else [])])


def _of_unpacked(odd: Odd, found: dict[str, int]) -> tuple[Outcome, str]:
    """Compare what was unpacked with what zipfile reads, and its number with what was packed."""
    with zipfile.ZipFile(odd.archive) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        if len(infos) != odd.packed:
            return Outcome.LOST, f"{odd.packed} files were packed, but {len(infos)} were unpacked"
        for info in infos:
            path = odd.folder / "target" / info.filename
            if not path.is_file() or path.read_bytes() != archive.read(info):
                return Outcome.LOST, f"{info.filename!r} was not unpacked as the archive holds it"
    return (Outcome.FINE, "") if set(found) == {info.filename for info in infos} else (Outcome.LOST, str(found))


ARCHIVES = Kind(
    name="archives",
    promise="An archive writes nothing outside its folder; each of its files is what it holds, or it is refused",
    how="members with .., absolute names, links, doubled and foreign ones, bytes changed; compared with zipfile",
    share=1.0,
    faults=archive_faults,
)
