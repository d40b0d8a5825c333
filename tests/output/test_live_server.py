"""The server of the live page: what it answers and to whom, its events as files change, and how it ends."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import live_runs
import pytest
from live_runs import cell

from foldline.core.errors import UserError
from foldline.output import live
from foldline.output.live import Live

ANSWER_S = 250.0  # longest wait for an answer
CELLS = "#cells .part"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Live]:
    """A page about the rides, which looks at the disk as often as it can."""
    with Live("rides", tmp_path / "runs", every_s=0.01) as opened:
        yield opened


def ask(served: Live, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of an answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=ANSWER_S)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()


class Events:
    """The events that a browser would get."""

    def __init__(self, served: Live) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=ANSWER_S)
        self.connection.request("GET", "/events")
        self.answer = self.connection.getresponse()
        self.parts: dict[str, str] = {}

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self.connection.close()

    def next(self) -> dict[str, str]:
        """The next event's parts."""
        line, end = self.answer.readline(), self.answer.readline()
        assert line.startswith(b"data: ") and end == b"\n", (line, end)
        changed: dict[str, str] = json.loads(line.removeprefix(b"data: "))
        self.parts |= changed
        return changed

    def until(self, place: str, text: str) -> None:
        """Wait until a part has a text."""
        while text not in self.parts.get(place, ""):
            self.next()


def test_the_page_and_its_script_load_nothing_from_elsewhere(served: Live) -> None:
    for path, kind in (("/", "text/html"), ("/?again", "text/html"), ("/live.js", "text/javascript")):
        status, headers, body = ask(served, path)
        assert status == 200 and headers["Content-Type"].startswith(kind) and "://" not in body
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "connect-src 'self'" in policy
        assert headers["Cache-Control"] == "no-store" and headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "", "0.0.0.0"]
)
@pytest.mark.parametrize("path", ["/", "/events", "/page"])
def test_other_hosts_are_refused(path: str, host: str, served: Live) -> None:
    status, _, body = ask(served, path, Host=host.format(port=served.port))
    assert status == 403 and "rides" not in body


@pytest.mark.parametrize("host", ["localhost", "localhost:8888", "127.0.0.1:{port}"])  # 8888: through a tunnel
def test_names_of_this_machine_are_answered(host: str, served: Live) -> None:
    assert ask(served, Host=host.format(port=served.port))[0] == 200


def test_it_listens_on_loopback_only(served: Live) -> None:
    assert served._server.server_address[0] == "127.0.0.1" and served._server.socket.family == socket.AF_INET


@pytest.mark.parametrize("path", ["/nothing", "/../configs/rides.toml", "/page", "/live.css", "/live.js/"])
def test_nothing_else_is_there(path: str, served: Live) -> None:
    assert ask(served, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_it_can_only_be_read(method: str, served: Live) -> None:
    assert ask(served, method=method)[0] == 501


def test_the_page_of_a_finished_run_is_served(tmp_path: Path) -> None:
    done = cell(0, state="done", done=1.0)
    folder = live_runs.write(tmp_path / "runs", live_runs.run(done, state="trained"))
    live_runs.record(folder, done)
    (folder / "report.html").write_text("<p>the report")
    with live.start("rides", tmp_path) as served:
        assert ask(served, "/page")[2] == "<p>the report"


def test_events_follow_what_is_written(served: Live, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with Events(served) as events:
        events.until(".lead", "Nothing of rides has run yet")
        live_runs.write(runs, live_runs.run(cell(0, state="training"), cell(1)))
        events.until(CELLS, "fold 1")
        live_runs.write(runs, live_runs.run(cell(0, state="training", done=0.5), cell(1)))
        events.until(CELLS, "50 %")
        live_runs.epochs(runs, cell(0), 3)
        events.until("#learning-curves .part", "<svg")
        (runs / "rides" / "12" / "progress.json").write_text("{")  # of a version to come
        events.until(".lead", "Nothing of rides has run yet")
        live_runs.write(runs, live_runs.run(cell(0, state="training", done=0.75), process=live_runs.DEAD))
        events.until(".lead", "was stopped")
        live_runs.write(runs, live_runs.run(cell(0, state="training", done=0.875)))  # it was started again
        events.until(CELLS, "87 %")


def test_only_what_has_changed_is_sent(served: Live, tmp_path: Path) -> None:
    with Events(served) as events:
        assert CELLS in events.next() and "title" in events.parts
        live_runs.write(tmp_path / "runs", live_runs.run(cell(0), state="stopped"))
        changed: dict[str, str] = {}
        while CELLS not in changed:
            changed = events.next()
        assert "#learning-curves .part" not in changed


def test_several_browsers_at_once_and_one_that_goes_away(served: Live, tmp_path: Path) -> None:
    with Events(served) as one:
        with Events(served) as other:
            other.next()
        live_runs.write(tmp_path / "runs", live_runs.run(cell(0), state="stopped"))
        one.until(".lead", "was stopped")


def test_closing_ends_every_connection(tmp_path: Path) -> None:
    served = Live("rides", tmp_path / "runs", every_s=0.01)
    with Events(served) as events:
        events.next()
        served.close()
        while line := events.answer.readline():
            assert line.startswith(b"data") or line == b"\n"
    served.close()
    served.wait()
    with pytest.raises(ConnectionRefusedError):
        ask(served)


def test_a_browser_that_breaks_off_is_not_complained_about(served: Live, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    with socket.create_connection(("127.0.0.1", served.port)) as raw:
        raw.sendall(b"no request at all\r\n\r\n")
    assert ask(served)[0] == 200 and capfd.readouterr().err == ""


def test_ports(served: Live, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"Port {served.port} is taken"):
        Live("rides", tmp_path, served.port)
    for port in (-1, 65536):
        with pytest.raises(UserError, match="from 0 to 65535"):
            Live("rides", tmp_path, port)


def test_in_a_notebook(served: Live) -> None:
    shown: Any = served._repr_html_()
    assert f"<iframe src='{served.url}'" in shown and served.url in repr(served)
    assert f"http://127.0.0.1:{served.port}/" == served.url
