"""Where an Optuna study is stored: by default a journal (one line an event) in its folder, or a database by its url.

    ""                                  runs/NAME/HASH/study.journal
    "some/file.journal"                 a journal elsewhere, for instance in a folder that several machines share
    "sqlite:///study.db"                SQLite
    "postgresql+psycopg://USER@HOST/DB" PostgreSQL, for workers on several machines
    "grpc://HOST:PORT"                  Optuna's proxy in front of one of these, for very many workers

The last two need the libraries of the extra `storage` in pyproject.toml: FOLDLINE_EXTRAS=storage ./run.sh tune ...

Optuna's own file locks are files: a process killed while it holds one blocks all others for 30 s, and a half-written
line at the journal's end makes the whole study unreadable. The lock here is the kernel's, which frees it when its
holder dies, and whoever takes it removes a half-written line. Each line holds a checksum of its own, which is compared
when the journal is opened: a score in which a bit has flipped would else be believed.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import logging
import os
import time
import warnings
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import IO, Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from foldline.core import locks, own_files
from foldline.core.artefacts import Damaged
from foldline.core.errors import UserError
from foldline.evidence.tuning import storage_retries

NEEDS = {"postgresql": "psycopg", "grpc": "grpc"}  # scheme -> the module it needs
TRIES = 4  # to open a database: of two processes that create its tables at the same time, one fails
CHECKSUM = "sum"  # key of a line of a journal; lines of older versions have none, nor those that Optuna itself writes
JOURNAL_MARK = b'{"op_code"'  # Optuna's first bytes; a lock on another file would cut off its last line
CONNECT_S = 10.0  # longest wait for a gRPC proxy
# libpq's defaults wait for hours for the answer of a server whose machine or network is gone.
NOTICED = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


def open_storage(
    where: str, folder: Path, patience_s: float = storage_retries.LONGEST_S, known: bool = False
) -> BaseStorage:
    """Open the storage of a study.

    Args:
        where: [tune] storage. folder: the study's, for the default.
        patience_s: how long it is waited for when it goes away later.
        known: whether it has answered before, so that it is waited for now, too. Else it may be a mistake in `where`.

    Raises:
        UserError: it cannot be reached, or a library is missing.
    """
    if not where:
        return _journal(folder / "study.journal")
    scheme, url, address = where.partition("://")
    if not url:
        path = Path(where).expanduser()
        opening, at = partial(_journal, path, known), f"at {path}"
    else:
        _need(scheme.partition("+")[0])
        opening = partial(_proxy, address) if scheme == "grpc" else partial(_database, where)
        at = f"at {address.rpartition('@')[2]}"  # no user, no password
        if scheme.startswith("sqlite"):
            return opening()
    opened = storage_retries.retried(opening, at, patience_s)() if known else opening()
    return storage_retries.retrying(opened, at, patience_s)


def open_study(
    where: str,
    folder: Path,
    name: str,
    maximize: bool = False,
    patience_s: float = storage_retries.LONGEST_S,
    known: bool = False,
) -> optuna.Study:
    """Open the study of that name, or create it. Its sampler is set before each trial; Optuna prunes nothing.

    Args:
        where, folder, patience_s, known: as of `open_storage`.
        maximize: a higher score is better.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("optuna.storages._rdb.storage").setLevel(logging.ERROR)  # of a database that is away, with SQL
    return optuna.create_study(
        study_name=name,
        storage=open_storage(where, folder, patience_s, known),
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.NopPruner(),
        direction="maximize" if maximize else "minimize",
        load_if_exists=True,
    )


class KernelLock:
    """A lock for Optuna's journal that the kernel frees when its holder dies; taking it repairs the journal."""

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.held: AbstractContextManager[None] | None = None

    def acquire(self) -> bool:
        """Wait for the lock; True, always.

        Raises:
            OSError: the journal is not there; its folder may be unmounted, and nothing is made in its place.
        """
        self.journal.stat()
        self.held = locks.lock(_lock_of(self.journal))
        self.held.__enter__()
        try:
            self._repair()
        except BaseException:
            self.release()
            raise
        return True

    def release(self) -> None:
        """Release the lock."""
        assert self.held is not None, "taken before"
        self.held.__exit__(None, None, None)

    def _repair(self) -> None:
        """Cut off a half-written last line: its writer was killed before the event counted."""
        with self.journal.open("r+b") as stream:
            at = stream.seek(0, os.SEEK_END)
            if not at or _byte(stream, at - 1) == b"\n":
                return
            while at and _byte(stream, at - 1) != b"\n":
                at -= 1
            stream.truncate(at)


