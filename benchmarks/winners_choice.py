"""Which members the default for few series should have: each choice of the five kinds, out of fold. Run:

    ./run.sh bench winners_choice [--only SET]

Trains all members of both defaults for one answer a series (experiment/default_models.py) on winners.py's eight sets of
classes, and scores the equal mean of log odds of each choice of them: accuracy and log loss (nats) of training parts,
mean over the sets. No truth of a test part is read. Cells are kept below the cache folder.
"""

import argparse
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks import environments, uea, winners  # noqa: E402
from foldline.cli.config_reference import toml  # noqa: E402
from foldline.experiment import default_models  # noqa: E402

SMALLEST = 1e-6  # probability, before its logarithm is taken
READ = """
import sys
import numpy as np
from foldline.data import identity, loading
from foldline.experiment import stored_experiment
stored = stored_experiment.read("uea", to_predict=False)
keys = identity.texts(loading.load(stored.config.data).train.keys).to_list()
arrays = {"keys": np.array(keys), "classes": np.array(list(map(str, stored.classes)))}
for member in stored.members:
    cells = [cell for cell in member.cells if cell.fold is not None]
    found = np.zeros((len(keys), len(stored.classes)))
    for cell in cells:
        found[np.load(cell.folder / "held_out.npy")] = np.load(cell.folder / "out_of_fold.npy")
    arrays[member.label] = found
np.savez(sys.argv[1], **arrays)
"""


def members() -> list[dict[str, object]]:
    """Return the tables of all members of both defaults, each once."""
    both = (*default_models.SERIES_WITH_TREES, *default_models.SERIES)
    return list({str(table.get("label", table["name"])): table for table in both}.values())


def scores_of(name: str, python: Path) -> dict[str, tuple[float, float]]:
    """Train all members on a set; return accuracy and log loss of each choice."""
    changes = (f"model={toml(members())}", f"features.families={toml(default_models.SERIES_FAMILIES)}")
    home, truth = winners.trained(name, python, "choices", *changes)
    out = home / "out_of_fold.npz"
    environment = {**os.environ, "FOLDLINE_HOME": str(home)}
    subprocess.run([sys.executable, "-P", "-c", READ, str(out)], env=environment, check=True)
    found = np.load(out)
    table = pl.read_csv(truth.parents[1] / "sets" / name / "train_labels.csv", schema_overrides={"target": pl.String})
    labels = dict(table.rows())
    y = np.array([found["classes"].tolist().index(labels[key]) for key in found["keys"].tolist()])
    names = [each for each in found.files if each not in ("keys", "classes")]
    logs = {each: np.log(np.clip(found[each], SMALLEST, 1)) for each in names}
    choices = [some for count in range(1, len(names) + 1) for some in combinations(names, count)]
    return {", ".join(some): _scores(np.mean([logs[each] for each in some], axis=0), y) for some in choices}


def _scores(logs: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return accuracy and log loss of mean logarithms (n, K), brought to sum 1. y: (n,) places of the true classes."""
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    right = (shares / shares.sum(axis=1, keepdims=True))[np.arange(len(y)), y]
    return float((logs.argmax(axis=1) == y).mean()), float(-np.log(np.maximum(right, SMALLEST)).mean())


def main() -> int:
    """Train, score and print, the most accurate choice first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=uea.LABELS, help="one set")
    given = parser.parse_args()
    python = environments.environment(environments.CACHE / "winners-aeon", [f"aeon=={uea.VERSION}"])
    sets = [scores_of(name, python) for name in uea.LABELS if given.only in (None, name)]
    means = {choice: np.mean([each[choice] for each in sets], axis=0) for choice in sets[0]}
    print("| members | accuracy | log loss |\n|---|--:|--:|")
    for choice, (accuracy, loss) in sorted(means.items(), key=lambda each: -each[1][0]):
        print(f"| {choice} | {accuracy:.4f} | {loss:.4f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
