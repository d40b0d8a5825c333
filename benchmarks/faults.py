"""Faults of all kinds, injected into foldline and judged. Run: ./run.sh bench faults

    ./run.sh bench faults                       three minutes, all kinds together, seeds drawn anew
    ./run.sh bench faults --minutes 60 --write  until the time is over; writes the table of docs/reliability.md
    ./run.sh bench faults --only damage --seed 7 --minutes 1

Prints a row each kind: promised, how tested, tried, fine, bad. Exits 1 where a fault was not fine; each such fault is
printed with all that makes it again. Inputs that end another library's code are counted and thrown away.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from pathlib import Path

from rich.progress import Progress

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests" / "helpers"))  # tiny.py, the small competition
from benchmarks.fault_injection import KINDS, Fault, Kind, Outcome  # noqa: E402
from foldline.core.console import Terminal  # noqa: E402

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- ./run.sh bench faults --write: from here -->", "<!-- to here -->"
LONGEST_DETAIL = 600  # characters of what a bad fault printed


def tried(kind: Kind, seed: int, seconds: float, progress: Progress) -> list[Fault]:
    """Inject faults of one kind for some seconds, and at least one."""
    task = progress.add_task(kind.name, total=seconds)
    found, began, counted = list[Fault](), time.monotonic(), 0.0
    with (
        tempfile.TemporaryDirectory(prefix="foldline-faults-", ignore_cleanup_errors=True) as scratch,
        closing(kind.faults(seed, Path(scratch))) as faults,
    ):
        try:
            for fault in faults:
                found.append(fault)
                spent = time.monotonic() - began
                progress.update(task, completed=spent, description=f"{kind.name}: {len(found)}")
                progress.update(progress.task_ids[0], advance=min(spent, seconds) - counted)
                counted = min(spent, seconds)
                if spent > seconds:
                    break
        except Exception:  # of the benchmark itself: it is shown, counts as bad, and the other kinds keep their results
            found.append(Fault(f"seed {seed}, number {len(found)}", Outcome.TRACEBACK, traceback.format_exc()))
    return found


def table(results: dict[str, list[Fault]], kinds: list[Kind]) -> str:
    """Return the table as Markdown."""
    lines = ["| promised | how it is tested | tried | fine | bad | ended outside |", "|---|---|--:|--:|--:|--:|"]
    whole = Counter[str]()
    for kind in kinds:
        counts = Counter(fault.outcome for fault in results[kind.name])
        number, fine, outside = counts.total(), counts[Outcome.FINE], counts[Outcome.OUTSIDE]
        whole.update(number=number, fine=fine, outside=outside)
        lines.append(f"| {kind.promise} | {kind.how} | {number} | {fine} | {number - fine - outside} | {outside} |")
    bad = whole["number"] - whole["fine"] - whole["outside"]
    lines.append(f"| **all** | | **{whole['number']}** | {whole['fine']} | {bad} | {whole['outside']} |")
    return "\n".join(lines)


def write(text: str, seed: int) -> None:
    """Put the table into docs/reliability.md, with the day and the seed."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\nOn {date.today()}, seed {seed}:\n\n{text}\n\n{END}{after}")


def main() -> int:
    """Inject faults, print the table and every fault that was not fine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0, help="of wall time, all kinds together")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--only", nargs="*", choices=[kind.name for kind in KINDS], help="kinds; without: all")
    parser.add_argument("--write", action="store_true", help="write the table into docs/reliability.md")
    given = parser.parse_args()
    if given.write and given.only:
        parser.error("--write needs all kinds: without --only")
    kinds = [kind for kind in KINDS if not given.only or kind.name in given.only]
    workers = os.cpu_count() or 1
    second = given.minutes * 60 * min(workers, len(kinds)) / sum(kind.share for kind in kinds)
    print(f"seed {given.seed}: {len(kinds)} kinds of faults, {given.minutes:g} minutes")
    with Terminal().progress() as progress, ThreadPoolExecutor(workers) as pool:
        progress.add_task("all kinds (s of work)", total=second * sum(kind.share for kind in kinds))
        jobs = {
            kind.name: pool.submit(tried, kind, given.seed, second * kind.share, progress)
            for kind in sorted(kinds, key=lambda kind: -kind.share)
        }
        results = {name: job.result() for name, job in jobs.items()}
    bad = [
        (name, fault)
        for name, faults in results.items()
        for fault in faults
        if fault.outcome not in (Outcome.FINE, Outcome.OUTSIDE)
    ]
    for name, fault in bad:
        print(f"\n{name}: {fault.outcome.value}: {fault.what}\n{fault.detail[-LONGEST_DETAIL:]}")
    print(table(results, kinds))
    if given.write:
        write(table(results, kinds), given.seed)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
