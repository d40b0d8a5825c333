"""Models x sets in one table: the default of each kind of data, and each of its members alone. Run:

    ./run.sh bench winners [--only SET] [--data DIR] [--page] [--fresh]

Sets: the eight of classes and two of numbers inside aeon's wheel (uea.py writes their files); then competitions of
other kinds, out of fold (winners_others.py): those of configs/gallery, M1 yearly, and with --data the ventilator's
sample. Each is trained once by a config without a [[model]]; members are what it blends. The truth of the test parts is
read once all is trained. Differences are member less default, with a 95 % interval over series, paired; seconds are
those of the cells on a core, parameters the numbers in a cell's file. Cells are kept below the cache folder: an
interrupted run goes on where it was, --fresh begins anew. --page writes docs/models-table.md.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from foldline.core.console import Terminal

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks import environments, uea, winners_others  # noqa: E402
from benchmarks.pages import replaced  # noqa: E402
from benchmarks.winners_members import Score  # noqa: E402

CACHE = environments.CACHE / "winners"
PAGE = ROOT / "docs" / "models-table.md"
READER = ROOT / "benchmarks" / "winners_members.py"
QUIET = ("track.wandb=disabled", "executor.kind=serial", "train.threads=1", "--quiet")


def trained(name: str, python: Path, homes: str = "homes", *changes: str) -> tuple[Path, Path]:
    """Train the default on a set of aeon's, or go on; return its home, and the file with the truth, set aside.

    Args:
        name: of the set.
        python: of an environment with aeon.
        homes: folder of this run's homes.
        changes: of the config.
    """
    data, home, truth = CACHE / "sets" / name, CACHE / homes / name, CACHE / "truth" / f"{name}.csv"
    if not truth.exists():
        shutil.rmtree(data, ignore_errors=True)
        subprocess.run([str(python), str(uea.RIVALS), "export", name, str(data)], check=True)
        truth.parent.mkdir(parents=True, exist_ok=True)
        (data / "truth.csv").replace(truth)
    command = [sys.executable, "-m", "foldline", "train", str(uea.CONFIG), *uea.words(name, data), *QUIET, *changes]
    done = subprocess.run(command, env={**os.environ, "FOLDLINE_HOME": str(home)}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return home, truth


def scores_of(name: str, home: Path, truth: Path) -> list[Score]:
    """Score the default and each of its members on the test part."""
    out = home / "members.json"
    environment = {**os.environ, "FOLDLINE_HOME": str(home)}
    subprocess.run([sys.executable, str(READER), "uea", str(out)], env=environment, check=True)
    found = json.loads(out.read_text(encoding="utf-8"))
    wanted = dict(zip(uea.column(truth, "series_id"), uea.column(truth), strict=True))
    answers = [wanted[key] for key in found["keys"]]
    losses = {label: _losses(name, values["test"], found["classes"], answers) for label, values in found["of"].items()}
    scores = []
    for label, each in losses.items():
        point, low, high = _difference(name, each, losses["default"])
        cost = found["of"][label]
        scores.append(
            Score(
                set=name,
                model=label,
                metric="rmse" if name in uea.NUMBERS else "accuracy",
                score=uea.score(name, each),
                difference=point,
                low=low,
                high=high,
                cpu_s=cost["cpu_s"],
                parameters=cost["parameters"],
            )
        )
    return scores


def others(names: list[str], python: Path, sample: Path | None) -> list[Score]:
    """Score defaults and members on competitions of other kinds, each in a process of its own."""
    scores = list[Score]()
    with Terminal().bar("winners", "competitions") as update:
        for number, name in enumerate(names, start=1):
            folder = CACHE / "others" / name
            folder.mkdir(parents=True, exist_ok=True)
            words = [name, str(python), str(folder), str(sample or ""), str(folder / "scores.json")]
            command = [sys.executable, "-m", "benchmarks.winners_others", *words]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"{name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
            scores += [Score(**each) for each in json.loads((folder / "scores.json").read_text(encoding="utf-8"))]
            update(number, len(names))
    return scores


def _losses(name: str, predicted: list[list[float]], classes: list[str], answers: list[str]) -> np.ndarray:
    """Return each series' squared error, or 1 where its most probable label is right."""
    values = np.array(predicted)
    if name in uea.NUMBERS:
        squared: np.ndarray = np.square(values[:, 0] - np.array(answers, dtype=float))
        return squared
    return np.array([classes[place] == wanted for place, wanted in zip(values.argmax(1), answers, strict=True)], float)


def _difference(name: str, each: np.ndarray, default: np.ndarray) -> tuple[float, float, float]:
    """Return the score less the default's, and its 95 % interval, by resampling series in pairs."""
    draws = np.random.default_rng(uea.SEED).integers(len(each), size=(uea.DRAWS, len(each)))
    root = np.sqrt if name in uea.NUMBERS else np.asarray
    drawn = root(each[draws].mean(axis=1)) - root(default[draws].mean(axis=1))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return uea.score(name, each) - uea.score(name, default), float(low), float(high)


def table(scores: list[Score]) -> str:
    """Return the Markdown table, a row a set and model, and the mean of the sets with classes."""
    lines = [
        "| set | model | metric | score | less the default | CPU, s | parameters |",
        "|---|---|---|--:|---|--:|--:|",
    ]
    for each in scores:
        behind = "-" if each.model == "default" else f"{each.difference:+.4f} ({each.low:+.4f} to {each.high:+.4f})"
        numbers = f"{each.parameters:,}" if each.parameters else "-"
        cells = (each.set, each.model, each.metric, f"{each.score:.4f}", behind, f"{each.cpu_s:.0f}", numbers)
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    for model in dict.fromkeys(each.model for each in scores):
        found = [each.score for each in scores if each.model == model and each.set in uea.LABELS]
        if len(found) == len(uea.LABELS):
            lines.append(f"- Mean accuracy of {model} over the {len(found)} sets of classes: {np.mean(found):.4f}")
    return "\n".join(lines)


def main() -> int:
    """Train, score, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sets = (*uea.LABELS, *uea.NUMBERS)
    parser.add_argument("--only", choices=(*sets, *winners_others.names(Path())), help="one set or competition")
    parser.add_argument("--data", type=Path, help="folder of the ventilator's real sample")
    parser.add_argument("--page", action="store_true", help="write docs/models-table.md")
    parser.add_argument("--fresh", action="store_true", help="forget cells and scores of earlier runs")
    given = parser.parse_args()
    if given.fresh:
        shutil.rmtree(CACHE, ignore_errors=True)
    python = environments.environment(environments.CACHE / "winners-aeon", [f"aeon=={uea.VERSION}"])
    sample = given.data.resolve() if given.data else None
    names = [name for name in sets if given.only in (None, name)]
    made = dict[str, tuple[Path, Path]]()
    with Terminal().bar("winners", "sets") as update:
        for name in names:
            made[name] = trained(name, python)
            update(len(made), len(names))
    elsewhere = others([name for name in winners_others.names(sample) if given.only in (None, name)], python, sample)
    scores = [each for name in names for each in scores_of(name, *made[name])]  # all is trained: now truth is read
    parts = {"table": table(scores), "others": table(elsewhere)}
    print("\n\n".join(parts.values()))
    stored = [asdict(each) for each in (*scores, *elsewhere)]
    (CACHE / "scores.json").write_text(json.dumps(stored, indent=1), encoding="utf-8")
    if given.page and not given.only:
        page = PAGE.read_text(encoding="utf-8")
        for part, text in parts.items():
            page = replaced(page, part, text)
        PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