class Journal(JournalFileBackend):  # type: ignore[misc]
    """Optuna's journal, with a checksum in each line."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append events, a line each."""
        super().append_logs([{**log, CHECKSUM: _sum(log)} for log in logs])


def _sum(log: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(log).encode()).hexdigest()[:16]


def refuse_damaged(path: Path) -> None:
    """Compare each line of a journal with its checksum; a half-written last line is no damage.

    Raises:
        Damaged: naming the first line that is not what was written.
    """
    sealed = False
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.endswith(b"\n"):
                return
            known, sound = _checked(line)
            if not sound or (sealed and not known):
                raise Damaged(
                    f"{path} is damaged: line {number} is not what was written. Move it away and run the same command "
                    "again: the search begins anew, and finished cells are used again."
                )
            sealed = sealed or known


def _checked(line: bytes) -> tuple[bool, bool]:
    """Whether a line has a checksum, and whether it is what was written, as far as that can be known."""
    try:
        log = json.loads(line)
    except (ValueError, RecursionError):
        return False, False
    if not isinstance(log, dict):
        return False, False
    known = log.pop(CHECKSUM, None)
    return known is not None, known is None or known == _sum(log)


def _byte(stream: IO[bytes], at: int) -> bytes:
    stream.seek(at)
    return stream.read(1)


def _lock_of(journal: Path) -> Path:
    return journal.with_suffix(".lock")


def _journal(path: Path, known: bool = False) -> BaseStorage:
    """Open a journal, or make it.

    Args:
        known: it was there before. Where the lock beside it is gone, too, it was not moved away: its folder is not
            mounted, and nothing is made in its place.
    """
    if known and not path.exists() and not _lock_of(path).exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    way_out = "Name another one with tune.storage=PATH."
    own_files.require_own(path, lambda: own_files.begins_with(path, JOURNAL_MARK), "a journal", way_out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    refuse_damaged(path)
    return JournalStorage(Journal(str(path), lock_obj=KernelLock(path)))


def _need(scheme: str) -> None:
    module = NEEDS.get(scheme)
    if module and importlib.util.find_spec(module) is None:
        raise UserError(
            f"tune.storage: {scheme}:// needs the module {module}, but it is not installed. Run the same command once "
            "with FOLDLINE_EXTRAS=storage before it, or install '.[storage]' into an environment of your own."
        )


def _database(url: str) -> BaseStorage:
    from sqlalchemy.exc import SQLAlchemyError

    settings = _connection_settings(url)
    for left in reversed(range(TRIES)):
        try:
            return optuna.storages.get_storage(RDBStorage(url, engine_kwargs=settings))  # with a cache of ended trials
        except ImportError as error:
            raise UserError(
                f"tune.storage: the library for {url.partition('://')[0]}:// is not installed. Write "
                "postgresql+psycopg://, sqlite:// or grpc://, or install it into an environment of your own."
            ) from error
        except SQLAlchemyError as error:
            if not left:
                reason = str(error).splitlines()[0]
                raise UserError(f"tune.storage: the database can't be used: {reason}. Check the url.") from error
            time.sleep(1.0)
    raise AssertionError("the last try returns or raises")


def _connection_settings(url: str) -> dict[str, Any]:
    """Return what SQLAlchemy's engine is made with."""
    from sqlalchemy.pool import NullPool

    if url.startswith("sqlite"):  # no pool: nothing else would close its connections, of which newer Pythons warn
        return {"poolclass": NullPool, "connect_args": {"timeout": 60}}
    if url.startswith(("postgresql+psycopg", "postgresql:")):
        # A server that was set up without a locale (Debian's in a container) has the encoding SQL_ASCII, and psycopg
        # gives bytes then.
        noticed = {name: value for name, value in NOTICED.items() if f"{name}=" not in url}
        return {"pool_pre_ping": True, "connect_args": {"client_encoding": "utf8", **noticed}}
    return {"pool_pre_ping": True}


def _proxy(address: str) -> BaseStorage:
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise UserError(f"tune.storage must have the form grpc://HOST:PORT, but is grpc://{address}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        proxy: BaseStorage = GrpcStorageProxy(host=host, port=int(port))
    try:
        proxy.wait_server_ready(timeout=CONNECT_S)
    except ConnectionError as error:
        raise UserError(
            f"tune.storage: nothing answers at {address}. docs/how-to/tune.md says how a proxy is started."
        ) from error
    return proxy
