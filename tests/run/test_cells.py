"""Cells: what their keys hash and what not, that finished ones stay, half ones start again and locked ones wait."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
from lab import exhaust, jobs, keys, planned, silent, small_store

from foldline import models
from foldline.cli.main import main
from foldline.core import artefacts, files, interrupt, locks
from foldline.data import feature_file
from foldline.experiment import stored_experiment, verification
from foldline.fit.pretraining import PretrainConfig
from foldline.fit.train_config import TrainConfig
from foldline.run import cell_training, predictions
from foldline.run.cells import Cell, Job, ModelConfig
from foldline.run.history import read_history
from foldline.run.stored_cells import StoredCells

LABELS = ("hybrid", "plain")


def trained_cells(home: Path) -> dict[str, float]:
    """Finished cells and when they were finished (ns)."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (home / "runs" / "cells").glob("*/done.json")}


def test_an_experiment_is_models_by_folds_by_seeds(rides: Path) -> None:
    found = [(cell.model.label, cell.fold, cell.seed) for cell in planned("model.0.train.seeds=[3,5]")]
    hybrids = [("hybrid", fold, seed) for seed in (3, 5) for fold in (0, 1)]
    assert found == [*hybrids, ("lightgbm", 0, 0), ("lightgbm", 1, 0)]
    assert len({cell.key for cell in planned("model.0.train.seeds=[3,5]")}) == 6


def test_a_pre_trained_model_has_two_trainings_and_the_first_differs_by_its_own_table() -> None:
    plain = ModelConfig(name="hybrid", label="hybrid", params={}, train=TrainConfig(epochs=3))
    first = replace(plain, pretrain=PretrainConfig(train={"epochs": 7}))
    assert [train.epochs for train in plain.trainings] == [3]
    assert [train.epochs for train in first.trainings] == [7, 3]


