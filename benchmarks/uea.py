"""One default config on ten public sets beside aeon's classifiers. Run: ./run.sh bench uea [--only SET] [--page]

The sets lie inside the wheel of aeon, which is installed, pinned, into an environment of its own below the cache
folder: it can't share our numba. Each set is written in Kaggle's form; benchmarks/uea.toml is trained on it, members
are blended by out-of-fold scores; the truth of the test part is read once, at the end. The rivals run in the same
call, on one thread, as ours does. CPU minutes are those of the whole process, start and compilation included. --page
writes the table to docs/uea.md. Exits 1 where the 95 % interval of the pooled difference in accuracy to the better
rival does not exclude -0.01, or a set takes more than 10 CPU minutes.
"""

import argparse
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from foldline.core.console import Terminal

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks import environments  # noqa: E402

RIVALS = ROOT / "benchmarks" / "uea_aeon.py"
CONFIG = ROOT / "benchmarks" / "uea.toml"
CACHE = environments.CACHE / "uea"
VERSION = "1.6.0"  # of aeon
LABELS = (
    *("BasicMotions", "JapaneseVowels", "ArrowHead", "ItalyPowerDemand", "GunPoint", "OSULeaf", "ACSF1"),
    "PickupGestureWiimoteZ",
)
NUMBERS = ("CardanoSentiment", "Covid3Month")
CLASSIFIERS, REGRESSORS = ("MiniRocketClassifier", "MultiRocketHydraClassifier"), ("RocketRegressor",)
MARGIN, MINUTES = 0.01, 10
DRAWS, SEED = 10_000, 0  # of the bootstrap


@dataclass(frozen=True)
class Result:
    """A system's predictions of a set's test series, as text, and what they cost."""

    predicted: list[str]
    cpu_s: float


def timed(command: list[str], **variables: str) -> float:
    """Run a command; return the CPU seconds that it and its children used."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, cwd=ROOT)
    if found.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{found.stdout[-3000:]}\n{found.stderr[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def column(path: Path, name: str = "target") -> list[str]:
    """Return a column of a CSV file."""
    with path.open(newline="", encoding="utf-8") as stream:
        return [row[name] for row in csv.DictReader(stream)]


def words(name: str, data: Path) -> list[str]:
    """Return the overrides of CONFIG for a set whose files lie in a folder."""
    with (data / "train.csv").open(encoding="utf-8") as stream:
        inputs = json.dumps(stream.readline().strip().split(",")[2:])
    numbers = ["data.kind=regression", "data.metric=rmse", "folds.kind=group"] if name in NUMBERS else []
    return [f"data.source={data}", f"data.inputs={inputs}", *numbers]


def ours(name: str, data: Path, home: Path) -> Result:
    """Train the default config on a set, in a home of its own, and return what it submits."""
    options = ["track.wandb=disabled", "executor.kind=serial", "--quiet"]
    command = [sys.executable, "-m", "foldline", "train", str(CONFIG), *words(name, data), *options]
    seconds = timed(command, FOLDLINE_HOME=str(home))
    return Result(column(home / "runs" / "uea" / "latest" / "submission.csv"), seconds)


def rival(python: Path, name: str, model: str, out: Path) -> Result:
    """Fit a rival on a set and return what it predicts."""
    seconds = timed([str(python), str(RIVALS), "predict", name, model, str(out)])
    return Result([str(each) for each in json.loads(out.read_text(encoding="utf-8"))["predicted"]], seconds)


def losses(name: str, result: Result, truth: list[str]) -> np.ndarray:
    """Return each test series' 1 where it is right, or its squared error."""
    if name in NUMBERS:
        squared: np.ndarray = np.square(np.array(result.predicted, dtype=float) - np.array(truth, dtype=float))
        return squared
    return np.array([given == wanted for given, wanted in zip(result.predicted, truth, strict=True)], dtype=float)


