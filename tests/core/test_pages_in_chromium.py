"""Every page in a headless Chromium: it logs nothing, requests nothing and overflows nowhere, in light and in dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ablations
import pytest
import searches
import tiny
import tiny_classes

from foldline.core.pages import chromium
from foldline.core.pages.chromium import Chromium

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.installed() is None, reason="Chromium is not installed (on Debian: chromium)"),
]
PAGES = {
    "rides/latest/report.html": ("train", "rides", "model.0.head={kind = 'laplace'}"),
    "rides/latest/blend.html": ("blend", "rides", "model.0.head={kind = 'laplace'}"),
    "ablate-rides/latest/ablation.html": ("ablate", "ablate-rides", "ablate.seeds=[0]"),
    "search/latest/study.html": ("tune", "search", searches.TREES, searches.FOUR, "tune.trials=9"),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium() as opened:
        yield opened


@pytest.mark.parametrize("page", PAGES)
def test_a_page_logs_nothing_requests_nothing_and_fits(page: str, trained: Path, browser: Chromium) -> None:
    ablations.install(trained)
    searches.install(trained)
    tiny.run(*PAGES[page])
    check(trained / "runs" / page, browser)


@pytest.mark.parametrize("level", tiny_classes.LEVELS)
@pytest.mark.parametrize("kind", tiny_classes.KINDS)
def test_reports_of_every_kind_and_level_do(
    kind: str, level: str, home: Path, tmp_path: Path, browser: Chromium
) -> None:
    tiny_classes.Songs(kind, level).install(home, tmp_path / "songs")
    tiny.run("train", "songs")
    check(home / "runs" / "songs" / "latest" / "report.html", browser)


def check(path: Path, browser: Chromium) -> None:
    """Open a page wide in dark and narrow in light: dark changes colours alone, no sizes."""
    assert path.stat().st_size < 2_000_000
    grounds = set()
    for width, dark in ((1280, True), (400, False)):
        seen = browser.open(path, width=width, dark=dark)
        assert (seen.console_errors, seen.requests, seen.width) == ([], [], width)
        grounds.add(seen.background)
    assert len(grounds) == 2  # light and dark
    for edge, cell in (("left", "first"), ("right", "last")):  # still at 400 px: what stays of tables is inside
        places = browser.evaluate(
            f"[...document.querySelectorAll('table.result td:{cell}-child')].map(x => x.getBoundingClientRect().{edge})"
        )
        assert all(0 <= place <= 400 for place in places)
    assert browser.evaluate(
        "[...document.querySelectorAll('.whiskers *')].every(x => x.getBoundingClientRect().right <= 400)"
    )


def test_errors_requests_and_overflow_are_detected(browser: Chromium, tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    path.write_text(
        "<body style='min-width:500px'><img src='http://127.0.0.1:9/x.png'>"
        "<script>console.error('reported'); missing()</script></body>"
    )
    seen = browser.open(path, width=400)
    assert seen.width >= 500 and seen.requests == ["http://127.0.0.1:9/x.png"]
    assert any("reported" in text for text in seen.console_errors) and any(
        "missing" in text for text in seen.console_errors
    )
