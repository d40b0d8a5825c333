"""data.metric = "metric.py": the competition's own file scores everything; a bad one is refused before training."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from tiny_classes import Songs

from foldline.cli.main import main
from foldline.core import files
from foldline.data.metrics import metric
from foldline.experiment import config as configs
from foldline.experiment import python_copies, stored_experiment

pytest.importorskip("pandas")

pytestmark = pytest.mark.usefixtures("few_resamples")

ACCURACY = '''
def score(solution, submission, row_id_column_name):
    """
    >>> import pandas as pd
    >>> score(pd.DataFrame({"i": [1], "answer": ["a"]}), pd.DataFrame({"i": [1], "answer": ["a"]}), "i")
    1.0
    """
    del solution[row_id_column_name], submission[row_id_column_name]
    assert list(solution.columns) == list(submission.columns) == ["answer"]
    assert set(solution["answer"]) | set(submission["answer"]) <= {"wren", "robin & co", "tit", "a"}
    return float((solution["answer"] == submission["answer"]).mean())
'''
WITHOUT_EXAMPLES = ACCURACY.replace(">>>", "").replace("    1.0\n", "")
SQUARED = """
higher_is_better = False

def score(solution, submission, row_id_column_name, power=2.0):
    assert list(solution.columns) == [row_id_column_name, "answer", "volume", "site"]
    error = (solution["answer"] - submission["answer"]).abs() ** power
    return float((error * solution["volume"]).sum() / solution["volume"].sum())
"""
ABSOLUTE = """
def score(solution, submission, row_id_column_name):
    return float((solution["answer"] - submission["answer"]).abs().mean())