@pytest.mark.parametrize(
    "override",
    [
        "blend.method=mean",
        "post.snap=false",
        "track.wandb=offline",
        "track.project=other",
        "executor.kind=process",
        "executor.workers=2",
        "model.0.label=net",
    ],
)
def test_what_weights_do_not_depend_on_trains_nothing(
    override: str, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = trained_cells(trained)
    tiny.run("train", "rides", override)
    assert trained_cells(trained) == before and len(before) == 4
    assert "nothing to train" in capsys.readouterr().out


def test_moved_data_trains_nothing(trained: Path, tmp_path: Path) -> None:
    before = trained_cells(trained)
    tiny.write(tmp_path / "elsewhere", tiny.frames())
    tiny.run("train", "rides", f"data.source={tmp_path / 'elsewhere'}")
    assert trained_cells(trained) == before


@pytest.mark.parametrize(
    ("override", "changed", "reason"),
    [
        ("train.lr=0.001", ["hybrid"], "hybrid: differs from the nearest finished cell in train.lr"),
        ("model.0.train.lr=0.001", ["hybrid"], "in train.lr"),
        (
            "train.threads=2",
            ["hybrid", "lightgbm"],
            "hybrid, lightgbm: differ from the nearest finished cell in train.threads",
        ),
        ("train.processes=2", ["hybrid"], "in train.processes"),
        ("model.0.width=6", ["hybrid"], "in model.params.blocks, model.params.width"),
        ("model.1.rounds=6", ["lightgbm"], "in model.params.rounds"),
        ("data.metric=rmse", ["hybrid", "lightgbm"], "in model.params.objective"),  # its loss becomes theirs
        ("features.scaler=standard", ["hybrid"], "in scaler"),
        ('features.families=["raw", "time", "lags"]', ["hybrid", "lightgbm"], "in features.families"),
        ("features.lags.lags=[2]", ["hybrid", "lightgbm"], "in features.families"),
        ("data.scored=second < 3", ["hybrid", "lightgbm"], "in data.scored"),
        ("folds.seed=7", ["hybrid", "lightgbm"], "in fold.held_out"),
    ],
)
def test_what_weights_depend_on_trains_just_those_and_says_why(
    override: str, changed: list[str], reason: str, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", "rides", override, "--dry-run"])
    assert reason in capsys.readouterr().out
    renewed = {new.model.name for old, new in zip(planned(), planned(override), strict=True) if old.key != new.key}
    assert sorted(renewed) == changed


def rewritten(part: models.Part, tmp_path: Path) -> Path:
    """A copy of a part's source with one more line."""
    copy = tmp_path / part.source.parent.name / part.source.name
    copy.parent.mkdir()
    copy.write_text(part.source.read_text() + "\n# changed\n")
    return copy


def test_changed_source_of_a_block_trains_the_models_that_use_it(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, copy = keys(), rewritten(models.hybrid.BLOCKS["conv"], tmp_path)
    honest: Callable[..., list[Path]] = models.source_of
    changed = lambda *args: [copy if path.name == copy.name else path for path in honest(*args)]  # noqa: E731
    monkeypatch.setattr(models, "source_of", changed)
    assert [old == new for old, new in zip(before, keys(), strict=True)] == [False, False, True, True]
    main(["train", "rides", "--dry-run"])
    assert "in model.sources.blocks/conv.py" in capsys.readouterr().out


def test_changed_training_data_trains_all(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, tables = keys(), tiny.frames()
    tables["train"][4, "power"] = 1.25
    tiny.write(tmp_path / "rides", tables)
    assert not set(before) & set(keys())
    main(["train", "rides", "--dry-run"])
    assert "in data.fingerprint" in capsys.readouterr().out


def test_row_ids_are_no_part_of_the_key(rides: Path) -> None:
    before, tables = keys(), tiny.frames()
    tables["train"] = tables["train"].with_columns(row=tables["train"]["row"] + 7)
    tiny.write(rides, tables)
    assert keys() == before


def test_nothing_new_is_needed_for_a_new_test_table_but_predictions(trained: Path, tmp_path: Path) -> None:
    before = trained_cells(trained)
    tables = tiny.frames(test_series=6)
    tiny.run("train", "rides", f"data.source={tiny.write(tmp_path / 'more', tables)}")
    assert trained_cells(trained) == before
    for key in before:
        assert len(list((trained / "runs" / "cells" / key).glob("test-*.npy"))) == 2


def test_a_new_model_has_nothing_to_compare_with(rides: Path) -> None:
    stored = StoredCells()
    assert [stored.differing_keys(cell) for cell in planned()] == [[]] * 4


def test_force_trains_again_to_the_same_bits(trained: Path) -> None:
    before, weights = trained_cells(trained), weights_of(trained)
    tiny.run("train", "rides", "--force")
    after = trained_cells(trained)
    assert before.keys() == after.keys() and all(after[key] > before[key] for key in before)
    assert weights_of(trained) == weights


def weights_of(home: Path) -> dict[str, bytes]:
    """What the cells learned and predicted, without the times."""
    kept = (".safetensors", ".txt", ".npy")
    return {name: content for name, content in tiny.tree(home / "runs" / "cells").items() if name.endswith(kept)}


def test_a_checkpoint_that_a_kill_has_left_in_a_finished_cell_is_removed(rides: Path, home: Path) -> None:
    job = jobs()[0]
    exhaust(cell_training.run(job, silent))
    before = tiny.tree(job.cell.folder)
    (job.cell.folder / "checkpoint.safetensors").write_bytes(b"the last one")
    (job.cell.folder / "weights.safetensors").write_bytes(b"damaged")
    damaged = verification.verify(lambda *_: None).damaged
    assert "weights.safetensors" in damaged[job.cell.folder]
    (job.cell.folder / "weights.safetensors").write_bytes(before["weights.safetensors"])
    assert job.key in {each.key for each in jobs()}  # there is nothing else to do
    exhaust(cell_training.run(job, silent))
    assert tiny.tree(job.cell.folder) == before


def test_a_half_cell_starts_again(rides: Path, home: Path) -> None:
    whole = jobs()[0]
    exhaust(cell_training.run(whole, silent))
    once = (whole.cell.folder / "weights.safetensors").read_bytes()
    (whole.cell.folder / "done.json").unlink()
    (whole.cell.folder / "weights.safetensors").write_bytes(b"half of it")
    (whole.cell.folder / "history.jsonl").write_text('{"epoch": 1, "loss"')
    (whole.cell.folder / "left-over").touch()
    exhaust(cell_training.run(whole, silent))
    assert (whole.cell.folder / "weights.safetensors").read_bytes() == once
    assert not (whole.cell.folder / "left-over").exists()
    assert [row["epoch"] for row in read_history(whole.cell)] == [1, 2]


def test_an_error_while_training_leaves_an_unfinished_cell(rides: Path, home: Path) -> None:
    def interrupt(kind: str, **values: Any) -> None:
        if kind == "epoch":
            raise KeyboardInterrupt

    started = jobs()[0]
    with pytest.raises(KeyboardInterrupt):
        exhaust(cell_training.run(started, interrupt))
    assert not started.cell.done and not started.finished
    exhaust(cell_training.run(started, silent))
    assert started.cell.done and started.finished


def test_history_is_what_was_emitted(rides: Path, home: Path) -> None:
    rows: list[dict[str, Any]] = []
    one = jobs()[0]
    exhaust(cell_training.run(one, lambda kind, **values: rows.append(values) if kind == "epoch" else None))
    assert read_history(one.cell) == rows
    assert [set(row) for row in rows] == [{"epoch", "loss", "lr", "time.epoch_s"}] * 2


@pytest.mark.parametrize(
    ("scaler", "message"),
    [
        ("none", "training loss of hybrid was not finite at step"),  # where it is trained on
        ("robust", "hybrid fold 1 seed 0: a prediction must be finite, but that of series 5 is not (1 such series)"),
    ],
)
def test_a_series_that_spoils_all_is_named_and_nothing_of_its_cell_is_finished(
    scaler: str,
    message: str,
    rides: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(feature_file, "LARGEST", float("inf"))  # else the value is refused before training
    tables = tiny.frames()
    spoilt = pl.when((pl.col("ride") == 5) & (pl.col("second") == 1.0)).then(3e38).otherwise("power")
    tables["train"] = tables["train"].with_columns(spoilt.alias("power"))
    tiny.write(rides, tables)
    for _ in range(2):  # nothing is made smaller on its own: it ends there again
        words = ["train.batch=1", f"features.scaler={scaler}", 'features.families=["raw"]']
        assert main(["train", "rides", *words]) == 2
        err = capsys.readouterr().err
        assert message in err and "series 5" in err and err.count("\n") == 1
    finished = [path.parent for path in (home / "runs" / "cells").glob("*/done.json")]
    assert [json.loads((path / "depends.json").read_text())["fold"]["number"] for path in finished] == [0] * (
        scaler == "robust"
    )


def test_a_spread_lies_beside_predictions_where_the_head_knows_it(rides: Path, home: Path) -> None:
    tiny.run("train", "rides", 'model.0.head.kind="laplace"', 'model.1={name = "hybrid", width = 4, label = "plain"}')
    laplace, plain = (
        [cell for cell in stored_experiment.read("rides").plan if cell.model.label == label] for label in LABELS
    )
    assert len(laplace) == len(plain) == 2
    for cell in laplace:
        values, spreads = (sorted(cell.folder.glob(f"{prefix}*.npy")) for prefix in ("[ot]*_of_fold", "spread-"))
        values += sorted(cell.folder.glob("test-*.npy"))
        assert sorted(path.name for path in spreads) == sorted(f"spread-{path.name}" for path in values)
        for path in values:
            spread = np.load(predictions.spread_path(path))
            assert spread.shape == np.load(path).shape and spread.dtype == np.float64 and (spread > 0).all()
    assert not [path for cell in plain for path in cell.folder.glob("spread-*")]


def _train_and_count(one: Job, started: Any, counted: Any) -> None:
    """In a process of its own: run the cell and say how many epochs it trained."""
    epochs: list[str] = []
    started.wait()
    exhaust(cell_training.run(one, lambda kind, **values: epochs.append(kind) if kind == "epoch" else None))
    counted.put(len(epochs))


def test_a_locked_cell_is_waited_for_and_not_trained_twice_at_once(rides: Path, home: Path) -> None:
    context = multiprocessing.get_context("spawn")
    one, started, counted = jobs()[0], context.Barrier(3), context.Queue()
    both = [context.Process(target=_train_and_count, args=(one, started, counted)) for _ in range(2)]
    with locks.lock(files.runs() / "locks" / one.key):
        for process in both:
            process.start()
        started.wait(timeout=200)
        both[0].join(timeout=0.5)
        assert all(process.is_alive() for process in both) and not one.cell.folder.exists()
    assert sorted(counted.get(timeout=200) for _ in both) == [0, 2]
    for process in both:
        process.join(timeout=200)
        assert process.exitcode == 0


@pytest.mark.usefixtures("sigint")
def test_a_wait_for_another_process_ends_with_the_first_signal(rides: Path, home: Path) -> None:
    one, kinds = jobs()[0], []

    def signalled(kind: str, **values: Any) -> None:
        kinds.append(kind)
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()

    with ExitStack() as other:
        other.enter_context(locks.lock(files.runs() / "locks" / one.key))
        given_up = threading.Timer(200.0, other.close)  # a wait that no signal ends goes on to train, and fails
        given_up.daemon = True
        given_up.start()
        with pytest.raises(interrupt.Stopped), interrupt.deferred(signal.SIGINT):
            exhaust(cell_training.run(one, signalled))
        given_up.cancel()
        assert kinds == ["waiting"] and not one.cell.folder.exists()


def test_out_of_fold_is_the_mean_over_seeds_and_each_series_by_who_held_it_out(home: Path) -> None:
    def finished(fold: int, seed: int, held: list[int], value: float) -> Cell:
        cell = Cell(model=None, scaler="none", fold=fold, seed=seed, depends={"fold": fold, "seed": seed})
        files.write_array(cell.folder / "held_out.npy", np.array(held))
        files.write_array(cell.folder / "out_of_fold.npy", np.full((2 * len(held), 1), value))
        files.write_json(cell.folder / "depends.json", cell.depends)
        artefacts.seal(cell.folder / "done.json", list(cell.folder.iterdir()))
        return cell

    experiment = [
        finished(0, 0, [0, 2], 1.0),
        finished(1, 0, [1], 5.0),
        finished(0, 1, [0, 2], 3.0),
        finished(1, 1, [1], 6.0),
    ]
    store = replace(
        small_store(series=3), lengths=np.array([2, 2, 2]), y=np.zeros((6, 1)), scored=np.ones(6, dtype=bool)
    )
    assert predictions.out_of_fold(experiment, store)[:, 0].tolist() == [2.0, 2.0, 5.5, 5.5, 2.0, 2.0]


def test_depends_is_written_in_the_open(trained: Path) -> None:
    for done in (trained / "runs" / "cells").glob("*/done.json"):
        depends = json.loads((done.parent / "depends.json").read_text())
        assert files.digest(depends) == done.parent.name
        assert set(depends) == {"data", "engine", "features", "fold", "model", "scaler", "seed", "train"}
        assert "source" not in depends["data"] and "seeds" not in depends["train"]
