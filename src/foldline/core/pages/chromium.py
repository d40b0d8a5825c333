"""A headless Chromium that opens a page and says what it logs, what it requests, and how wide it is.

It is driven over a pipe by the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/), so
neither a port nor a driver nor a package is needed. Used by the tests and by docs/pictures/make.py:

    with Chromium() as browser:
        seen = browser.open(path, width=400, dark=True)
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-extensions"),
    *("--disable-sync", "--no-proxy-server", "--remote-debugging-pipe"),
)
ANSWER_S = 60.0  # longest wait for an answer
END = b"\0"  # of a message


@dataclass(frozen=True)
class PageState:
    """A page as the browser shows it."""

    width: int  # px of its content; more than the window's: it overflows
    background: str  # the body's, as the browser computes it
    console_errors: list[str]  # errors and warnings of the console, exceptions
    requests: list[str]  # addresses that it requested besides its own


def installed() -> str | None:
    """Find Chromium's command; None where it is not installed."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Chromium:
    """A browser with one page; a context manager."""

    def __init__(self) -> None:
        self.count = 0
        self.waiting = b""
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Chromium:
        command = installed()
        if command is None:
            raise FileNotFoundError("Chromium is not installed (on Debian: apt install chromium).")
        self.profile = tempfile.mkdtemp(prefix="foldline-chromium-")
        theirs, self.out = os.pipe()
        self.into, answers = os.pipe()
        # The protocol wants descriptors 3 and 4; bash puts them there (sh may know one digit only).
        script = f'exec "$0" "$@" 3<&{theirs} 4>&{answers}'
        words = ["bash", "-c", script, command, *FLAGS, f"--user-data-dir={self.profile}", "about:blank"]
        self.process = subprocess.Popen(words, pass_fds=(theirs, answers), stderr=subprocess.DEVNULL)
        os.close(theirs)
        os.close(answers)
        try:
            self._attach()
        except BaseException:
            self.close()
            raise
        return self

    def _attach(self) -> None:
        """Open a tab and send all later commands to it."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = str(self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for part in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{part}.enable")

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the browser and remove its profile."""
        self.process.terminate()
        self.process.wait(ANSWER_S)
        os.close(self.out)
        os.close(self.into)
        shutil.rmtree(self.profile, ignore_errors=True)

    def open(self, page: Path | str, *, width: int = 1280, height: int = 900, dark: bool = False) -> PageState:
        """Open an HTML file, or an address, in a window of that size, px, and wait until it is loaded."""
        self.events.clear()
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        url = page if isinstance(page, str) else page.resolve().as_uri()
        self.call("Page.navigate", url=url)
        self._until("Page.loadEventFired")
        return PageState(
            width=int(self.evaluate("document.documentElement.scrollWidth")),
            background=str(self.evaluate("getComputedStyle(document.body).backgroundColor")),
            console_errors=[text for event in self.events if (text := _console_error(event))],
            requests=[found for event in self.events if (found := _requested(event)) and found != url],
        )

    def evaluate(self, expression: str) -> Any:
        """Evaluate a JavaScript expression on the page and return its value."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self) -> bytes:
        """Take a picture of the window, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def call(self, method: str, **values: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events that come in between are kept."""
        self.count += 1
        message: dict[str, Any] = {"id": self.count, "method": method, "params": values}
        if hasattr(self, "session"):
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + END)
        while (answer := self._next()).get("id") != self.count:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"Chromium refused {method}: {answer['error']['message']}")
        return dict(answer["result"])

    def _until(self, method: str) -> None:
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        """Read the next message."""
        ends = time.monotonic() + ANSWER_S
        while END not in self.waiting:
            ready, _, _ = select.select([self.into], [], [], max(0.0, ends - time.monotonic()))
            part = os.read(self.into, 1 << 20) if ready else b""
            if not part:
                raise RuntimeError(f"Chromium did not answer within {ANSWER_S:g} s, or ended.")
            self.waiting += part
        message, _, self.waiting = self.waiting.partition(END)
        return dict(json.loads(message))


def _console_error(event: dict[str, Any]) -> str:
    """Return the text of an event that reports an error or a warning; empty for all others."""
    values = event.get("params", {})
    if event.get("method") == "Log.entryAdded" and values["entry"]["level"] in ("error", "warning"):
        return str(values["entry"]["text"])
    if event.get("method") == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning", "assert"):
        return str(values["args"])
    return str(values["exceptionDetails"]) if event.get("method") == "Runtime.exceptionThrown" else ""


def _requested(event: dict[str, Any]) -> str:
    """Return the address of a request; empty for other events and for data inside the page."""
    if event.get("method") != "Network.requestWillBeSent":
        return ""
    url = str(event["params"]["request"]["url"])
    return "" if url.startswith("data:") else url
