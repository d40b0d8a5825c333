"""The bytes of a table's file: plain, gzipped, zipped, or in one archive; and the guard around outside readers.

Whatever a library raises on a damaged file leaves here as one UserError that names the file.
"""

from __future__ import annotations

import functools
import gzip
import io
import os
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import polars as pl

from foldline.core.errors import UserError, disk_full

ENCRYPTED = 1  # a flag of a zip member
PANIC = "PanicException"  # of a library written in Rust; it is no Exception, and each library has a class of its own


@contextmanager
def guarded(
    path: Path, rule: str = "is damaged or cut short", way_out: str = "Download or write it again."
) -> Iterator[None]:
    """Turn what an outside reader raises into one UserError: `PATH RULE (REASON). WAY OUT`.

    A full disk, an interrupt and a request to exit stay what they are.

    Raises:
        UserError
    """
    try:
        yield
    except UserError:
        raise
    except pl.exceptions.NoDataError as error:
        raise UserError(f"{path} is empty: it needs a header and rows.") from error
    except FileNotFoundError as error:
        raise UserError(_missing(path)) from error
    except PermissionError as error:
        raise UserError(f"{path} can't be read ({reason(error)}). Check its owner.") from error
    except MemoryError as error:
        raise UserError(f"{path} {rule}, or too large for the memory. {way_out}") from error
    except BaseException as error:
        if not (isinstance(error, Exception) or type(error).__name__ == PANIC) or disk_full(error):
            raise
        raise UserError(f"{path} {rule} ({reason(error)}). {way_out}") from error


def reason(error: BaseException) -> str:
    """Return the first line of an error's message, at most 200 characters; the error's kind where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _missing(path: Path) -> str:
    if path.is_symlink():
        target = path.readlink()
        return f"{path} is a link to {target}, which is not there. Link it again, or put the file itself there."
    return f"{path} does not exist. Give the path from where you are, or an absolute one."


def members(archive: Path) -> list[str]:
    """List the files of a competition's archive.

    Raises:
        UserError: it is no zip archive, or damaged.
    """
    if archive.suffix != ".zip":
        raise UserError(
            f"data.source: {archive} is a file, but a folder or a .zip is needed. Name the folder it lies in."
        )
    with guarded(archive, way_out="Download it again."), zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            if not member.flag_bits & ENCRYPTED:
                opened.open(member).close()  # a name damaged in the directory is another one at the file
        return _files_in(opened)


def content(path: Path) -> Path | bytes:
    """Return the path where polars can read it, else the unpacked bytes.

    Raises:
        UserError: it is not there, no file, or damaged.
    """
    archive = next((folder for folder in path.parents if folder.is_file()), None)
    if archive is not None:
        return _unpacked(path, _member(path, archive, path.relative_to(archive).as_posix()))
    if path.is_dir():
        raise UserError(f"{path} is a directory, but a file is needed. Rename it, or give the path of a file.")
    with guarded(path):
        if path.suffix not in (".gz", ".zip"):
            path.stat()
            return path
        packed = path.read_bytes()
    return _unpacked(path, packed)


def _unpacked(path: Path, packed: bytes) -> bytes:
    if path.suffix == ".gz":
        with guarded(path, way_out="Download it again."):
            return gzip.decompress(packed)
    return _member(path, packed) if path.suffix == ".zip" else packed


def _member(path: Path, packed: Path | bytes, name: str = "") -> bytes:
    """Unpack one file of a zip archive. name: empty: its only one. Two may have one name."""
    source = io.BytesIO(packed) if isinstance(packed, bytes) else packed
    try:
        with guarded(path, way_out="Download it again."):
            if isinstance(source, Path):
                state = source.stat()
                opened = _opened(source, os.getpid(), state.st_ino, state.st_size, state.st_mtime_ns)
                return _read(path, *opened, name)
            with zipfile.ZipFile(source) as archive:
                return _read(path, archive, Counter(_files_in(archive)), name)
    except UserError as error:
        # zipfile raises it for an encrypted member, and for an unknown compression
        if not isinstance(error.__cause__, RuntimeError):
            raise
        raise UserError(
            f"{path} can't be unpacked ({reason(error.__cause__)}). Unpack it by hand into a folder."
        ) from error.__cause__


@functools.lru_cache(maxsize=1)
def _opened(archive: Path, *state: int) -> tuple[zipfile.ZipFile, Counter[str]]:
    """Open a competition's archive, and count the files of each name; once, because it may have thousands.

    state: of the file, and the process: one that was forked must not read from the same place.
    """
    opened = zipfile.ZipFile(archive)
    return opened, Counter(_files_in(opened))


def _read(path: Path, archive: zipfile.ZipFile, names: Counter[str], name: str) -> bytes:
    """Read a member. name: empty: the only one. path: for messages."""
    count = names[name] if name else names.total()
    if count != 1:
        shown = [name] * count if name else list(names.elements())
        raise UserError(f"{path} must hold one file, but holds {count}: {', '.join(shown[:5])}.")
    return archive.read(name or next(iter(names)))


def _files_in(archive: zipfile.ZipFile) -> list[str]:
    """List the files of an archive but those that a Mac adds."""
    return [name for name in archive.namelist() if not name.endswith("/") and not _of_a_mac(PurePosixPath(name))]


def _of_a_mac(path: PurePosixPath) -> bool:
    return path.parts[0] == "__MACOSX" or path.name == ".DS_Store" or path.name.startswith("._")
