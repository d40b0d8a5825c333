"""The live page in a headless Chromium: it changes as files do, and asks nobody but its server; in light and dark."""

from __future__ import annotations

from pathlib import Path

import live_runs
import pytest
from live_runs import cell

from foldline.core.pages import chromium
from foldline.core.pages.chromium import Chromium
from foldline.output.live import Live

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.installed() is None, reason="Chromium is not installed (on Debian: chromium)"),
]
UNTIL = "new Promise((done) => {{ const look = () => {true} ? done(true) : setTimeout(look, 20); look(); }})"


def until(browser: Chromium, true: str) -> None:
    """Wait until an expression is true on the page."""
    browser.call("Runtime.evaluate", expression=UNTIL.format(true=true), awaitPromise=True)


def has(place: str, text: str) -> str:
    """The expression that a part of the page has a text."""
    return f"document.querySelector({place!r}).innerText.includes({text!r})"


def test_it_shows_a_run_as_it_goes_on_and_fits(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    cells = [cell(number, label="hybrid & <others>") for number in range(12)]
    live_runs.write(runs, live_runs.run(*cells))
    with Live("rides", runs, every_s=0.05) as served, Chromium() as browser:
        grounds = set()
        for width in (1200, 400):
            for dark in (False, True):
                seen = browser.open(served.url, width=width, dark=dark)
                live_runs.write(runs, live_runs.run(cell(0, state="training", done=width / 1e4), *cells[1:]))
                until(browser, has("#cells", f"{width // 100} %"))
                until(browser, has("#machine", "processors"))
                assert browser.evaluate("document.documentElement.scrollWidth") == width
                assert seen.console_errors == [] and all(each.startswith(served.url) for each in seen.requests)
                grounds.add(seen.background)
        assert len(grounds) == 2
        live_runs.epochs(runs, cell(0), 4)
        until(browser, has("#learning-curves", "training loss"))
        assert browser.evaluate("document.title") == "0 % · rides · live · foldline"
        served.close()
        until(browser, "document.body.classList.contains('lost')")
