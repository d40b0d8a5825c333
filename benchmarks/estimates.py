"""What `train --dry-run` estimates, against what training then takes: one cell of each model, on small made-up data.

    ./run.sh bench estimates                     # all of them; minutes on a core
    ./run.sh bench estimates tft lightgbm        # some of them
    ./run.sh bench estimates --page              # writes the table into docs/performance.md
    ./run.sh bench estimates tft --page          # its row; those of others stay

Both are seconds of processor time, one thread, in one process: what else the machine does changes them less than
seconds. Each model is measured with its defaults (third_place is less wide); its first cell is trained, its held-out
and test series predicted. A first short training, of which nothing is counted, takes what a process pays once. The exit
code is 1 where an estimate is not within a factor of 1.5, or where a bound is exceeded by that.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.estimate_cases import CASES, SMALL, Case, config_of  # noqa: E402
from benchmarks.pages import replaced  # noqa: E402

PAGE, PART = ROOT / "docs" / "performance.md", "table: ./run.sh bench estimates --page"
WITHIN = 1.5  # a factor
HEADER = "| cell | estimated, CPU s | measured, CPU s | ratio | dry run, CPU s |\n|---|--:|--:|--:|--:|"


@dataclass(frozen=True)
class Row:
    """A kind of cell of a case: its fold's training, or a pre-training."""

    name: str
    estimated: float  # s
    measured: float  # s
    looked: float  # s that the estimates of the case's cells took
    is_bound: bool  # whether it is said to take at most that

    @property
    def ratio(self) -> float:
        """Estimated by measured."""
        return self.estimated / self.measured

    @property
    def is_close(self) -> bool:
        """Whether the estimate is within its bound."""
        return self.ratio >= 1 / WITHIN and (self.is_bound or self.ratio <= WITHIN)

    def __str__(self) -> str:
        far, most = "" if self.is_close else " **(far)**", "at most " if self.is_bound else ""
        cells = (
            self.name,
            f"{most}{self.estimated:.2f}",
            f"{self.measured:.2f}",
            f"{self.ratio:.2f}{far}",
            f"{self.looked:.1f}",
        )
        return f"| {' | '.join(cells)} |"


def measure(case: Case, folder: Path) -> Iterator[Row]:
    """Estimate the cells of a case, then train the first of each kind."""
    from foldline.core.console import Terminal
    from foldline.experiment import preparation
    from foldline.experiment.config import load
    from foldline.run import cell_training, estimate
    from foldline.run.executor_config import ExecutorConfig

    config = load(config_of(case, folder), [])
    jobs = preparation.prepare(config, Terminal(quiet=True)).jobs()
    kinds = {(job.cell.model.label, job.cell.pretraining_store is None): job for job in reversed(jobs)}
    first = [job for job in jobs if job in kinds.values()]
    began = time.process_time()
    found = estimate.estimate(first, ExecutorConfig(kind="serial"), time.process_time)
    looked = time.process_time() - began
    for job, model in zip(first, found.models, strict=True):
        began = time.process_time()
        for _ in cell_training.run(job, lambda kind, **values: None):
            pass
        name = case.name if len(first) == 1 else f"{case.name}: {model.label}"
        yield Row(name, model.cell_s, time.process_time() - began, looked, model.is_bound)


def merged(page: str, rows: Sequence[Row]) -> list[str]:
    """Return the lines of a page's table, in the order of the cases, with new rows in the place of old ones."""
    part = page.partition(f"<!-- {PART} -->")[2].partition("<!-- end of")[0]
    lines = {_name_of(line): line for line in part.splitlines()[1 + len(HEADER.splitlines()) :]}
    lines |= {_name_of(str(row)): str(row) for row in rows}
    order = {name: place for place, name in enumerate(CASES)}
    known = [name for name in lines if name.partition(": ")[0] in order]
    return [lines[name] for name in sorted(known, key=lambda name: order[name.partition(": ")[0]])]


def _name_of(line: str) -> str:
    return line.split("|")[1].strip()


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="of cases (default: all)")
    parser.add_argument("--page", action="store_true", help="write the table into docs/performance.md")
    given = parser.parse_args(argv)
    unknown = set(given.names) - set(CASES)
    if unknown:
        parser.error(f"there is no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FOLDLINE_HOME"] = folder
        list(measure(Case("first", SMALL), Path(folder)))
        print(HEADER)
        for name in given.names or CASES:
            for row in measure(CASES[name], Path(folder)):
                print(row, flush=True)
                rows.append(row)
    if given.page:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(replaced(page, PART, "\n".join([HEADER, *merged(page, rows)])), encoding="utf-8")
    return int(not all(row.is_close for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
