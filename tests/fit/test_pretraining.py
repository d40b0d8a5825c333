"""Pseudo-labels of teachers of the same fold and of exact rows; pre-trained weights. Never a held-out row."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
import tiny_windows
from lab import plan_inputs
from tiny_classes import Songs
from training_spy import TrainingData

from foldline.cli.main import main
from foldline.core import artefacts, files
from foldline.core.errors import UserError
from foldline.data import featurize, loading, readers, store
from foldline.experiment import config, stored_experiment
from foldline.fit import pretraining
from foldline.fit.pseudo_labels import PseudoLabels, TeacherConfig
from foldline.run import cell_training, planning, turns
from foldline.run.cells import Cell

QUARTER = TeacherConfig(exact=True, weight=0.25)
SMALL = 'name = "hybrid", width = 4, blocks = [{kind = "conv", kernel = 3}]'
WITH_STUDENT = f'model=[{{{SMALL}}}, {{{SMALL}, label = "student", teacher = {{of = ["hybrid"], weight = 0.25}}}}]'


# ---------------------------------------------------------------- labels by hand


@pytest.fixture
def unlabelled(rides: Path) -> store.Store:
    """The store of the rides' test table: 4 series of 10 steps, the last 2 of each not scored."""
    chosen = config.load(Path("rides"))
    table = loading.load(chosen.data)
    return featurize.obtain(table.test, chosen.features, table.levels)


def exact_rows(folder: Path, rows: dict[int, float]) -> Path:
    """Write a file as exact_rows.py does."""
    path = folder / "exact.parquet"
    pl.DataFrame({"id": list(rows), "pressure": list(rows.values()), "kind": ["chain"] * len(rows)}).write_parquet(path)
    artefacts.seal(path.with_suffix(".json"), [path])
    return path


def test_labels_are_the_teachers_mean_on_scored_steps(unlabelled: store.Store, tmp_path: Path) -> None:
    predictions = np.random.default_rng(0).normal(size=(3, 40, 1))
    paths = tuple(tmp_path / f"{number}.npy" for number in range(3))
    for path, values in zip(paths, predictions, strict=True):
        files.write_array(path, values)
    labelled = PseudoLabels(unlabelled.path, None, paths, QUARTER).labelled_series()
    scored = np.tile([True] * 8 + [False] * 2, 4)
    np.testing.assert_allclose(labelled.y[scored], predictions.mean(axis=0)[scored])
    assert labelled.series.tolist() == [0, 1, 2, 3]
    assert (labelled.weight[scored] == 0.25).all() and (labelled.weight[~scored] == 0).all()
    assert labelled.known[scored].all() and not labelled.known[~scored].any()  # y = 0 there is no label


def test_exact_rows_count_1_and_replace_the_teachers_labels(unlabelled: store.Store, tmp_path: Path) -> None:
    files.write_array(tmp_path / "teacher.npy", np.full((40, 1), 3.0))
    rows = exact_rows(tmp_path, {0: 7.0, 12: 8.0, 19: 9.0})  # row 19 is the last step of series 1: not scored
    labelled = PseudoLabels(unlabelled.path, rows, (tmp_path / "teacher.npy",), QUARTER).labelled_series()
    expected, weight = np.tile([3.0] * 8 + [0.0] * 2, 4), np.tile([0.25] * 8 + [0.0] * 2, 4)
    expected[0], expected[12] = 7.0, 8.0
    weight[0] = weight[12] = 1.0
    np.testing.assert_array_equal(labelled.y[:, 0], expected)
    np.testing.assert_array_equal(labelled.known[:, 0], weight > 0)
    np.testing.assert_array_equal(labelled.weight, weight)


def test_without_teachers_only_series_with_exact_rows_are_trained_on(unlabelled: store.Store, tmp_path: Path) -> None:
    labelled = PseudoLabels(unlabelled.path, exact_rows(tmp_path, {12: 8.0}), (), QUARTER).labelled_series()
    assert labelled.series.tolist() == [1] and labelled.y.shape == (10, 1)
    assert labelled.weight.sum() == 1.0 and labelled.weight[2] == 1.0 and labelled.y[2, 0] == 8.0
    assert np.flatnonzero(labelled.known).tolist() == [2]


# ---------------------------------------------------------------- teachers and students


def students(plan: list[Cell]) -> dict[int | None, Cell]:
    """The student of each fold."""
    return {cell.fold: cell for cell in plan if cell.model.label == "student"}


