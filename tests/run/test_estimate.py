"""What `--dry-run` estimates: steps times the seconds of one, over the executor's workers; counted by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
from lab import jobs, needing
from safetensors.numpy import load_file
from tiny_classes import Songs

from foldline.data.store import Store
from foldline.fit import boosting_time, step_time
from foldline.run import cell_time, estimate
from foldline.run.executor_config import ExecutorConfig

SERIAL = ExecutorConfig(kind="serial")


class Constant:
    """Passes take as long whatever their size."""

    def __init__(self, seconds: float) -> None:
        self.each = seconds

    def seconds(self, count: float, length: float) -> float:
        """Return the seconds of a pass."""
        return self.each


@pytest.fixture(autouse=True)
def half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step takes half a second, nothing else takes any time."""
    times: Any = Constant(0.5), Constant(0.0)
    monkeypatch.setattr(step_time, "of_network", lambda *_: step_time.NetworkTime(*times))
    monkeypatch.setattr(cell_time, "FILES_S", 0.0)
    monkeypatch.setattr(cell_time, "_preparing_s", lambda *_: 0.0)


def test_a_network_takes_its_steps(rides: Path) -> None:
    """6 series a fold in batches of 4 are 2 steps an epoch, for 2 epochs, in 2 cells."""
    network = estimate.estimate(jobs(), SERIAL).models[0]
    assert network == estimate.Estimate("hybrid", 2, epochs=2, cell_s=2.0, workers=1, total_s=4.0)
    two = estimate.estimate(jobs()[:2], ExecutorConfig(kind="process", workers=2)).models[0]
    assert (two.cell_s, two.workers, two.total_s) == (2.0, 2, 2.0)


def test_cells_run_beside_each_other_and_after_those_they_need() -> None:
    """Two workers: a | b until 3, then c, which needs b, until 5; d fits beside it."""
    every = [needing("a"), needing("b"), needing("c", "b"), needing("d")]
    seconds = {"a": 1.0, "b": 3.0, "c": 2.0, "d": 1.5}
    assert [estimate._elapsed_s(every, seconds, workers) for workers in (1, 2, 9)] == [7.5, 5.0, 5.0]


def test_watched_series_are_no_steps(rides: Path) -> None:
    watched = estimate.estimate(jobs("train.batch=2", "train.watch.share=0.4"), SERIAL).models[0]
    assert watched.cell_s == 2.0  # 2 epochs: 6 series less 40 % in batches of 2


def test_predictions_and_the_watched_score_take_passes_too(rides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass of the held-out series, of three views each, and one of the watched series after each of two epochs."""
    times: Any = Constant(0.0), Constant(0.5)
    monkeypatch.setattr(step_time, "of_network", lambda *_: step_time.NetworkTime(*times))
    words = "train.watch.share=0.4", "train.tta={scale = [0.9, 1.1]}"
    assert estimate.estimate(jobs(*words), SERIAL).models[0].cell_s == 2 * 0.5 + 3 * 0.5


def test_trees_have_rounds_and_no_epochs(rides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take what few rounds on few rows tell: a second to begin, and 4 ms a row for each round."""
    now, honest = [0.0], boosting_time._fitted

    def fitted(name: str, params: dict[str, Any], config: Any, metric: Any, store: Store, *more: Any) -> Any:
        now[0] += 0.01 + 4e-5 * int(store.scored.sum()) * params["rounds"]
        return honest(name, params, config, metric, store, *more)

    monkeypatch.setattr(boosting_time, "_fitted", fitted)
    (trees,) = estimate.estimate(jobs("model.1.rounds=5000")[2:], SERIAL, lambda: now[0]).models
    rows = 6 * 8  # 6 series, of which 8 rows each are scored
    assert (trees.label, trees.cells, trees.epochs) == ("lightgbm", 2, 0)
    assert trees.cell_s == pytest.approx(0.01 + 4e-5 * rows * 5000, rel=0.05)


def test_trees_with_early_stopping_are_estimated_too(rides: Path) -> None:
    (trees,) = estimate.estimate(jobs("model.1.train.watch={share = 0.4, stop = 2}")[2:], SERIAL).models
    assert trees.cells == 2 and trees.cell_s > 0 and trees.is_bound


def test_trees_are_estimated_where_the_few_series_that_are_watched_have_no_score(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boosting_time, "FEW_SERIES", 2)  # one of them is watched: an auc needs both classes
    watch = "model.1.train.watch={share = 0.7, stop = 2}"
    Songs("binary", metric="auc").install(home, tmp_path / "songs")
    tiny.run("train", "songs", "--dry-run", "model.1.bagging_fraction=1", watch)


def test_finished_cells_take_nothing(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("train", "rides", "--dry-run", "--json")
    assert json.loads(capsys.readouterr().out) == {"to_train": 0, "to_predict": 0, "seconds": 0.0, "bytes": 0}


def test_only_other_test_series_are_left_to_predict(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny.write(tmp_path / "new", tiny.frames(test_series=7))
    tiny.run("train", "rides", f"data.source={folder}", "--dry-run")
    last = "dry run: nothing is left to train, 4 cells have yet to predict the test series"
    assert capsys.readouterr().out.splitlines()[-1] == last
    tiny.run("train", "rides", f"data.source={folder}", "--dry-run", "--json")
    assert json.loads(capsys.readouterr().out)["to_predict"] == 4
    tiny.run("train", "rides", f"data.source={folder}", "model.0.width=6", "--dry-run", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert (answer["to_train"], answer["to_predict"]) == (2, 2)


def test_what_early_stopping_may_cut_short_is_said_to_be_a_bound(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.run("train", "rides", "--dry-run", "model.0.width=6", "train.watch={share = 0.4, stop = 1}")
    assert "it would take at most about" in capsys.readouterr().out


def test_a_dry_run_adds_it_up_and_says_the_disk(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("train", "rides", "model.0.width=6", "--dry-run", "--json")
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    tiny.run("train", "rides", "model.0.width=6", "--dry-run")
    assert "it would take about 4 s and 0 MiB of disk" in capsys.readouterr().out
    before = set(trained.glob("runs/cells/*"))
    tiny.run("train", "rides", "model.0.width=6")
    made = set(trained.glob("runs/cells/*")) - before
    weights = [load_file(folder / "weights.safetensors") for folder in made]
    predictions = 2 * 8 * (12 + 4) * 10  # 2 cells, 16 series of 10 steps, float64
    space = predictions + sum(tensor.nbytes for tensors in weights for tensor in tensors.values())
    assert answer == {"to_train": 2, "to_predict": 0, "seconds": 4.0, "bytes": space}
