"""Labels that students see: mixed with out-of-fold predictions, decided for test series; what is watched stays true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
from lab import small_store
from tiny_classes import Songs
from training_spy import TrainingData

from foldline.core import files
from foldline.data.metrics import METRICS
from foldline.experiment import stored_experiment
from foldline.fit import distillation
from foldline.fit.boosting_cell import BoostingCell
from foldline.fit.pseudo_labels import TeacherConfig
from foldline.fit.train_config import TrainConfig, WatchConfig

TREES = 'name = "lightgbm", rounds = 5, min_data_in_leaf = 2'
HALF = TeacherConfig(of=("a",), weight=0, distil=0.5)


def test_labels_are_half_the_mean_of_those_teachers_that_held_a_series_out(tmp_path: Path) -> None:
    store = small_store()
    for number, series in enumerate(([0, 1, 2], [1, 2])):  # the student holds out series 1
        answers = store.answers(np.array(series))
        files.write_array(tmp_path / f"{number}" / "held_out.npy", np.array(series))
        files.write_array(tmp_path / f"{number}" / "out_of_fold.npy", np.full((len(answers), 2), 10.0 * (number + 1)))
    found = distillation.mixed_labels(store, np.array([1]), [tmp_path / "0", tmp_path / "1"], HALF)
    expected = np.array(store.y)
    for series, mean in ((0, 10.0), (2, 15.0)):
        own = store.answers(np.array([series]))
        own = own[store.scored[own]]
        expected[own] = 0.5 * expected[own] + 0.5 * mean
    np.testing.assert_allclose(found, expected)


def test_trees_learn_what_they_are_taught_and_watch_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    store, seen = small_store(), {}
    train = TrainConfig(device="cpu", watch=WatchConfig(share=0.3, best=True))
    cell = BoostingCell("lightgbm", {"rounds": 2}, train, METRICS["mae"])

    def fit(x: np.ndarray, y: np.ndarray, *_: object, watched: object, **more: object) -> None:
        seen.update(y=y, watched=watched)
        raise InterruptedError

    monkeypatch.setattr(cell.model, "fit", fit)
    with pytest.raises(InterruptedError):
        cell.fit(store, np.arange(10), 0, lambda *_, **more: None, taught=np.full(store.y.shape, 100.0))
    assert (seen["y"] == 100).all() and len(seen["watched"].y) and (seen["watched"].y < 100).all()


def test_a_student_of_classes_learns_decided_labels_of_the_surest_and_mixed_ones_of_its_own(
    home: Path, tmp_path: Path, training_data: dict[tuple[str, str], TrainingData]
) -> None:
    songs = Songs("multiclass", "step", test_series=9)
    songs.install(home, tmp_path / "songs")
    net = 'name = "hybrid", width = 4, blocks = [{kind = "conv", kernel = 3}]'
    taught = 'of = ["lightgbm"], labels = "hard", confident = 0.5, align = true'
    tables = [
        f"{{{TREES}}}",
        f'{{{net}, label = "student", teacher = {{{taught}, rounds = 2}}}}',
        f'{{{net}, label = "distilled", teacher = {{of = ["lightgbm"], weight = 0, distil = 0.5}}}}',
        f'{{{TREES}, label = "trees", teacher = {{of = ["lightgbm"], temperature = 2.0, distil = 1.0}}}}',
    ]
    tiny.run("train", "songs", f"model=[{', '.join(tables)}]", "folds.k=3", "train.epochs=1")
    plan = [cell for cell in stored_experiment.read("songs").plan if cell.fold == 0]
    learned = {cell.model.label: training_data[str(home), cell.key] for cell in plan if cell.model.is_network}
    truth, labels = learned["student"].labelled_sets
    assert set(np.unique(labels.y[labels.weight > 0])) == {0.0, 1.0} and 0 < (labels.weight > 0).mean() < 0.7
    assert len(learned["distilled"].labelled_sets) == 1 and set(np.unique(truth.y)) == {0.0, 1.0}