def test_a_student_is_trained_on_labels_of_the_teacher_that_held_out_its_own_fold(
    unlabelled: store.Store,
    home: Path,
    training_data: dict[tuple[str, str], TrainingData],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The number of a teacher's fold stands for its test predictions."""

    def predict_the_fold(cell: Cell, path: Path, threads: int) -> None:
        test = store.open_store(path)
        fold = -1.0 if cell.fold is None else float(cell.fold)
        predictions = cell.test_path(test.fingerprint)
        files.write_array(predictions, np.full(test.y.shape, fold))
        artefacts.seal(predictions.with_suffix(".json"), [predictions])

    monkeypatch.setattr(cell_training, "_predict_test", predict_the_fold)
    chosen = config.load(Path("rides"), [WITH_STUDENT, "train.full_seeds=[3]"])
    shared = plan_inputs(chosen)
    plan = planning.plan(shared, chosen.models)
    jobs = planning.jobs(plan, shared.train.path, shared.folds, unlabelled.path)
    turns.take_turns(jobs, 1, lambda *_: None)
    assert set(students(plan)) == {0, 1, None}
    for fold, student in students(plan).items():
        own, pseudo_labelled = training_data[str(home), student.key].labelled_sets
        held = shared.folds.held_out(-1 if fold is None else fold)
        assert sorted([*own.series, *held]) == list(range(12)) and (own.weight.max(), pseudo_labelled.weight.max()) == (
            1,
            0.25,
        )
        assert set(pseudo_labelled.y[pseudo_labelled.weight > 0].ravel()) == {-1.0 if fold is None else float(fold)}


def test_what_stands_in_a_folds_series_never_reaches_that_folds_student(
    rides: Path, home: Path, training_data: dict[tuple[str, str], TrainingData], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features and targets of one series are perturbed: the teachers are trained again, and so is the student."""
    tiny.run("train", "rides", WITH_STUDENT)
    before = students(stored_experiment.read("rides").plan)
    fold = int(plan_inputs(config.load(Path("rides"))).folds.assignment[4])
    tables = tiny.frames()
    mine = pl.col("ride") == 5
    tables["train"] = tables["train"].with_columns(
        pl.when(mine).then(pl.col("power") + 1.5).otherwise("power"),
        pl.when(mine).then(-pl.col("speed")).otherwise("speed"),
    )
    other = rides.parent / "other"
    tiny.install(other, tiny.write(rides.parent / "perturbed", tables))
    monkeypatch.setenv("FOLDLINE_HOME", str(other))
    tiny.run("train", "rides", WITH_STUDENT)
    after = students(stored_experiment.read("rides").plan)
    one, same = (training_data[str(where), cell[fold].key] for where, cell in ((home, before), (other, after)))
    assert before[fold].key != after[fold].key and one == same
    assert training_data[str(home), before[1 - fold].key] != training_data[str(other), after[1 - fold].key]
    learnt, again = (
        (where / "runs" / "cells" / cell[fold].key / "weights.safetensors").read_bytes()
        for where, cell in ((home, before), (other, after))
    )
    assert learnt == again


# ---------------------------------------------------------------- pre-trained weights


@pytest.fixture
def elsewhere(rides: Path, tmp_path: Path) -> Path:
    """A folder with other rides to pre-train on; it holds only a train file."""
    return tiny.write(tmp_path / "elsewhere", {"train": tiny.rides(2001, 8, 10, seed=7)})


def pretrained(source: Path, own: str = "epochs = 1") -> str:
    pretrain = f'{{source = "{source}", train = {{epochs = 3, lr = 0.01}}}}'
    return f"model=[{{{SMALL}, train = {{{own}}}, pretrain = {pretrain}}}]"


def test_pretraining_comes_first_and_nothing_is_trained_twice(
    elsewhere: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "rides", pretrained(elsewhere)]
    tiny.run(*words)
    done = [line.split(" done")[0] for line in capsys.readouterr().out.splitlines() if " done" in line]
    assert done == [
        "  [1/3] hybrid pre-training seed 0",  # one, for both folds: these series are the same for each
        "  [2/3] hybrid fold 0 seed 0",
        "  [3/3] hybrid fold 1 seed 0",
    ]
    kept = tiny.tree(home / "runs" / "cells")
    assert {path.parent.name for path in (home / "runs" / "cells").glob("*/test-*.npy")} == {
        cell.key for cell in stored_experiment.read("rides").plan
    }
    tiny.run(*words)
    assert "nothing to train" in capsys.readouterr().out and tiny.tree(home / "runs" / "cells") == kept
    tiny.run("infer", "rides")


@pytest.mark.parametrize("own", ["epochs = 1, lr = 1e-30", "epochs = 0", "epochs = 0, ema = 0.9"])
def test_training_starts_at_the_pretrained_weights_and_scale(own: str, elsewhere: Path, home: Path) -> None:
    """At a rate of nearly 0, or for no epoch, the weights stay as they were, to the last bit."""
    tiny.run("train", "rides", pretrained(elsewhere, own))
    folders = [path.parent for path in (home / "runs" / "cells").glob("*/done.json")]
    own = [cell.folder for cell in stored_experiment.read("rides").plan]
    (start,) = set(folders) - set(own)
    for folder in own:
        assert (folder / "weights.safetensors").read_bytes() == (start / "weights.safetensors").read_bytes()
        assert (folder / "scaler.json").read_bytes() == (start / "scaler.json").read_bytes()
    chosen = config.load(Path("rides"))
    table = loading.load_table(readers.locate(elsewhere, "train"), chosen.data, labelled=True)
    there = np.median(table.frame.filter(pl.col("coasting") == 0)["speed"].to_numpy())
    assert files.read_json(start / "scaler.json")["y_center"] == [there]  # fitted on the series it was trained on


@pytest.mark.parametrize("name", ["weights.safetensors", "scaler.json", "history.jsonl", "done.json"])
def test_a_damaged_pretraining_cell_is_trained_again_where_a_student_needs_it(
    name: str, elsewhere: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.run("train", "rides", pretrained(elsewhere))
    before, cells = tiny.submission(home), home / "runs" / "cells"
    own = [cell.folder for cell in stored_experiment.read("rides").plan]
    (start,) = {path.parent for path in cells.glob("*/done.json")} - set(own)
    (start / name).write_bytes((start / name).read_bytes()[:-2])
    capsys.readouterr()
    tiny.run("train", "rides", pretrained(elsewhere))  # nothing needs it: it is left as it is
    assert not tiny.without_baselines(capsys.readouterr().err) and tiny.submission(home) == before
    shutil.rmtree(own[0])
    tiny.run("train", "rides", pretrained(elsewhere))
    assert f"damaged: {start}: {name}" in capsys.readouterr().err and tiny.submission(home) == before


def test_series_of_the_competition_are_refused_for_pretraining(
    rides: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for first in (12, 503):  # the last training series; a test series
        source = tiny.write(tmp_path / f"known-{first}", {"train": tiny.rides(first, 4, 10, seed=7)})
        assert main(["train", "rides", pretrained(source)]) == 2
        err = capsys.readouterr().err
        assert "must not be in the competition's files, but ride" in err and err.count("\n") == 1
    assert not (home / "runs" / "cells").exists()


def test_breaths_are_simulated_for_the_ventilator_alone(
    rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "rides", "model.0.pretrain={}"]) == 2
    said = capsys.readouterr().err
    assert "simulates breaths of the ventilator, but there are other columns" in said and "Traceback" not in said
    assert not (home / "runs" / "cells").exists()


def test_a_source_that_is_not_there_is_refused_before_training(
    rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "rides", pretrained(Path("nowhere"))]) == 2
    assert "nowhere does not exist" in capsys.readouterr().err
    assert not (home / "runs" / "cells").exists()


def test_series_of_the_competition_are_found_where_their_names_are_text(
    rides: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tiny.rides(12, 4, 10, seed=7)
    named = rows.with_columns(ride=pl.col("ride").cast(pl.String).replace({"12": "12.0", "13": "thirteen"}))
    source = tiny.write(tmp_path / "known", {"train": named})
    assert main(["train", "rides", pretrained(source)]) == 2
    assert "must not be in the competition's files, but ride 12 is" in capsys.readouterr().err


def test_series_to_pretrain_on_are_of_other_groups(home: Path, tmp_path: Path) -> None:
    """A fold would hold out the group, and be predicted by weights that have seen it."""
    teams = [pl.lit(team).alias("team") for team in ("red", "blue", "green")]
    tables = tiny_windows.frames()
    tables["train"] = tables["train"].with_columns(pl.when(pl.col("place") < "n").then(teams[0]).otherwise(teams[1]))
    path = tiny_windows.install(home, tmp_path / "bridge", tables, more='group = "team"')
    competition, features = loading.load(config.load(path).data), config.load(path).features
    folder = tmp_path / "old"
    for number, team in enumerate(teams[1:]):
        tiny.write(folder, {"train": tiny_windows.recording("old", 12, seed=9).with_columns(team)})
        found = pretraining.PretrainConfig(source=str(folder))
        if number:
            assert pretraining.pretraining_data(found, features, competition, np.arange(2)).lengths.tolist() == [6, 6]
            continue
        with pytest.raises(UserError, match=r"place old@0 is of team blue, which is there, too; 2 such"):
            pretraining.pretraining_data(found, features, competition, np.arange(2))


@pytest.mark.parametrize("label", ["robin & co", "wren"])
def test_series_to_pretrain_on_need_not_have_all_classes(label: str, home: Path, tmp_path: Path) -> None:
    """Their columns are those of the competition: a network of fewer would not fit, one of others would be mixed up."""
    songs, folder = Songs("multiclass"), tmp_path / "old"
    songs.install(home, tmp_path / "songs")
    chosen = config.load(Path("songs"))
    competition = loading.load(chosen.data)
    found, inside = pretraining.PretrainConfig(source=str(folder)), np.arange(2)
    old = songs.table(901, 6, seed=7)
    tiny.write(folder, {"train": old.filter(pl.col("answer") != label)})
    store = pretraining.pretraining_data(found, chosen.features, competition, inside)
    assert store.targets == 3 and not store.y[:, competition.train.classes.index(label)].any()
    tiny.write(folder, {"train": old.with_columns(answer=pl.col("answer").replace({label: "finch"}))})
    with pytest.raises(UserError, match=r"must hold labels of the training table .* but holds 'finch'"):
        pretraining.pretraining_data(found, chosen.features, competition, inside)
