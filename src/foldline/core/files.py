"""Files and folders: the home folder, atomic writes, hashes.

The engine writes through this file, so that a kill at any moment leaves either the old content or the new one.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from foldline.core.byte_sizes import needed_and_free
from foldline.core.errors import UserError
from foldline.core.locks import lock

if TYPE_CHECKING:  # a command that finds nothing to do has no need of it
    import numpy as np

# Folders of runs/ that belong to no config, and entries of a config's own folder: a config can't have their name.
SHARED_FOLDERS = ("bench", "cells", "data", "exact", "folds", "locks", "outside", "probes", "store", "ledger.csv")
OWN_ENTRIES = ("audit", "latest")
TEMPORARY = ".foldline-tmp"  # ending of a file that is being written: no user's own file has it, so it may be swept
PACKAGE = Path(__file__).resolve().parents[1]  # src/foldline in a checkout


_home: ContextVar[Path | None] = ContextVar("home", default=None)


@contextmanager
def at_home(folder: Path) -> Iterator[None]:
    """Let runs, folds, submissions and configs lie in a folder, for this thread and a while: a bundle's, to load."""
    token = _home.set(folder.resolve())
    try:
        yield
    finally:
        _home.reset(token)


@contextmanager
def at_home_everywhere(folder: Path) -> Iterator[None]:
    """The same for all threads, and for processes that are started inside the block: they inherit FOLDLINE_HOME.

    It holds for threads that have nothing to do with the block, too: docs/how-to/python.md says so.
    """
    before = os.environ.get("FOLDLINE_HOME")
    os.environ["FOLDLINE_HOME"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["FOLDLINE_HOME"]
        else:
            os.environ["FOLDLINE_HOME"] = before


def home() -> Path:
    """Find the folder in which runs, folds, submissions and configs lie.

    That of `at_home`; FOLDLINE_HOME, where it is set; else the checkout that this code is part of; else, installed, the
    working folder.
    """
    if (folder := _home.get()) is not None:
        return folder
    named = os.environ.get("FOLDLINE_HOME")
    return Path(named).resolve() if named else checkout() or Path.cwd()


def checkout() -> Path | None:
    """Find the checkout of the repository that this code is part of; None where foldline is an installed package."""
    root = PACKAGE.parents[1]
    return root if (root / "run.sh").is_file() else None


def packed_configs() -> Path:
    """Return the folder of configs that an installed foldline brings; it is not there in a checkout."""
    return PACKAGE / "configs"


def runs() -> Path:
    """Return the folder of everything that runs leave. All of it can be made again: deleting it costs time only."""
    return home() / "runs"


def digest(value: Any) -> str:
    """Hash a JSON-able value: 16 hex digits of blake2b over its canonical text.

    Raises:
        ValueError: NaN or an infinity is in it, which JSON lacks.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def digest_arrays(*arrays: np.ndarray) -> str:
    """Hash arrays, 16 hex digits: dtype, shape and bytes of each, in order."""
    state = ArrayDigest()
    for array in arrays:
        state.add(array)
    return state.digits()


class ArrayDigest:
    """The hash of arrays that come one after the other."""

    def __init__(self) -> None:
        self._state = hashlib.blake2b(digest_size=8)

    def add(self, array: np.ndarray) -> None:
        """Go on with the next array."""
        import numpy as np

        self._state.update(f"{array.dtype.str}{array.shape}".encode())
        self._state.update(np.ascontiguousarray(array).view(np.uint8).data)

    def add_bytes(self, count: int, pieces: Iterable[bytes]) -> None:
        """Go on with an array of `count` bytes (uint8) that comes in pieces."""
        self._state.update(f"|u1{(count,)}".encode())
        for piece in pieces:
            self._state.update(piece)

    def digits(self) -> str:
        """Return the hash of all arrays so far."""
        return self._state.hexdigest()


def sha256(path: Path) -> str:
    """Compute the SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def atomic(path: Path, mode: str = "wb", durable: bool = True) -> Iterator[IO[Any]]:
    """Open a temporary file that takes the place of `path` in one step on success, and is removed on failure.

    durable: wait until it has reached the disk; else a power cut may leave an empty file, and a kill still none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target: only a rename inside one file system is atomic.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY)
    temporary = Path(name)
    text = "b" not in mode
    try:
        with open(handle, mode, encoding="utf-8" if text else None, newline="" if text else None) as stream:  # noqa: PTH123
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())  # else a power cut after the rename could leave an empty file
        temporary.chmod(0o644)  # mkstemp gives 0600: others in the group could not read it
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, have reached the disk: a power cut does not undo them then."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_once(
    path: Path, write: Callable[[Path], None], sound: Callable[[], bool] = lambda: True, resumes: bool = False
) -> None:
    """Make a folder by `write(draft)` unless it exists; it appears in one step, complete.

    One process at a time: a second one waits and finds it made. `write` sees to it that its files have reached the
    disk.

    Args:
        sound: whether an existing folder is as it was made; else it is made anew.
        resumes: whether `write` goes on from what a killed or interrupted call has left in `draft_of(path)`, which
            stays then. Else it begins with an empty folder, and drafts that were left are removed.
    """
    if path.is_dir() and sound():
        return
    with lock(runs() / "locks" / f"{path.parent.name}-{path.name}"):
        if path.is_dir() and sound():  # another process has made it while this one waited
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            # Renamed first: a process that has it open reads on, and no other one sees half of it.
            path.rename(Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.")) / "damaged")
        for stale in set(path.parent.glob(f".{glob.escape(path.name)}.*")) - ({draft_of(path)} if resumes else set()):
            shutil.rmtree(stale)
        draft = draft_of(path)
        draft.mkdir(exist_ok=resumes)
        try:
            write(draft)
            draft.chmod(0o755)  # whatever the umask
            draft.rename(path)
            sync(path.parent)
        except BaseException as error:
            if not resumes or isinstance(error, Exception):  # what has failed would fail again
                shutil.rmtree(draft, ignore_errors=True)
            raise


def draft_of(path: Path) -> Path:
    """Return where `make_once` makes a folder, before it has its name."""
    return path.with_name(f".{path.name}.draft")


def require_space(count: int, what: str, folder: Path | None = None) -> None:
    """Check that a disk has room for `count` bytes.

    Args:
        what: the subject of the message.
        folder: on that disk, and there; None: runs(), which is made.

    Raises:
        UserError: it has not.
    """
    if folder is None:
        folder = runs()
        folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if count > free:
        raise UserError(f"{folder}: {what} needs about {needed_and_free(count, free)}. Free some space.")


def write_text(path: Path, text: str, durable: bool = True) -> None:
    """Write UTF-8 text atomically. durable: as in `atomic`."""
    with atomic(path, "w", durable) as stream:
        stream.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON atomically; floats keep every digit."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON written by `write_json`."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file atomically; never a pickle."""
    import numpy as np

    with atomic(path) as stream:
        np.save(stream, array, allow_pickle=False)


def write_at(descriptor: int, data: memoryview, offset: int) -> None:
    """Write all bytes of a C-contiguous buffer at an offset of an open file; threads may write side by side."""
    remaining = data.cast("B")
    while remaining:  # pwrite may write a part only, and reports a full disk by the next call
        written = os.pwrite(descriptor, remaining, offset)
        remaining, offset = remaining[written:], offset + written


def read_array(path: Path, mapped: bool = False) -> np.ndarray:
    """Read (or memory-map, read-only) a .npy file."""
    import numpy as np

    array: np.ndarray = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    return array


def replace_symlink(link: Path, target: Path) -> None:
    """Make `link` a symbolic link to its sibling `target`; an older link is replaced in one step."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target.name)
    temporary.replace(link)