"""
LABELS = 'answer = "label"\nhigher_is_better = true'
PROBABILITY = 'answer = "probability"\nhigher_is_better = false'
VOLUME = 'metric_columns = ["volume", "site"]'
PLAIN = "blend.method=mean"  # no search of weights by a file, which asks for hundreds of scores
WATCHED = "model.0.train.watch={share = 0.3, best = true}"


def installed(home: Path, folder: Path, songs: Songs, text: str) -> Path:
    path = songs.install(home, folder / "songs")
    (path.parent / "metric.py").write_text(text)
    return path


def record(home: Path) -> Path:
    return (home / "runs" / "songs" / "latest").resolve()


def test_a_file_of_labels_scores_as_the_registry_does(home: Path, tmp_path: Path) -> None:
    installed(home, tmp_path, Songs("multiclass", metric="metric.py", more=LABELS), ACCURACY)
    tiny.run("train", "songs", "model.0.label=net")
    by_file, submitted = files.read_json(record(home) / "experiment.json"), tiny.submission(home, "songs")
    assert (record(home) / "metric.py").read_text() == ACCURACY and len(by_file["metric_file"]["file"]) == 64
    Songs("multiclass", metric="accuracy").install(home, tmp_path / "songs")
    tiny.run("train", "songs", "model.0.label=net")
    named = files.read_json(record(home) / "experiment.json")
    assert [name for name, _ in by_file["scores"]] == [name for name, _ in named["scores"]]
    np.testing.assert_allclose([each for _, each in by_file["scores"]], [each for _, each in named["scores"]])
    assert submitted == tiny.submission(home, "songs")
    assert [cell["key"] for cell in by_file["cells"]] == [cell["key"] for cell in named["cells"]]


def test_a_record_keeps_its_own_copy(home: Path, tmp_path: Path) -> None:
    path = installed(home, tmp_path, Songs("multiclass", metric="metric.py", more=LABELS), ACCURACY)
    tiny.run("train", "songs", PLAIN)
    (path.parent / "metric.py").unlink()
    stored = stored_experiment.read("songs")
    assert Path(stored.config.data.metric_folder) == record(home)
    assert python_copies.files_of(record(home)) == [record(home) / "metric.py"]
    tiny.run("infer", "songs")
    tiny.run("bundle", "songs", f"out={tmp_path / 'bundle'}")
    packed = tmp_path / "bundle" / "dataset" / "runs" / "songs" / record(home).name / "metric.py"
    assert packed.read_text() == ACCURACY
    (record(home) / "metric.py").write_text(ACCURACY + "# changed\n")
    assert main(["infer", "songs"]) == 2


def test_a_submission_is_checked_at_the_gate_by_the_records_copy(home: Path, tmp_path: Path) -> None:
    path = installed(home, tmp_path, Songs("binary", metric="metric.py", more=PROBABILITY), ABSOLUTE)
    tiny.run("train", "songs", PLAIN)
    (path.parent / "metric.py").unlink()
    tiny.run("submit", "songs", "--dry-run")


def test_columns_of_the_solution_and_arguments(home: Path, tmp_path: Path) -> None:
    songs = Songs("regression", "step", metric="metric.py", more=VOLUME)
    installed(home, tmp_path, songs, SQUARED)
    tiny.run("train", "songs", "data.metric_arguments={power = 1.0}", WATCHED, PLAIN)
    value = files.read_json(record(home) / "experiment.json")
    assert value["metric_file"]["arguments"] == {"power": 1.0}
    frame, cell = songs.frames()["train"], next(each for each in value["cells"] if each["label"] == "lightgbm")
    folder = home / "runs" / "cells" / cell["key"]
    keys = files.read_json(next((home / "runs" / "store").glob("*/solution.parquet")).parent / "keys.json")
    held = frame.filter(frame["song"].is_in([keys[place] for place in np.load(folder / "held_out.npy")]))
    error = np.abs(np.load(folder / "out_of_fold.npy")[:, 0] - held["answer"].to_numpy())
    assert dict(value["scores"])["lightgbm"][cell["fold"]] == pytest.approx(np.average(error, weights=held["volume"]))


def test_the_choice_is_sent_to_workers_and_is_in_the_key_of_watched_cells(home: Path, tmp_path: Path) -> None:
    songs = Songs("regression", "step", metric="metric.py", more=VOLUME)
    path = installed(home, tmp_path, songs, SQUARED)
    data = configs.load(path).data
    choice = data.metric_choice(0)
    again = metric(*pickle.loads(pickle.dumps(choice)))
    assert again.name == "metric.py" and not again.higher_is_better
    words = ("train", "songs", WATCHED, PLAIN)
    tiny.run(*words)
    first = [each["key"] for each in files.read_json(record(home) / "experiment.json")["cells"]]
    measured = stored_experiment.measured_by(data)
    (path.parent / "metric.py").write_text(SQUARED + "\n# another text\n")
    assert stored_experiment.measured_by(data) != measured  # a search by another file begins anew
    cubed = replace(data, metric_arguments={"power": 3.0})
    assert stored_experiment.measured_by(cubed) != stored_experiment.measured_by(data)
    tiny.run(*words)
    second = [each["key"] for each in files.read_json(record(home) / "experiment.json")["cells"]]
    assert [one == other for one, other in zip(first, second, strict=True)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("more", "text", "said"),
    [
        (LABELS, "def score(a, b):\n    return 1.0\n", "score(solution, submission, row_id_column_name, ...)"),
        (LABELS, ACCURACY.replace("    del", "    raise ValueError('no such bird')\n    del"), "examples"),
        (LABELS, WITHOUT_EXAMPLES.replace("    del", "    raise ValueError('no such bird')\n    del"), "no such bird"),
        (LABELS, "def score(solution, submission, row_id_column_name):\n    return float('nan')\n", "finite number"),
        (LABELS, ACCURACY.replace("    1.0\n", "    0.5\n"), "1 of 2 examples"),
        ('answer = "label"', ACCURACY, "data.higher_is_better"),
        ("higher_is_better = true", ACCURACY, 'set answer = "label"'),
        (LABELS + '\nmetric_columns = ["loudness"]', ACCURACY, "loudness"),
        (LABELS + "\nmetric_arguments = {beta = 1}", ACCURACY, "beta"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_serve_is_refused_before_training(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: str, text: str, said: str
) -> None:
    installed(home, tmp_path, Songs("multiclass", metric="metric.py", more=more), text)
    assert main(["train", "songs"]) == 2
    told = capsys.readouterr()
    assert said in " ".join((told.out + told.err).split()) and not (home / "runs" / "cells").exists()


def test_a_file_that_is_nowhere_and_keys_without_a_file(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = installed(home, tmp_path, Songs("multiclass", metric="metric.py", more=LABELS), ACCURACY)
    shutil.move(path.parent / "metric.py", home / "metric.py")
    assert configs.load(path).data.metric_folder == str(home)
    (home / "metric.py").unlink()
    assert main(["train", "songs"]) == 2 and "looked for in" in " ".join(capsys.readouterr().err.split())
    Songs("multiclass", more="higher_is_better = true").install(home, tmp_path / "songs")
    assert main(["train", "songs"]) == 2 and "is for a metric file" in " ".join(capsys.readouterr().err.split())


@pytest.mark.learned
def test_a_file_is_what_a_blend_is_searched_by(home: Path, tmp_path: Path) -> None:
    installed(home, tmp_path, Songs("regression", metric="metric.py", more=VOLUME), SQUARED)
    for method in ("hill-climb", "simplex", "rank"):
        tiny.run("train", "songs", f"blend.method={method}", "blend.evaluations=20")
        value = files.read_json(record(home) / "experiment.json")
        assert value["blend"]["method"] == method
        scores = {name: values[-1] for name, values in value["scores"]}
        assert method == "rank" or scores[f"blend ({method})"] <= 1.05 * max(scores["hybrid"], scores["lightgbm"])


def test_least_squares_are_not_for_a_file(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed(home, tmp_path, Songs("regression", metric="metric.py", more=VOLUME), SQUARED)
    assert main(["train", "songs", "blend.method=nnls"]) == 2
    assert "the metric is metric.py. Choose one of best-member, mean, median" in capsys.readouterr().err
    assert main(["blend", "songs", "blend.candidates=['nnls', 'lad']"]) == 2
    assert "none of them fits" in capsys.readouterr().err and not (home / "runs" / "cells").exists()
