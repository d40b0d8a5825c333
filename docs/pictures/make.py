"""Makes the README's pictures: the quickstart in a terminal, and its report in light and dark. Needs Chromium.

    .venv/bin/python docs/pictures/make.py

It runs `./run.sh train` first. For a picture of a first run delete runs/cells and runs/quickstart before.
"""

from __future__ import annotations

import io
import subprocess
from html import escape
from pathlib import Path

from PIL import Image

from foldline.core.pages.chromium import Chromium

HERE = Path(__file__).resolve().parent
HOME = HERE.parents[1]
COLORS = 224  # of a PNG: enough for text and thin lines, and a third of the bytes
LINE_PX, CHARACTER_PX, MARGIN_PX = 19, 7.85, 22  # of the terminal's picture
TERMINAL = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}">
<rect width="100%" height="100%" rx="9" fill="#14191f"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="13" fill="#d7dde4">
{lines}
</g></svg>
"""


def main() -> None:
    """Write terminal.svg, report.png, report-dark.png."""
    command = "./run.sh train"
    done = subprocess.run([*command.split()], cwd=HOME, stdout=subprocess.PIPE, text=True, check=True)
    # Lines a minute about cells are a slow machine's: a terminal has a bar instead.
    lines = [line for line in done.stdout.splitlines() if not line.startswith("  all cells:")]
    (HERE / "terminal.svg").write_text(terminal(command, "\n".join(lines)), encoding="utf-8")
    report(HOME / "runs" / "quickstart" / "latest" / "report.html")


def terminal(command: str, output: str) -> str:
    """A command and what it prints, as SVG."""
    shown = [f"$ {command}", *output.rstrip().splitlines()]
    width = 2 * MARGIN_PX + CHARACTER_PX * max(map(len, shown))
    heights = (MARGIN_PX + LINE_PX * (number + 0.7) for number in range(len(shown)))
    lines = "\n".join(
        f'<text x="{MARGIN_PX}" y="{height:.0f}" xml:space="preserve">{escape(line)}</text>'
        for height, line in zip(heights, shown, strict=True)
    )
    return TERMINAL.format(width=width, height=2 * MARGIN_PX + LINE_PX * len(shown), lines=lines)


def report(page: Path) -> None:
    """The top of a report, as a browser shows it."""
    with Chromium() as browser:
        for name, dark in (("report.png", False), ("report-dark.png", True)):
            browser.open(page, width=1180, height=1800, dark=dark)
            picture = Image.open(io.BytesIO(browser.screenshot())).convert("RGB").quantize(COLORS)
            picture.save(HERE / name, optimize=True)


if __name__ == "__main__":
    main()
