"""What only the ventilator's cells are trained on: simulated breaths, and rows that are decoded exactly."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
from quickstart import SMOKE
from training_spy import TrainingData, training_data

from foldline.cli.main import main
from foldline.data import exact_rows, loading, open_rows
from foldline.data.loading import Competition
from foldline.experiment import config, stored_experiment
from foldline.fit import pretraining
from foldline.fit.pretraining import PretrainConfig

__all__ = ["training_data"]  # the fixture

VENTILATOR = [*SMOKE, "model.1.rounds=2", "post.decode=false"]


def test_simulated_breaths_are_pretrained_on(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = 'model.0.pretrain={breaths = 9, seed = 4, calibrate = "no", train = {epochs = 2}}'
    tiny.run("train", "quickstart", *VENTILATOR, start)
    assert "hybrid pre-training seed 0 done" in capsys.readouterr().out
    (folder,) = (home / "runs" / "data").glob("pretraining_data-*")
    assert pl.read_csv(folder / "train.csv")["breath_id"].n_unique() == 9
    tiny.run("train", "quickstart", *VENTILATOR, start)
    assert "nothing to train" in capsys.readouterr().out


def test_matched_breaths_come_with_the_channels_of_the_lungs_that_saw_no_label(home: Path) -> None:
    chosen = config.load(Path("quickstart"), VENTILATOR)
    competition, nobody = loading.load(chosen.data), np.arange(0)
    table = PretrainConfig(breaths=9, rig="matched", calibrate="no")
    store = pretraining.pretraining_data(table, chosen.features, competition, nobody, opens=True)
    found, channels = open_rows.embedded_channels(store.fingerprint).read()
    assert found.shape == (9 * 80, 3) and channels.shape == (9 * 80, len(open_rows.names())) and len(store.lengths) == 9
    exact, inside = found[:, 2] > 0, np.asarray(store.scored)
    np.testing.assert_allclose(found[exact, 0], np.asarray(store.y)[exact, 0], atol=1e-9)
    assert 20 < (exact & inside).sum() < inside.sum()
    off = np.abs(found[:, 0] - np.asarray(store.y)[:, 0])[inside & ~exact]
    assert 0.05 < np.median(off) < 1.5  # cmH2O
    other = pretraining.pretraining_data(replace(table, rig="calibrated"), chosen.features, competition, nobody)
    assert other.fingerprint != store.fingerprint


def test_exact_test_rows_are_trained_on(home: Path, training_data: dict[tuple[str, str], TrainingData]) -> None:
    tiny.run("train", "quickstart", *VENTILATOR, "model.0.teacher={exact = true}")
    networks = [cell for cell in stored_experiment.read("quickstart").plan if cell.model.is_network]
    assert len(networks) == 3
    for cell in networks:
        _, labelled = training_data[str(home), cell.key].labelled_sets
        assert set(labelled.weight.ravel()) == {0.0, 1.0} and not labelled.store.labelled
        exact = labelled.y[labelled.weight > 0]
        assert len(exact) > 20 and (np.abs(exact) > 1).all()  # cmH2O


def seen_by_the_rig(competition: Competition, inside: np.ndarray, way: str, patch: pytest.MonkeyPatch) -> pl.DataFrame:
    """Return the rows that the rig would be fitted to, and stop there."""
    from ventilator import calibrate

    class Enough(Exception):
        """The frame was seen."""

    frames: list[pl.DataFrame] = []

    def look(frame: pl.DataFrame) -> None:
        frames.append(frame)
        raise Enough

    patch.setattr(calibrate, "calibrate", look)
    features = config.load(Path("quickstart")).features
    with pytest.raises(Enough):
        pretraining.pretraining_data(PretrainConfig(breaths=9, calibrate=way), features, competition, inside)
    return frames[0]


@pytest.mark.parametrize("fold", [0, None])
def test_the_rig_is_fitted_to_the_folds_own_labels_and_to_no_others(
    fold: int | None, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    competition = loading.load(config.load(Path("quickstart"), VENTILATOR).data)
    held = np.array([], dtype=int) if fold is None else np.arange(0, 24, 3)
    inside = np.setdiff1d(np.arange(24), held)
    frame, keys = seen_by_the_rig(competition, inside, "fold", monkeypatch), competition.train.keys
    labelled = frame.filter(pl.col("pressure").is_not_null())["breath_id"].unique()
    assert set(labelled) == set(keys.gather(inside)) and frame["breath_id"].n_unique() == len(inside) + 6
    assert not set(frame["breath_id"]) & set(keys.gather(held))


def test_the_rig_can_be_fitted_to_decoded_test_rows_and_to_no_label(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    competition = loading.load(config.load(Path("quickstart"), VENTILATOR).data)
    frame = seen_by_the_rig(competition, np.arange(24), "test", monkeypatch)
    assert frame["breath_id"].equals(competition.test.frame["breath_id"])
    known = exact_rows.obtain(competition.test).values
    np.testing.assert_array_equal(frame["pressure"].fill_null(np.nan).to_numpy(), known)
    assert 20 < np.isfinite(known).sum() < len(known)


@pytest.mark.slow
def test_pretraining_on_a_rig_that_is_fitted_fold_by_fold(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """How well a rig fits does not matter here: a tenth of the steps and half of the simulated breaths are enough."""
    from ventilator import calibrate

    monkeypatch.setattr(calibrate, "MATCHING_BREATHS", calibrate.MATCHING_BREATHS // 2)
    monkeypatch.setattr(calibrate, "calibrate", partial(calibrate.calibrate, iterations=calibrate.ITERATIONS // 10))
    sizes = ["data.simulate.breaths=400", "data.simulate.test_breaths=100"]
    start = "model.0.pretrain={breaths = 60, train = {epochs = 1}}"
    words = ["train", "quickstart", *VENTILATOR, *sizes, "train.epochs=1", start]
    tiny.run(*words)
    assert capsys.readouterr().out.count("hybrid pre-training seed 0 done") == 3  # a rig for each fold
    assert len(list((home / "runs" / "data").glob("pretraining_data-*"))) == 3
    tiny.run(*words)
    assert "nothing to train" in capsys.readouterr().out


def test_too_few_breaths_to_fit_a_rig_are_the_users_to_mend(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "quickstart", *VENTILATOR, "model.0.pretrain={breaths = 9}"]) == 2
    err = capsys.readouterr().err
    assert 'pretrain.calibrate = "fold" fits the simulator\'s rig to series with labels' in err and err.count("\n") == 1
