"""What pseudo-labels, distillation and pre-training on inputs are worth: one network without any, and each added alone.

    python -m benchmarks.teachers DIR       # a set in the form of `./run.sh bench uea`, or the folder of the breaths
    python -m benchmarks.teachers DIR --control 100     # epochs of the control: the network alone, but trained longer

Only labels of the training part are read: scores are out-of-fold, of one seed and three folds. Each line is the change
of the loss in % of the baseline's, below 0 better, with a paired 95 % bootstrap interval over series, and the CPU
seconds of its own cells. Verdicts: docs/log.md. It trains in a home folder of its own, which is gone afterwards.
"""

import argparse
import csv
import json
import tempfile
from pathlib import Path

import numpy as np

from foldline.core import files
from foldline.core.console import Terminal
from foldline.experiment import config, preparation
from foldline.run import cell_cost, executors
from foldline.run.cells import Cell
from foldline.run.executor_config import ExecutorConfig

ROOT = Path(__file__).resolve().parents[1]
DRAWS, SEED = 10_000, 0  # of the bootstrap
ANY = {  # label -> what its [[model]] adds, for any kind of target
    "pseudo-labels": 'teacher = {of = ["base"]}',
    "pseudo-labels, 3 rounds": 'teacher = {of = ["base"], rounds = 3}',
    "distilled": 'teacher = {of = ["base"], weight = 0, distil = 0.5}',
    "distilled, pseudo-labels": 'teacher = {of = ["base"], distil = 0.5}',
    "masked": 'pretrain = {source = "masked"}',
    "swap noise": 'pretrain = {source = "masked", noise = "swap"}',
}
CLASSES = {
    "sharper, temperature 0.5": 'teacher = {of = ["base"], temperature = 0.5}',
    "hard": 'teacher = {of = ["base"], labels = "hard"}',
    "hard, surest half": 'teacher = {of = ["base"], labels = "hard", confident = 0.5}',
    "hard, surest half, aligned": 'teacher = {of = ["base"], labels = "hard", confident = 0.5, align = true}',
}
NET = 'name = "hybrid", width = 16, blocks = [{kind = "conv"}, {kind = "conv"}]'
COMMON = [
    "folds.k=3",
    "train.threads=1",
    "train.seeds=[0]",
    "train.full_seeds=[]",
    "train.lr=2e-3",
    'train.device="cpu"',
]
COMMON += ["features.families=['raw']"]
BREATHS = ["train.epochs=12", "train.batch=32", "post.decode=false"]
OTHERS = ["train.epochs=40", "train.batch=16", "data.metric=log_loss", "data.sample=sample_probabilities"]


def words(folder: Path, control: int) -> tuple[Path, list[str]]:
    """Return the config of a set, and what is changed in it. control: epochs."""
    is_breaths, added = not (folder / "train_labels.csv").exists(), dict(ANY)
    own = [f"data.source={folder}", *COMMON, *(BREATHS if is_breaths else OTHERS)]
    if is_breaths:
        path = ROOT / "configs" / "ventilator.toml"
        own.append('features.families=["raw", "integral", "static"]')
    else:
        path, added = ROOT / "benchmarks" / "uea.toml", {**ANY, **CLASSES}
        with (folder / "train.csv").open(encoding="utf-8") as stream:
            own.append(f"data.inputs={json.dumps(next(csv.reader(stream))[2:])}")
    added["control"] = f"train = {{epochs = {control}}}"
    tables = [f'{{{NET}, label = "base"}}', *(f"{{{NET}, label = {json.dumps(k)}, {v}}}" for k, v in added.items())]
    return path, [*own, f"model=[{', '.join(tables)}]"]


def of_series(loss: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Return the mean loss of each series, (n,). loss, series: (a,) of the scored answers."""
    count = np.bincount(series)
    return np.asarray((np.bincount(series, loss) / np.maximum(count, 1))[count > 0])


def line(own: np.ndarray, base: np.ndarray) -> str:
    """Return the change of the mean loss in %, with its interval. own, base: (n,) losses of the same series."""
    draws = np.random.default_rng(SEED).integers(len(base), size=(DRAWS, len(base)))
    found = 100 * (own[draws].mean(axis=1) / base[draws].mean(axis=1) - 1)
    low, high = np.quantile(found, [0.025, 0.975])
    return f"{100 * (own.mean() / base.mean() - 1):+.1f} ({low:+.1f} to {high:+.1f})"


def cells_of(cell: Cell) -> dict[str, Cell]:
    """Return a cell and those that were trained for it."""
    return {cell.key: cell} | {key: each for other in cell.before for key, each in cells_of(other).items()}


def measure(folder: Path, control: int) -> None:
    """Train all models on a set and print a line a model. control: epochs."""
    path, changed = words(folder, control)
    prepared = preparation.prepare(config.load(path, changed), Terminal(quiet=True))
    executors.execute(prepared.jobs(), ExecutorConfig(kind="serial"), lambda *_: None)
    store, base, seen = prepared.train, np.zeros(0), set[str]()
    scored = np.flatnonzero(store.scored)
    for member in prepared.members:
        truth, predicted = store.y[scored], member.out_of_fold(store)[scored]
        loss = np.abs(truth - predicted).mean(axis=1)
        if store.task.kind in ("binary", "multiclass"):
            loss = -np.log((truth * predicted).sum(axis=1).clip(1e-15))
        own = of_series(loss, store.series_of_answer[scored])
        cells = {key: cell for one in member.cells for key, cell in cells_of(one).items() if key not in seen}
        seen |= cells.keys()
        seconds = sum(json.loads((cell.folder / cell_cost.COST).read_text())["core_s"] for cell in cells.values())
        if not len(base):
            base = own
            print(
                f"{member.label}: {own.mean():.4f} of {len(own)} series; {len(cells)} cells, {seconds:.0f} s",
                flush=True,
            )
            continue
        print(f"{member.label}: {line(own, base)} %; {len(cells)} more cells, {seconds:.0f} s", flush=True)


def main() -> None:
    """Answer the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--control", type=int, default=200, help="epochs of the network alone, trained longer (200)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, files.at_home_everywhere(Path(home)):
        measure(given.folder.resolve(), given.control)


if __name__ == "__main__":
    main()
