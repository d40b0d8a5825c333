"""The gallery: competitions in their own layouts, made small, trained, and held against every trivial baseline.

    ./run.sh bench gallery                       # all of configs/gallery/, a table
    ./run.sh bench gallery openvaccine           # one of them
    ./run.sh bench gallery --page                # writes the table into docs/gallery.md, a row into each layout.md
    ./run.sh bench gallery --readme              # trains nothing: writes lines of config into the README's table

Each is trained twice: on its files, and on the same with the labels dealt out again at random. The first run must be
ahead of every trivial baseline by an interval that excludes 0, the second must not.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from foldline.cli.main import main as command_line
from foldline.core.console import Terminal
from foldline.ensemble import paired_difference
from foldline.experiment import config as configs
from foldline.experiment import preparation, scoring

ROOT = Path(__file__).resolve().parents[1]
GALLERY, PAGE = ROOT / "configs" / "gallery", ROOT / "docs" / "gallery.md"
README, VENTILATOR = (
    ROOT / "README.md",
    ROOT / "configs" / "ventilator.toml",
)  # the competition that foldline began with
README_ROW = re.compile(r"^\| (?:\[([\w-]+)\]\([^)]*\)|([\w-]+)) \| ([^|]+) \| (?:\d+, \d+|-) \|$", re.MULTILINE)
NORMAL = 1.96  # half a 95 % interval, in standard errors
MARK = "<!-- table: ./run.sh bench gallery --page -->\n\n"
COLUMNS = (
    "| lines of config, code | metric | score | best baseline | ahead of it by | shuffled | time, s |\n"
    "|---|---|--:|---|---|---|--:|\n"
)


@dataclass(frozen=True)
class Margin:
    """How far a run is ahead of a baseline, in the metric's unit; above 0 is better, in either direction."""

    mean: float
    error: float  # standard, series or their groups drawn at random

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.mean - NORMAL * self.error

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ± {NORMAL * self.error:.3f}"


@dataclass(frozen=True)
class Outcome:
    """What came out of a run."""

    metric: str
    score: float  # out of fold
    baseline: str  # the best trivial one
    baseline_score: float
    margins: dict[str, Margin]  # over each trivial baseline
    seconds: float  # from files to a checked submission

    @property
    def beats_all(self) -> bool:
        """Whether no baseline's interval holds 0."""
        return all(margin.low > 0 for margin in self.margins.values())


def names() -> list[str]:
    """List the competitions."""
    return sorted(path.parent.name for path in GALLERY.glob("*/generate.py"))


def config_of(name: str) -> Path:
    """Return the config of a competition."""
    return GALLERY / name / f"{name}.toml"


def layout_of(name: str) -> Path:
    """Return the page of a competition."""
    return GALLERY / name / "layout.md"


def generate(name: str, folder: Path, shuffled: bool = False) -> Path:
    """Write the files of a competition, as its page says it, and return their folder."""
    words = [str(GALLERY / name / "generate.py"), str(folder), *(["--shuffled"] if shuffled else [])]
    subprocess.run([sys.executable, *words], check=True)
    return folder


def train(name: str, source: Path) -> Outcome:
    """Train on the files in `source` under FOLDLINE_HOME; the gate has passed what is submitted, or this raises."""
    overrides, began = [f"data.source={source}", "executor.kind=serial", "track.wandb=disabled"], time.perf_counter()
    code = command_line(["train", str(config_of(name)), *overrides, "--quiet"])
    seconds = time.perf_counter() - began
    if code != 0:
        raise RuntimeError(f"{name}: `train` ended with exit code {code}")
    config = configs.load(config_of(name), overrides)
    ready = preparation.prepare(config, Terminal(quiet=True))
    result = scoring.combine(config, ready.members, ready.train, ready.folds, None, ready.competition.train)
    rows, best = result.rows, result.best_baseline
    ours = paired_difference.resampled_costs(rows, result.blended[result.scored])  # in the metric's unit, whichever
    theirs = {
        each: paired_difference.resampled_costs(rows, values) for each, values in result.baseline_predictions.items()
    }
    margins = {each: Margin(*paired_difference.difference(costs, ours, None)) for each, costs in theirs.items()}
    return Outcome(config.data.metric, result.score, best, result.baselines[best][-1], margins, seconds)


def row(name: str, found: Outcome, shuffled: Outcome) -> str:
    """Write a line of the table."""
    least, chance = found.margins[found.baseline], shuffled.margins[shuffled.baseline]
    cells = [counted(name), f"`{found.metric}`", f"{found.score:.3f}"]
    cells += [f"{found.baseline} {found.baseline_score:.3f}", str(least), str(chance), f"{found.seconds:.0f}"]
    return f"| {' | '.join(cells)} |\n"


def counted(name: str) -> str:
    """Say how many lines a competition takes: of its config, and of its code."""
    code = [path for path in (GALLERY / name).glob("*.py") if path.name != "generate.py"]
    return f"{lines_of(config_of(name))}, {sum(map(lines_of, code))}"


def readme_rows(text: str) -> str:
    """Return the README with links and lines of the competitions that are there; a row without one has a dash."""

    def row_of(found: re.Match[str]) -> str:
        name, lacked = found[1] or found[2], found[3]
        if name == "ventilator":
            return f"| [{name}](configs/ventilator.toml) | {lacked} | {lines_of(VENTILATOR)}, 0 |"
        if name not in names():
            return f"| {name} | {lacked} | - |"
        return f"| [{name}](configs/gallery/{name}/layout.md) | {lacked} | {counted(name)} |"

    return README_ROW.sub(row_of, text)


def table(lines: dict[str, str]) -> str:
    """Put lines below each other, with the competition's name first."""
    head, rule = COLUMNS.splitlines()
    rows = [f"| [{name}](../configs/gallery/{name}/layout.md) {line}" for name, line in lines.items()]
    return "".join([f"| competition {head}\n", f"|---{rule}\n", *rows])


def write_page(page: Path, text: str) -> None:
    """Put a table below its mark, in place of the one before."""
    page.write_text(page.read_text(encoding="utf-8").partition(MARK)[0] + MARK + text, encoding="utf-8")


def lines_of(path: Path) -> int:
    """Count the lines of a file that say something."""
    texts = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return sum(bool(text) and not text.startswith("#") for text in texts)


def main() -> int:
    """Make, train and print; the exit code is 1 where one does not do what the page says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*names(), []], help="of configs/gallery/; none: all")
    parser.add_argument("--page", action="store_true", help="write the table into docs/gallery.md, rows into layout.md")
    parser.add_argument(
        "--readme", action="store_true", help="write lines of config into the README, and train nothing"
    )
    given = parser.parse_args()
    if given.readme:
        README.write_text(readme_rows(README.read_text(encoding="utf-8")), encoding="utf-8")
        return 0
    lines, failed = dict[str, str](), False
    for name in given.names or names():
        found = []
        for shuffled in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                os.environ["FOLDLINE_HOME"] = str(Path(folder) / "home")
                found.append(train(name, generate(name, Path(folder) / name, shuffled)))
        failed |= not found[0].beats_all or found[1].beats_all
        lines[name] = row(name, *found)
        print(f"{name} {lines[name]}", end="", flush=True)
        if given.page:
            write_page(layout_of(name), COLUMNS + lines[name])
    print(table(lines))
    if given.page and not given.names:
        write_page(PAGE, table(lines))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
