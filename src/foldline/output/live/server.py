"""Serves the live page of a run to browsers on this machine, and sends its parts as they change (server-sent events).

It listens on 127.0.0.1 only, answers no other host's name, and changes nothing. What it sends loads nothing from
anywhere: its Content-Security-Policy says so to the browser, too.

    https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import contextlib
import errno
import json
import socketserver
import sys
import threading
import time
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from foldline.core import files
from foldline.core.errors import UserError
from foldline.output.live import machine_load, page
from foldline.output.live.machine_load import MachineLoad
from foldline.output.live.watched_run import Reader, WatchedRun

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")  # a page of another name that leads here (DNS rebinding) is somebody else's
PORTS = range(65536)
EVERY_S = 1.0  # between two looks at the disk
SILENT_S = 15.0  # after which something is sent although nothing has changed: it shows that a browser has gone
WAIT_S = 0.5  # after which Ctrl-C is looked for, where it has not woken up who waits
STUCK_S = 30.0  # longest wait for a browser that neither asks nor takes
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self' http://localhost:* http://127.0.0.1:* vscode-webview:",  # notebooks on this machine
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
HTML, SCRIPT, EVENTS = "text/html; charset=utf-8", "text/javascript; charset=utf-8", "text/event-stream"


def start(name: str, home: Path | None = None, port: int = 0) -> Live:
    """Serve the live page of an experiment until it is closed; returns at once.

    Args:
        name: of its config.
        home: the folder whose runs/ it lies in; None: foldline's.
        port: 0: a free one.

    Raises:
        UserError: the port is taken, or not allowed.
    """
    return Live(name, files.runs() if home is None else home / "runs", port)


class Feed:
    """What the page shows: read and measured anew when it is asked for and somewhat old, once for all browsers."""

    def __init__(self, name: str, runs: Path, every_s: float) -> None:
        self.reader, self.load, self.every_s = Reader(name, runs), MachineLoad(), every_s
        self._lock = threading.Lock()
        self._made = float("-inf")

    def whole(self) -> str:
        """Make the page as it is now."""
        with self._lock:
            run, own = self._look()
            return page.whole(run, self.load.history, own)

    def parts(self) -> dict[str, str]:
        """Make its parts as they are now."""
        with self._lock:
            if time.monotonic() - self._made >= self.every_s:
                self.load.measure()
                run, own = self._look()
                self._parts = page.parts(run, self.load.history, own)
                self._made = time.monotonic()
            return self._parts

    def finished_page(self) -> Path | None:
        """Return the page that a finished run has left."""
        with self._lock:
            return self.reader.read().page

    def _look(self) -> tuple[WatchedRun, tuple[int, int]]:
        run = self.reader.read()
        goes_on = run.progress is not None and run.stage in ("training", "concluding")
        return run, machine_load.processes_of(run.progress.process) if goes_on and run.progress else (0, 0)


class Live:
    """A page about a run, served from threads of this process until it is closed. A notebook shows it in a cell."""

    def __init__(self, name: str, runs: Path, port: int = 0, every_s: float = EVERY_S) -> None:
        self.name = name
        self.feed, self.every_s, self.closed = Feed(name, runs, every_s), every_s, threading.Event()
        self._server = _bound(port, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="live", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{HOST}:{self.port}/"

    def close(self) -> None:
        """Stop serving; a second call does nothing."""
        if not self.closed.is_set():
            self.closed.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def wait(self) -> None:
        """Wait until it is closed; Ctrl-C ends the wait."""
        # With a time: once polars is imported, Ctrl-C does not wake a thread that waits without one (findings/).
        while not self.closed.wait(WAIT_S):
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Live({self.name!r}, {self.url})"

    def _repr_html_(self) -> str:
        """Show the page inside a notebook, where the browser is on this machine."""
        url = escape(self.url)
        frame = f"<iframe src='{url}' width='100%' height='720' style='border:0' title='foldline live'></iframe>"
        return f"{frame}<p><a href='{url}' target='_blank'>{url}</a></p>"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    live: Live

    def server_bind(self) -> None:
        """Bind without asking for this host's name, which http.server does: that may be a question to the network."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that has gone."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def _bound(port: int, live: Live) -> _Server:
    """Listen on a port of this machine."""
    if port not in PORTS:
        raise UserError(f"A port is a number from 0 to {PORTS[-1]}, but got {port}. Leave it out for a free one.")
    try:
        server = _Server((HOST, port), _Handler)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        why = "taken" if error.errno == errno.EADDRINUSE else "not allowed here"
        raise UserError(f"Port {port} is {why}. Give another one, or leave it out for a free one.") from None
    server.live = live
    return server


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = STUCK_S
    server_version, sys_version = "foldline", ""

    def log_message(self, *_: object) -> None:
        """Log nothing: the terminal is the run's."""

    def do_GET(self) -> None:
        """Answer with the page, its script, its events, or the page that a finished run has left."""
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if host not in NAMES:
            return self._send(HTTPStatus.FORBIDDEN, f"This is {HOST}, not {host}.", "text/plain; charset=utf-8")
        path, feed = self.path.partition("?")[0], self.server.live.feed
        if path == "/":
            return self._send(HTTPStatus.OK, feed.whole(), HTML)
        if path == "/live.js":
            return self._send(HTTPStatus.OK, page.SCRIPT, SCRIPT)
        if path == "/events":
            return self._stream()
        found = feed.finished_page() if path == "/page" else None
        if found is not None:
            return self._send(HTTPStatus.OK, found.read_text(encoding="utf-8"), HTML)
        return self._send(HTTPStatus.NOT_FOUND, "There is nothing here.", "text/plain; charset=utf-8")

    def _send(self, status: HTTPStatus, text: str, kind: str) -> None:
        body = text.encode()
        self._begin(status, kind, {"Content-Length": str(len(body))})
        self.wfile.write(body)

    def _begin(self, status: HTTPStatus, kind: str, more: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **HEADERS, **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self) -> None:
        """Send all parts of the page, and from then on those that have changed, until one side ends it."""
        self._begin(HTTPStatus.OK, EVENTS, {})
        live, known, sent = self.server.live, dict[str, str](), time.monotonic()
        with contextlib.suppress(ConnectionError, TimeoutError):  # the browser has gone
            while not live.closed.is_set():
                parts = live.feed.parts()
                changed = {place: text for place, text in parts.items() if known.get(place) != text}
                if changed or time.monotonic() - sent >= SILENT_S:
                    self.wfile.write(f"data: {json.dumps(changed)}\n\n".encode())
                    known, sent = parts, time.monotonic()
                live.closed.wait(live.every_s)
