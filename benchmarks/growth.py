"""How the cost of each stage grows: with series, their length, inputs, width of networks, folds. Run:

    ./run.sh bench growth                         # some ten minutes on one core that does nothing else
    ./run.sh bench growth series folds            # by some of these
    ./run.sh bench growth --base 200              # begins with so many series: a trial
    ./run.sh bench growth --page                  # writes the tables into docs/performance.md

Made-up series as those of benchmarks/estimates.py, half as many to predict as to train on; a small hybrid for an epoch,
LightGBM for 100 rounds. One of the sizes is doubled twice, the others stay. Each size is a process of its own
(growth_stages.py), trained in it one cell after another.

CPU seconds are of all threads of a stage; memory is anonymous and shared memory, its largest size, with what Python and
its libraries take. Exponents: least squares of log(CPU seconds) by log(size). 1 is a straight line, 0 does not grow;
what a stage takes at any size makes it less. Beside the stages that train stands what `--dry-run` says of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.million import Cost, costs_of  # noqa: E402
from benchmarks.pages import Page  # noqa: E402

PAGE, PART = ROOT / "docs" / "performance.md", "table: ./run.sh bench growth --page"
BASE = {"series": 2000, "length": 64, "inputs": 8, "width": 32, "folds": 2}
FACTORS = (1, 2, 4)
LEAST_S = 1e-3  # of processor time: less is none that could be seen


@dataclass(frozen=True)
class Size:
    """What was measured at one size."""

    costs: Mapping[str, Cost]  # by stage
    estimated: Mapping[str, float]  # s, by stage: what --dry-run says


def measure(sizes: Mapping[str, int]) -> Size:
    """Run all stages at one size, in a fresh process. sizes: of BASE."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "estimates.json"
        found = costs_of("a size", "benchmarks.growth_stages", folder, json.dumps(dict(sizes)), str(path))
        estimated = json.loads(path.read_text(encoding="utf-8"))
    return Size({cost.step: cost for cost in found if cost.rows}, estimated)  # rows 0: between two stages


def grown(axis: str, base: Mapping[str, int]) -> list[dict[str, int]]:
    """Return the sizes along an axis."""
    return [{**base, axis: base[axis] * factor} for factor in FACTORS]


def exponent(seconds: Sequence[float]) -> float:
    """Return the slope of log(seconds) by log(size), for the sizes of an axis."""
    return float(np.polyfit(np.log(FACTORS[: len(seconds)]), np.log(np.maximum(seconds, LEAST_S)), 1)[0])


def summary(axes: Mapping[str, Sequence[Size]], base: Mapping[str, int]) -> Iterator[str]:
    """Yield the table of the base's costs and of all exponents."""
    first = next(iter(axes.values()))[0]
    yield "At " + ", ".join(f"{name} {value:,}" for name, value in base.items()) + "; exponents:"
    yield ""
    yield "| stage | CPU s | peak, MiB | " + " | ".join(axes) + " |"
    yield "|---|--:|--:|" + "--:|" * len(axes)
    for stage, cost in first.costs.items():
        slopes = [exponent([size.costs[stage].cpu_seconds for size in sizes]) for sizes in axes.values()]
        numbers = " | ".join(f"{round(slope, 1) + 0.0:.1f}" for slope in slopes)
        yield f"| {stage} | {cost.cpu_seconds:.2f} | {cost.memory / 2**20:,.0f} | {numbers} |"


def details(axes: Mapping[str, Sequence[Size]], base: Mapping[str, int]) -> Iterator[str]:
    """Yield the table of all that was measured."""
    yield "| stage | by | at | CPU s | exponent | peak, MiB | `--dry-run`, s |"
    yield "|---|---|---|---|--:|---|---|"
    for stage in next(iter(axes.values()))[0].costs:
        for axis, sizes in axes.items():
            costs = [size.costs[stage] for size in sizes]
            taken = [cost.cpu_seconds for cost in costs]
            at = " / ".join(f"{each[axis]:,}" for each in grown(axis, base))
            memory = " / ".join(f"{cost.memory / 2**20:,.0f}" for cost in costs)
            said = " / ".join(f"{size.estimated[stage]:.1f}" for size in sizes if stage in size.estimated)
            seconds = " / ".join(f"{each:.2f}" for each in taken)
            yield f"| {stage} | {axis} | {at} | {seconds} | {round(exponent(taken), 2) + 0.0:.2f} | {memory} | {said} |"


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("axes", nargs="*", metavar="AXIS", help=f"of {', '.join(BASE)} (default: all)")
    parser.add_argument("--base", type=int, default=BASE["series"], help="series of the smallest size (default: 2000)")
    parser.add_argument("--page", action="store_true", help="write the tables into docs/performance.md")
    given = parser.parse_args(argv)
    unknown = set(given.axes) - set(BASE)
    if unknown:
        parser.error(f"there is no axis {', '.join(sorted(unknown))}; there are {', '.join(BASE)}")
    base, known = {**BASE, "series": given.base}, dict[str, Size]()
    for sizes in (each for axis in given.axes or BASE for each in grown(axis, base)):
        if (name := json.dumps(sizes)) not in known:
            print(name, file=sys.stderr, flush=True)
            known[name] = measure(sizes)
    axes = {axis: [known[json.dumps(sizes)] for sizes in grown(axis, base)] for axis in given.axes or BASE}
    with Page(PAGE if given.page else None).part(PART):
        print("\n".join([*summary(axes, base), "", *details(axes, base)]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
