"""This version beside another one, in jobs that a user waits for: ratios of pairs of runs, both versions in turn. Run:

    ./run.sh bench against COMMIT                     all jobs: hours
    ./run.sh bench against COMMIT again decode-first  some of them
    ./run.sh bench against COMMIT --small again       sizes for a try, whose figures mean nothing
    ./run.sh bench against COMMIT --page              write the table into docs/performance.md, too

Both are clean clones, of COMMIT and of the last commit here, in a temporary folder; each has an environment that its
own run.sh has made, its own configs and its own runs/. Nothing of this checkout's is used or changed but runs/bench,
where the table lies, as Markdown and JSON, written after each job: what an earlier call has measured of the same two
commits stays in it. Memory is known on Linux only. Let nothing else run meanwhile.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
PART = "table: ./run.sh bench against 8e590dd --page"  # of it
sys.path.insert(0, str(ROOT))
from benchmarks.pages import replaced  # noqa: E402
from benchmarks.versions import checkouts, pairs, tables  # noqa: E402
from benchmarks.versions.checkouts import Side  # noqa: E402
from benchmarks.versions.jobs import JOBS, Bench  # noqa: E402


def main(argv: list[str]) -> int:
    """Measure and print the table; 0 where all jobs ran, 1 where one failed, 2 where nothing could begin."""
    options = parsed(argv)
    try:
        commits = {"now": checkouts.commit("HEAD"), "before": checkouts.commit(options.commit)}
    except checkouts.NoCommit as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if changed := checkouts.changed():
        print(f"not measured: what is not committed: {', '.join(changed[:5])}", file=sys.stderr)
    record = {**commits, "processor": tables.processor(), "load": os.getloadavg()[0], "small": options.small}
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="foldline-against-")))
        return measured(options, record, folder.resolve())


def parsed(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    form = argparse.RawDescriptionHelpFormatter
    listed = "\n".join(f"  {name:16}{job.title}" for name, job in JOBS.items())
    parser = argparse.ArgumentParser(
        prog="against", description=__doc__, epilog=f"jobs, short ones first:\n{listed}", formatter_class=form
    )
    parser.add_argument("commit", help="of the other version")
    parser.add_argument("jobs", nargs="*", metavar="NAME", help="of the jobs below; all of them where none is named")
    parser.add_argument("--pairs", type=int, default=0, help="of each job, instead of three to five")
    parser.add_argument("--data", type=Path, help="folder of the competition's real sample: some jobs need it")
    parser.add_argument("--folder", type=Path, help="keep the clones there, to be used by the next call")
    parser.add_argument("--small", action="store_true", help="sizes for a try")
    parser.add_argument("--page", action="store_true", help="write the table into docs/performance.md, too")
    options = parser.parse_args(argv)
    if options.page and options.small:
        parser.error("--page takes no figures of --small")
    for name in options.jobs:
        if name not in JOBS:
            parser.error(f"NAME must be one of {', '.join(JOBS)}, but is {name!r}")
    if options.pairs < 0:
        parser.error(f"--pairs must not be below 0, but is {options.pairs}")
    if options.data is None and "FOLDLINE_REAL_DATA" in os.environ:
        options.data = Path(os.environ["FOLDLINE_REAL_DATA"])
    if options.data is not None and not (options.data / "train.csv").is_file():
        parser.error(f"--data must be a folder with train.csv and test.csv, but is {options.data}")
    return options


def measured(options: argparse.Namespace, record: dict[str, Any], folder: Path) -> int:
    """Set both sides up, run the jobs, write the table after each."""
    shared = folder / "shared"
    shared.mkdir(parents=True, exist_ok=True)
    sides = {
        name: Side(name, record[name], folder / f"{name}-{record[name][:12]}", shared) for name in ("before", "now")
    }
    for side in sides.values():
        if not side.ready:
            say(f"setting up {pairs.name_of(side)}")
            try:
                side.set_up()
            except RuntimeError as error:
                print(f"error: {error}", file=sys.stderr)
                return 2
    bench = Bench(**sides, data=options.data and options.data.resolve(), small=options.small)
    path = ROOT / "runs" / "bench" / f"against-{record['before'][:7]}{'-small' if options.small else ''}"
    results = {found.name: found for found in tables.read(path, record)}
    failed = []
    for name in options.jobs or JOBS:
        job = JOBS[name](bench)
        if job.needs_data and options.data is None:
            say(f"{name}: left out, it needs --data FOLDER, the competition's real sample")
            continue
        try:
            results[name] = pairs.compare(name, job, options.pairs or job.pairs, say)
        except RuntimeError as error:
            failed.append(name)
            say(f"{name}: failed: {error}")
            continue
        ordered = [results[each] for each in JOBS if each in results]
        tables.write(path, record, ordered)
    if results:
        table = tables.markdown(record, [results[each] for each in JOBS if each in results])
        print(table)
        if options.page:
            PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), PART, table), encoding="utf-8")
    print(f"table: {path.with_suffix('.md')}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def say(text: str) -> None:
    """Print a line of progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
