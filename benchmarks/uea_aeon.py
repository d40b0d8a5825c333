"""The rival's side of benchmarks/uea.py, run in an environment of its own: aeon's data sets and classifiers.

    python benchmarks/uea_aeon.py export SET FOLDER     the set in Kaggle's form, its truth aside, in FOLDER/truth.csv
    python benchmarks/uea_aeon.py predict SET MODEL OUT predictions of the test series, and CPU seconds, as JSON

Nothing of foldline here. Where the series of a set are of unequal length, the classifiers, which need equal ones, get
zeros behind each series' end, as aeon's own Padder puts them there.
"""

import argparse
import csv
import json
import resource
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

LOADERS = {  # set -> its loader in aeon.datasets
    "BasicMotions": "load_basic_motions",
    "JapaneseVowels": "load_japanese_vowels",
    "ArrowHead": "load_arrow_head",
    "ItalyPowerDemand": "load_italy_power_demand",
    "GunPoint": "load_gunpoint",
    "OSULeaf": "load_osuleaf",
    "ACSF1": "load_acsf1",
    "PickupGestureWiimoteZ": "load_pickup_gesture_wiimoteZ",
    "CardanoSentiment": "load_cardano_sentiment",
    "Covid3Month": "load_covid_3month",
}
NUMERIC = ("CardanoSentiment", "Covid3Month")  # sets whose target is a number
SEED = 0


def load(name: str, part: str) -> tuple[list[np.ndarray], list[Any]]:
    """Return the series of a part, "train" or "test", each (channels, steps), and their labels or numbers."""
    import aeon.datasets._single_problem_loaders as loaders

    with warnings.catch_warnings():  # two sets will be left out of a later wheel
        warnings.simplefilter("ignore")
        series, answers = getattr(loaders, LOADERS[name])(split=part)
    plain = [float(answer) if name in NUMERIC else f"class {answer}" for answer in answers]
    return [np.asarray(each, dtype=np.float64) for each in series], plain


def export(name: str, folder: Path) -> None:
    """Write train.csv, train_labels.csv, test.csv, truth.csv, sample_submission.csv, and one of probabilities."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        series, answers = load(name, part)
        channels = [f"c{number}" for number in range(series[0].shape[0])]
        keys = [f"{part}-{number}" for number in range(len(series))]
        rows = [
            (key, step, *(repr(float(value)) for value in values))
            for key, each in zip(keys, series, strict=True)
            for step, values in enumerate(each.T)
        ]
        write(folder / f"{part}.csv", ("series_id", "step", *channels), rows)
        pairs = list(zip(keys, answers, strict=True))
        write(folder / ("train_labels.csv" if part == "train" else "truth.csv"), ("series_id", "target"), pairs)
        if part == "train":
            labels = [] if name in NUMERIC else sorted(set(answers))
        else:
            some = labels[0] if labels else 1.0
            write(folder / "sample_submission.csv", ("series_id", "target"), [(key, some) for key in keys])
            if labels:
                rows = [(key, *[1 / len(labels)] * len(labels)) for key in keys]
                write(folder / "sample_probabilities.csv", ("series_id", *labels), rows)


def write(path: Path, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(head)
        writer.writerows(rows)


def padded(series: Sequence[np.ndarray], steps: int) -> np.ndarray:
    """Lay series side by side, (N, channels, steps), zeros behind the end of each."""
    return np.stack([np.pad(each, ((0, 0), (0, steps - each.shape[1]))) for each in series])


def model_of(name: str) -> Any:
    """Make one of the rivals, with its defaults, on one thread."""
    from aeon.classification.convolution_based import MiniRocketClassifier, MultiRocketHydraClassifier
    from aeon.regression.convolution_based import RocketRegressor

    kinds = {each.__name__: each for each in (MiniRocketClassifier, MultiRocketHydraClassifier, RocketRegressor)}
    return kinds[name](random_state=SEED, n_jobs=1)


def predict(name: str, model: str, out: Path) -> None:
    """Fit on the training part, predict the test part, and write predictions and CPU seconds."""
    (train, answers), (test, _) = load(name, "train"), load(name, "test")
    steps = max(each.shape[1] for each in [*train, *test])
    rival = model_of(model)
    rival.fit(padded(train, steps), np.asarray(answers))
    predicted = rival.predict(padded(test, steps))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    result = {"predicted": predicted.tolist(), "cpu_s": usage.ru_utime + usage.ru_stime}
    out.write_text(json.dumps(result), encoding="utf-8")


def main() -> None:
    """Answer the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=("export", "predict"))
    parser.add_argument("name", choices=LOADERS)
    parser.add_argument("rest", nargs="+")
    given = parser.parse_args()
    if given.job == "export":
        export(given.name, Path(given.rest[0]))
    else:
        predict(given.name, given.rest[0], Path(given.rest[1]))


if __name__ == "__main__":
    main()
