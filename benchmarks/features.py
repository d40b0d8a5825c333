"""Features: ours against the winners' pandas, full size, cold. Run: ./run.sh bench features [--breaths N] [--runs N]

Both read the same CSV of simulated breaths (the competition's columns, full float digits), and make the 37 inputs of
the 1st-place network: in float64 ("features"), then scaled in float32 ("training"). Each run is a fresh process, ours
and pandas' alternating; imports are not timed. CPU time is shown for busy machines: polars has several threads, pandas
one. Pandas runs in an environment of its own, made here once, at the last version that the winners' code works with:
under pandas 3 it runs and is silently wrong. The CSV and the environment are kept in runs/bench. Exits 1 where any
value of any row differs by more than 1e-9.
"""

import argparse
import json
import subprocess
import sys
import venv
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from foldline.core.console import Terminal

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / "runs" / "bench"
RIVAL = ("pandas==2.2.3", "numpy==2.2.6", "scikit-learn==1.6.1")
BREATHS, STEPS = 75_450, 80  # of the competition's train.csv
TOLERANCE = 1e-9  # absolute; running sums in another order differ by some 3e-12 at full size
# Jobs (see measured.py) and the names of their steps; what is measured by the end of each step: its unit and label.
JOBS = {
    "features": ("reading", "+ 22 numeric features", "+ 15 one-hots"),
    "inputs": ("reading", "+ 37 inputs, float32"),
    "training": ("all of it, scaled",),
}
MEASURES = {"seconds": (1.0, "wall s"), "cpu_seconds": (1.0, "CPU s"), "peak_bytes": (2.0**30, "peak GiB")}
Run = dict[str, Any]  # "versions", and "costs": one dict a stage, of what it took by its end
OURS, ANCHOR = "benchmarks.foldline_features", "benchmarks.anchor_features"


def breaths_csv(breaths: int) -> Path:
    """Return the cached CSV of so many simulated breaths; make it if it is missing."""
    path = CACHE / f"breaths-{breaths}.csv"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".part")
        simulate(breaths, np.random.default_rng(0)).write_csv(draft)
        draft.rename(path)
    return path


def simulate(breaths: int, rng: np.random.Generator) -> pl.DataFrame:
    """Simulate breaths of the competition's shape (not of a real lung): a decaying valve, then closed, then opening."""
    dt = rng.normal(0.0337, 0.00024, (breaths, STEPS))  # s
    dt[:, 0] = 0.0
    t = dt.cumsum(axis=1)
    peak, rate = rng.gamma(1.5, 20.0, (breaths, 1)), rng.uniform(0.5, 4.0, (breaths, 1))
    inhale = peak * np.exp(-rate * t) + rng.normal(0.0, 0.5, t.shape)
    exhale = np.where(t > 1.5, 5.0 * (1.0 - np.exp(-5.0 * (t - 1.5))), 0.0)
    u_in = np.clip(np.where(t < 1.0, inhale, exhale), 0.0, 100.0)
    columns = {
        "id": np.arange(1, t.size + 1),
        "breath_id": np.repeat(np.cumsum(rng.integers(1, 3, breaths)), STEPS),
        "R": np.repeat(rng.choice([5, 20, 50], breaths), STEPS),
        "C": np.repeat(rng.choice([10, 20, 50], breaths), STEPS),
        "time_step": t.ravel(),
        "u_in": u_in.ravel(),
        "u_out": (t >= 1.0).ravel().astype(np.int8),
        "pressure": (5.0 + 0.3 * u_in + rng.normal(0.0, 0.2, t.shape)).ravel(),
    }
    return pl.DataFrame(columns)


def rival_python() -> str:
    """Return the interpreter of the cached environment that holds RIVAL; make it if incomplete."""
    home = CACHE / "pandas"
    python = home / "bin" / "python"
    stamp = home / "installed.txt"
    if not stamp.exists() or stamp.read_text() != "\n".join(RIVAL):
        print(f"making an environment with {', '.join(RIVAL)}", file=sys.stderr)
        venv.create(home, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *RIVAL], check=True)
        stamp.write_text("\n".join(RIVAL))
    return str(python)


def child(python: str, module: str, *arguments: str) -> str:
    """Run one side in a fresh process and return what it printed."""
    done = subprocess.run([python, "-m", module, *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def largest_difference(pythons: dict[str, str], csv: Path) -> tuple[float, int]:
    """Return the largest absolute difference between the two sides over all values, and the number of values."""
    saved = {module: CACHE / f"{module}.npy" for module in pythons}
    try:
        for module, path in saved.items():
            child(pythons[module], module, "save", str(csv), str(path))
        ours, anchor = (np.load(saved[module], mmap_mode="r") for module in (OURS, ANCHOR))
        if ours.shape != anchor.shape:
            raise SystemExit(
                f"Both sides must make the same features, but ours are {ours.shape}, pandas' {anchor.shape}."
            )
        # numpy's max, unlike Python's, is NaN where there is one.
        return float(np.max([np.abs(a - b).max() for a, b in zip(ours, anchor, strict=True)])), ours.size
    finally:
        for path in saved.values():
            path.unlink(missing_ok=True)


def report(job: str, stages: tuple[str, ...], runs: dict[str, list[Run]]) -> str:
    """Build the table of a job: medians of both sides by the end of each stage, and ratios of the pairs of runs."""
    lines = [f"{job:24}{'':9}{'ours':>9}{'pandas':>9}   pandas / ours: min, median, max of the runs"]
    for place, stage in enumerate(stages):
        for key, (unit, label) in MEASURES.items():
            ours, anchor = ([run["costs"][place][key] / unit for run in runs[module]] for module in (OURS, ANCHOR))
            ratios = sorted(a / b for a, b in zip(anchor, ours, strict=True))
            spread = f"{ratios[0]:6.1f}{median(ratios):6.1f}{ratios[-1]:6.1f}"
            title = stage if key == "seconds" else ""
            lines.append(f"{title:24}{label:9}{median(ours):9.2f}{median(anchor):9.2f}   {spread}")
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    """Measure and print; return 0 where both sides agree on every value, else 1."""
    parser = argparse.ArgumentParser(prog="features", description=__doc__.splitlines()[0])
    parser.add_argument("--breaths", type=int, default=BREATHS, help="simulated breaths of 80 steps")
    parser.add_argument("--runs", type=int, default=5, help="runs of each side")
    options = parser.parse_args(argv)
    if min(options.breaths, options.runs) < 1:
        parser.error(f"--breaths and --runs must be at least 1, but are {options.breaths} and {options.runs}")
    csv, terminal = breaths_csv(options.breaths), Terminal()
    pythons = {OURS: sys.executable, ANCHOR: rival_python()}
    difference, values = largest_difference(pythons, csv)
    print(f"{options.breaths:,} breaths, {options.breaths * STEPS:,} rows, {csv.stat().st_size / 1e6:,.0f} MB of CSV")
    print(f"largest difference over all {values:,} values: {difference:.1e} (at most {TOLERANCE:.0e})", flush=True)
    for job, stages in JOBS.items():
        runs: dict[str, list[Run]] = {OURS: [], ANCHOR: []}
        with terminal.bar(job, "runs") as update:
            for number in range(options.runs):
                for module, python in pythons.items():
                    runs[module].append(json.loads(child(python, module, job, str(csv))))
                update(number + 1, options.runs)
        print(report(job, stages, runs), flush=True)
    print(f"{options.runs} runs each, alternating: {'; '.join(side[0]['versions'] for side in runs.values())}")
    return 0 if difference <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
