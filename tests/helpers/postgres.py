"""A PostgreSQL server of a test's own: in a temporary folder, reached by a socket in it, ended with the test.

It needs Debian's package `postgresql`, or initdb and postgres on the PATH. As root it runs as the package's user,
because PostgreSQL refuses root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

PATIENCE_S = 250.0  # for the server to answer, or to end
FAST = ("fsync=off", "full_page_writes=off", "listen_addresses=")  # what it holds is thrown away; the socket only


def programs() -> Path | None:
    """Find the folder with initdb and postgres: Debian keeps them off the PATH. None: there is none."""
    found = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(found).parent if found else debian[-1].parent if debian else None


class Server:
    """A server that can be stopped as by a power cut, and started again."""

    def __init__(self, folder: Path) -> None:
        found = programs()
        assert found is not None, "asked before"
        self.folder, self.programs = folder, found
        self.user = _unprivileged()
        self.process: subprocess.Popen[bytes] | None = None
        if self.user:
            shutil.chown(folder, self.user)
        words = ["-D", str(folder / "data"), "--auth=trust", "--username=tests", "--no-sync", "--locale=C"]  # SQL_ASCII
        subprocess.run([found / "initdb", *words], user=self.user, cwd=folder, check=True, capture_output=True)
        self.start()
        with self._connect("postgres") as connection:
            connection.execute("create database studies")

    @property
    def url(self) -> str:
        """As tune.storage takes it."""
        return f"postgresql+psycopg://tests@/studies?host={self.folder}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        words = [word for setting in (*FAST, f"unix_socket_directories={self.folder}") for word in ("-c", setting)]
        command = [self.programs / "postgres", "-D", self.folder / "data", *words]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, user=self.user, cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._connect("postgres").close()
                return
            except psycopg.OperationalError:
                assert self.process.poll() is None and time.monotonic() < deadline, self.said()
                time.sleep(0.05)

    def stop(self) -> None:
        """End it at once: connections break, and what was not committed is gone."""
        assert self.process is not None
        if self.process.poll() is None:
            subprocess.run(
                [self.programs / "pg_ctl", "stop", "-D", self.folder / "data", "-m", "immediate"],
                user=self.user,
                cwd=self.folder,
                check=True,
                capture_output=True,
                timeout=PATIENCE_S,
            )
        self.process.wait(PATIENCE_S)

    def said(self) -> str:
        """What it has written to its log."""
        return (self.folder / "log").read_text(errors="replace")

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(host=str(self.folder), user="tests", dbname=database, autocommit=True)


def _unprivileged() -> str | None:
    """The user that it runs as; None: this one."""
    if os.geteuid() != 0:
        return None
    users = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in users else "nobody"


@contextmanager
def running() -> Iterator[Server]:
    """Have a server for a while. Its folder lies where other users get to; its path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="foldline-pg-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder))
        try:
            yield server
        finally:
            server.stop()
