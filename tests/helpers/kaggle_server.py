"""A stand-in for Kaggle on loopback, with the endpoints that its package (2.2.4) uses, and what tests need of it.

Kaggle's own developers point the package at http://localhost; the variable http_proxy leads that to a free port.
"""

from __future__ import annotations

import importlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

SLUG = "bicycle-rides"
KEY = "0123456789abcdef-not-to-be-shown"
HOST = "http://localhost"


class FakeKaggle:
    """What the competition's server knows, and how it misbehaves; tests change its attributes."""

    def __init__(self, tables: dict[str, bytes]) -> None:
        self.listed = {name: len(content) for name, content in tables.items()}
        self.made = dict.fromkeys(tables, "2026-01-01T00:00:00Z")
        self.archive = zipped(tables)
        self.left = 2  # submissions today
        self.scores = {"publicScore": "0.1234", "privateScore": "0.2345"}
        self.pending = 0  # times that the newest submission is shown as pending
        self.refusals: dict[str, tuple[int, str]] = {}  # method -> status and message
        self.cut: int | None = None  # bytes of the archive after which the connection breaks, again and again
        self.uploaded: list[bytes] = []
        self.submissions: list[dict[str, Any]] = []  # newest first
        self.ranges: list[str] = []  # of the downloads
        self.calls: list[str] = []

    def answer(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        """One call of the API."""
        if method == "ListDataFiles":
            names, first = sorted(self.listed), int(request.get("pageToken") or 0)
            page = [
                {
                    "name": name,
                    "totalBytes": self.listed[name],
                    "creationDate": self.made.get(name, "2026-01-01T00:00:00Z"),
                }
                for name in names[first : first + 2]
            ]
            return {"files": page, "nextPageToken": str(first + 2) if first + 2 < len(names) else ""}
        if method == "GetSubmissionLimits":
            return {"numToday": 3, "numTotal": 9, "numAllowedNow": self.left}
        if method == "StartSubmissionUpload":
            return {"token": "blob", "createUrl": f"{HOST}/upload"}
        if method == "CreateSubmission":
            entry = {
                "ref": 7 + len(self.submissions),
                "description": request["submissionDescription"],
                "status": "COMPLETE",
                **self.scores,
            }
            self.submissions.insert(0, entry)
            self.left -= 1
            return {"message": "Successfully submitted", "ref": 7}
        assert method == "ListSubmissions", method
        self.pending -= 1
        newest = [{**entry, "status": "PENDING"} for entry in self.submissions[:1] if self.pending >= 0]
        first, size = (request["page"] - 1) * request["pageSize"], request["pageSize"]
        return {"submissions": (newest + self.submissions[len(newest) :])[first : first + size]}


def zipped(tables: dict[str, bytes]) -> bytes:
    """A zip archive of files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in tables.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _handler(fake: FakeKaggle) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Says nothing."""

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
            method = self.path.rsplit("/", 1)[-1]
            fake.calls.append(method)
            if method in fake.refusals:
                status, message = fake.refusals[method]
                return self.reply(status, json.dumps({"code": status, "message": message}).encode())
            if method == "DownloadDataFiles":
                return self.reply(302, b"", {"Location": f"{HOST}/files/{SLUG}.zip"})
            return self.reply(200, json.dumps(fake.answer(method, request)).encode())

        def do_PUT(self) -> None:
            fake.uploaded.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.reply(201, b"{}")

        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            fake.ranges.append(wanted)
            first = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
            body = fake.archive[first:]
            dates = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "ETag": '"one"', "Accept-Ranges": "bytes"}
            status = 206 if wanted else 200
            self.reply(status, body, dates, "application/zip", None if fake.cut is None else max(0, fake.cut - first))

        def reply(
            self,
            status: int,
            body: bytes,
            headers: dict[str, str] | None = None,
            kind: str = "application/json",
            cut: int | None = None,
        ) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[:cut])

    return Handler


@contextmanager
def serving(fake: FakeKaggle, patch: pytest.MonkeyPatch) -> Iterator[FakeKaggle]:
    """Serve it, and lead Kaggle's package to it; credentials are set."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    for name in ("no_proxy", "NO_PROXY", "KAGGLE_API_TOKEN", "HTTP_PROXY"):
        patch.delenv(name, raising=False)
    patch.setenv("http_proxy", f"http://127.0.0.1:{server.server_address[1]}")
    patch.setenv("KAGGLE_USERNAME", "rider")
    patch.setenv("KAGGLE_KEY", KEY)
    patch.setattr(importlib.import_module("kaggle.api.kaggle_api_extended").KaggleApi, "args", ["--local"])
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
