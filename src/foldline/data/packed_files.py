"""The bytes of a table's file: plain, gzipped, zipped, or in one archive; and the guard around outside readers.

What is packed is unpacked as it is read, so that memory does not follow its size. Whatever a library raises on a
damaged file leaves here as one UserError that names the file.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tempfile
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO

import polars as pl

from foldline.core import files, zip_archives
from foldline.core.errors import UserError, disk_full

SMALL = 1 << 24  # bytes of a packed file that are unpacked into memory, where more go to the disk
PART = 1 << 20  # bytes that are unpacked at once
AGAIN = "Download it again."
PANIC = "PanicException"  # of a library written in Rust; it is no Exception, and each library has a class of its own
_one_at_a_time = threading.Lock()
_kept: tuple[tuple[object, ...], zipfile.ZipFile, Counter[str]] | None = None  # the archive that was read last


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
    with guarded(archive, way_out=AGAIN), zip_archives.opened(archive) as opened:
        return _files_in(opened)


def content(path: Path) -> Path | bytes:
    """Return the path where polars can read it, else the unpacked bytes, all in memory.

    Raises:
        UserError: it is not there, no file, or damaged.
    """
    if is_plain(path):
        return path
    with opened(path) as stream:
        return stream.read()


@contextmanager
def at_hand(path: Path) -> Iterator[Path | bytes]:
    """Lend what can be read at any place: the file, the unpacked bytes of a small one, or an unpacked copy on disk.

    Raises:
        UserError: it is not there, no file, or damaged.
    """
    if is_plain(path):
        yield path
        return
    with opened(path) as stream:
        begin = stream.read(SMALL)
        if len(begin) < SMALL:
            yield begin
            return
        files.runs().mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=files.runs(), prefix=".unpacked.", suffix=files.TEMPORARY) as copy:
            copy.write(begin)
            shutil.copyfileobj(stream, copy, PART)
            copy.flush()
            yield Path(copy.name)


def is_plain(path: Path) -> bool:
    """Return whether a file can be read as it is.

    Raises:
        UserError: it is not there, or no file.
    """
    if _archive_of(path) is not None:
        return False
    if path.is_dir():
        raise UserError(f"{path} is a directory, but a file is needed. Rename it, or give the path of a file.")
    with guarded(path):
        path.stat()
    return path.suffix not in (".gz", ".zip")


def opened(path: Path) -> BinaryIO:
    """Open a file to read it from the start; what is packed is unpacked on the way.

    Damage may show only at the end: whoever reads all of it has read what was packed.

    Raises:
        UserError: it is not there, no file, or damaged; reading raises it, too.
    """
    if is_plain(path):
        with guarded(path):
            return path.open("rb")
    archive = _archive_of(path)
    packed = path if archive is None else _member(path, archive, path.relative_to(archive).as_posix())
    if path.suffix == ".zip":
        if isinstance(packed, Path):
            return _member(path, packed)
        with packed:  # an archive is read from its end
            return _member(path, io.BytesIO(packed.read()))
    if path.suffix == ".gz":
        with guarded(path, way_out=AGAIN):
            return _Unpacking.of(path, gzip.open(packed), () if isinstance(packed, Path) else (packed,))
    assert not isinstance(packed, Path), "only what is packed is not plain"
    return packed


class _Unpacking(io.RawIOBase):
    """The bytes of a packed file, unpacked as they are read."""

    def __init__(self, path: Path, stream: IO[bytes] | gzip.GzipFile, below: Sequence[IO[bytes]] = ()) -> None:
        """path: for messages. below: what it is unpacked from; it is closed, too."""
        self._path, self._stream, self._below = path, stream, below

    @staticmethod
    def of(path: Path, stream: IO[bytes] | gzip.GzipFile, below: Sequence[IO[bytes]] = ()) -> BinaryIO:
        """Return them as a file."""
        return io.BufferedReader(_Unpacking(path, stream, below), PART)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with guarded(self._path, way_out=AGAIN):
            part = self._stream.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        for stream in (self._stream, *self._below):
            stream.close()
        super().close()


def _archive_of(path: Path) -> Path | None:
    """Return the archive that a path leads into: ARCHIVE/MEMBER."""
    return next((folder for folder in path.parents if folder.is_file()), None)


def _member(path: Path, packed: Path | IO[bytes], name: str = "") -> BinaryIO:
    """Open one file of a zip archive. name: empty: its only one. Two may have one name. path: for messages."""
    try:
        with guarded(path, way_out=AGAIN):
            if not isinstance(packed, Path):
                archive = zip_archives.opened(packed)
                return _Unpacking.of(path, archive.open(_name(path, Counter(_files_in(archive)), name)))
            with _one_at_a_time:
                archive, names = _latest(packed)
                return _Unpacking.of(path, archive.open(_name(path, names, name)))
    except UserError as error:
        # zipfile raises it for an encrypted member, and for an unknown compression
        if not isinstance(error.__cause__, RuntimeError):
            raise
        raise UserError(
            f"{path} can't be unpacked ({reason(error.__cause__)}). Unpack it by hand into a folder."
        ) from error.__cause__


def _latest(packed: Path) -> tuple[zipfile.ZipFile, Counter[str]]:
    """Open a competition's archive, and count the files of each name; once, because it may have thousands.

    The archive before it is closed as soon as nobody reads it any more.
    """
    global _kept
    state = packed.stat()
    # Of the process, too: one that was forked must not read from the same place.
    key = (packed, os.getpid(), state.st_ino, state.st_size, state.st_mtime_ns)
    if _kept is None or _kept[0] != key:
        archive = zip_archives.opened(packed)
        if _kept is not None:
            _kept[1].close()
        _kept = key, archive, Counter(_files_in(archive))
    return _kept[1:]


def _name(path: Path, names: Counter[str], name: str) -> str:
    """Return a member's name. names: of all members. name: empty: of the only one. path: for messages."""
    count = names[name] if name else names.total()
    if count != 1:
        shown = [name] * count if name else list(names.elements())
        raise UserError(f"{path} must hold one file, but holds {count}: {', '.join(shown[:5])}.")
    return name or next(iter(names))


def _files_in(archive: zipfile.ZipFile) -> list[str]:
    """List the files of an archive but those that a Mac adds."""
    return [name for name in archive.namelist() if not name.endswith("/") and not _of_a_mac(PurePosixPath(name))]


def _of_a_mac(path: PurePosixPath) -> bool:
    return path.parts[0] == "__MACOSX" or path.name == ".DS_Store" or path.name.startswith("._")