def score(name: str, each: np.ndarray) -> float:
    """Return the accuracy, or the root mean squared error."""
    return float(np.sqrt(each.mean()) if name in NUMBERS else each.mean())


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Return a 95 % interval of the mean of paired differences, by resampling series."""
    draws = np.random.default_rng(SEED).integers(len(differences), size=(DRAWS, len(differences)))
    low, high = np.quantile(differences[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def measure(name: str, python: Path, scratch: Path) -> dict[str, tuple[np.ndarray, float]]:
    """Run all systems on a set; return of each the test series' losses and the CPU seconds."""
    data = scratch / "sets" / name
    timed([str(python), str(RIVALS), "export", name, str(data)])
    truth = scratch / "truth" / f"{name}.csv"
    truth.parent.mkdir(exist_ok=True)
    (data / "truth.csv").replace(truth)  # aside: nothing that is trained sees it
    models = REGRESSORS if name in NUMBERS else CLASSIFIERS
    results = {"foldline": ours(name, data, scratch / "homes" / name)}
    results |= {model: rival(python, name, model, scratch / f"{name}-{model}.json") for model in models}
    wanted = column(truth)
    return {system: (losses(name, found, wanted), found.cpu_s) for system, found in results.items()}


def table(found: dict[str, dict[str, tuple[np.ndarray, float]]], names: tuple[str, ...]) -> list[str]:
    """Return a Markdown table of some sets: scores and CPU minutes."""
    systems = list(found[names[0]])
    rows = [["set", "test series", *systems, *(f"{system}, CPU min" for system in systems)]]
    rows.append(["---"] * len(rows[0]))
    for name in names:
        each = found[name]
        scores = [f"{score(name, values):.4f}" for values, _ in each.values()]
        minutes = [f"{seconds / 60:.2f}" for _, seconds in each.values()]
        rows.append([name, str(len(each["foldline"][0])), *scores, *minutes])
    return [f"| {' | '.join(row)} |" for row in rows]


def pooled(found: dict[str, dict[str, tuple[np.ndarray, float]]], names: tuple[str, ...]) -> tuple[list[str], float]:
    """Return lines on the paired differences over all test series, and the lower bound to the better rival."""
    together = {
        model: np.concatenate([found[name][model][0] for name in names]) for model in ("foldline", *CLASSIFIERS)
    }
    best = max(CLASSIFIERS, key=lambda model: float(together[model].mean()))
    lines, bound = [], -1.0
    for model in CLASSIFIERS:
        differences = together["foldline"] - together[model]
        low, high = interval(differences)
        lines.append(
            f"- Over {len(differences):,} test series, accuracy of foldline less that of {model}"
            f"{', the better one' if model == best else ''}: {differences.mean():+.4f} ({low:+.4f} to {high:+.4f})."
        )
        bound = low if model == best else bound
    means = {model: np.mean([found[name][model][0].mean() for name in names]) for model in together}
    lines.append("- Mean over the sets: " + ", ".join(f"{model} {mean:.4f}" for model, mean in means.items()) + ".")
    return lines, bound


def environment() -> Path:
    """Make the rival's environment unless it is there; return its Python."""
    home = CACHE / f"aeon-{VERSION}-torch-{torch.__version__}"  # MultiRocketHydra needs torch
    return environments.environment(home, [f"aeon=={VERSION}", f"torch=={torch.__version__}"])


def main() -> int:
    """Measure, print, and compare with the bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=(*LABELS, *NUMBERS))
    parser.add_argument("--page", action="store_true", help="write docs/uea.md")
    given = parser.parse_args()
    python = environment()
    scratch = CACHE / "run"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    found, names = {}, (given.only,) if given.only else (*LABELS, *NUMBERS)
    with Terminal().bar("uea", "sets") as update:
        for name in names:
            found[name] = measure(name, python, scratch)
            print(name, {each: round(score(name, values), 4) for each, (values, _) in found[name].items()}, flush=True)
            update(len(found), len(names))
    labels, numbers = (tuple(name for name in names if name in found) for names in (LABELS, NUMBERS))
    lines, bound = ([], 0.0) if not labels else pooled(found, labels)
    text = ["Accuracy, higher is better:", "", *table(found, labels), "", *lines, ""] if labels else []
    text += ["Root mean squared error, lower is better:", "", *table(found, numbers), ""] if numbers else []
    print("\n".join(text))
    if given.page and not given.only:
        path = ROOT / "docs" / "uea.md"
        head = path.read_text(encoding="utf-8").partition("<!-- table -->")[0]
        path.write_text(head + "<!-- table -->\n\n" + "\n".join(text), encoding="utf-8")
    slow = [name for name in found if found[name]["foldline"][1] > 60 * MINUTES]
    return int(bound <= -MARGIN or bool(slow))


if __name__ == "__main__":
    sys.exit(main())
