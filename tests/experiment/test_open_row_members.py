"""Members for open rows, with toys in place of the ventilator's decoder and estimator."""

from __future__ import annotations

import json
import re
import shutil
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
import toy_estimator
from lab import plan_inputs
from toy_estimator import Estimate
from training_spy import TrainingData, training_data

from foldline.cli.main import main
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data import folds, loading, open_rows
from foldline.data.channel_files import WIDTH, ChannelFiles
from foldline.data.exact_rows import Exact
from foldline.data.store import Store, open_store
from foldline.experiment import cell_runs, config, preparation, runs_index, scoring, stored_experiment
from foldline.fit import boosting_cell, pretraining
from foldline.models.systems.lightgbm import LightGBM
from foldline.models.systems.smoother import Smoother
from foldline.run import cell_stores, estimator_channels, planning
from foldline.run.cells import Cell

__all__ = ["training_data"]  # the fixture


@pytest.fixture
def toys(rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The rides' folder, with a config whose models estimate what a toy decoder leaves open."""
    toy_estimator.install(monkeypatch)
    toy_estimator.configure(home, rides)
    return rides


def planned(*overrides: str) -> dict[str, Cell]:
    """The cells of fold 0 by label."""
    chosen = config.load(Path("rides"), list(overrides))
    return {cell.model.label: cell for cell in planning.plan(plan_inputs(chosen), chosen.models) if cell.fold == 0}


def test_a_blend_times_an_estimators_whole_table(
    toys: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It keeps what it has estimated: a second and a third time would take nothing."""
    tiny.run("train", "rides")
    estimate = Smoother.estimate

    def slow(smoother: Smoother, rows: Any) -> Any:
        time.sleep(0.06)
        return estimate(smoother, rows)

    monkeypatch.setattr(Smoother, "estimate", slow)
    capsys.readouterr()
    tiny.run("blend", "rides", "blend.method=mean", "blend.trials=5", "--json")
    seconds = json.loads(capsys.readouterr().out)["time.predict_1000_series_s"]
    assert seconds["smoother"] > 2 * 0.06 / 12 * 1000  # two cells; 12 series


def test_readers_come_after_the_estimator_of_their_fold_and_have_its_key(toys: Path) -> None:
    cells = planned()
    for name in ("lightgbm", "hybrid"):
        assert cells[name].before == (cells["smoother"],) and cells[name].channels == cells["smoother"]
        assert cells[name].depends["channels"] == cells["smoother"].key and cells[name].transform == "residual"
    assert cells["smoother"].before == () and "channels" not in cells["smoother"].depends
    other = planned("model.0.labels=false")
    assert all(other[name].key != cell.key for name, cell in cells.items())
    assert planned("features.families=['raw', 'time']")["smoother"].key == cells["smoother"].key  # it reads none


def test_a_whole_run_is_scored_on_what_is_left_open(toys: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("train", "rides")
    written, latest = tiny.submission(home), home / "runs" / "rides" / "latest"
    record = json.loads((latest / "experiment.json").read_text())
    rows = dict(record["scores"])
    assert list(rows) == ["smoother", "lightgbm", "hybrid", "blend (mean)", "exact rows in place"]
    assert rows["blend (mean)"] == pytest.approx(rows["exact rows in place"], rel=1e-12)  # members never had others
    stored = stored_experiment.read("rides")
    cells = {cell.model.label: cell for cell in stored.plan if cell.fold == 0}
    store = _check_stored_predictions(cells, home)
    truth = np.asarray(store.y)[:, 0]
    held = store.answers(np.load(cells["hybrid"].folder / "held_out.npy"))
    exact = store.step_of_answer[held] % toy_estimator.EVERY == 0
    predicted = np.load(cells["hybrid"].folder / "out_of_fold.npy")[:, 0]
    np.testing.assert_array_equal(predicted[exact], truth[held][exact])
    scored = store.scored[held]
    assert rows["hybrid"][0] == pytest.approx(np.abs(predicted - truth[held])[scored].mean())
    page = (latest / "report.html").read_text()
    assert "Open rows" in page and "third" in page and "even" in page and "estimated" in page
    _check_calibration(page)
    submitted = pl.read_csv(latest / "submission.csv")["speed"].to_numpy()
    decoded = np.arange(len(submitted)) % 10 % toy_estimator.EVERY == 0
    expected = tiny.rides(501, 4, 10, 1)["speed"].to_numpy()
    np.testing.assert_allclose(submitted[decoded], expected[decoded], rtol=1e-12)
    capsys.readouterr()
    tiny.run("board", "--json")
    (line,) = json.loads(capsys.readouterr().out)["groups"][0]["lines"]
    assert line["models_alone"] is None
    tiny.run("train", "rides")
    assert "nothing to train" in capsys.readouterr().out
    for cell in stored.plan:  # inference makes them again, in the right order
        for path in cell.folder.glob("*test-*"):
            path.unlink()
    tiny.run("infer", "rides")
    assert tiny.submission(home) == written
    needed = runs_index.cells_needed([cells["lightgbm"].key])
    assert needed == {cells["lightgbm"].key, cells["smoother"].key}


def _check_calibration(page: str) -> None:
    """The estimator's deviation is shown as modelled, 1, and calibrated, 0.5; every ride has an exact step."""
    rows = re.findall(r"<tr><td>smoother</td><td[^>]*>(as modelled|calibrated)</td>(.*?)</tr>", page)
    shown = {when: re.findall(r"<td[^>]*>(.*?)</td>", cells) for when, cells in rows}
    ratios = [float(shown[when][-1].split()[0]) for when in ("as modelled", "calibrated")]
    assert shown["calibrated"][0] == "with an exact row" and ratios[1] == pytest.approx(2 * ratios[0], abs=0.01)
    within = [float(shown[when][place].split()[0]) for when in ("as modelled", "calibrated") for place in (2, 3)]
    assert within[0] == within[3]  # one modelled deviation is two calibrated ones
    assert within[0] <= within[1] and within[2] <= within[3] <= 1
    assert "smoother: one and two deviations" in page and page.count("<b>worst</b>") == 2  # there, and among examples


def test_each_table_is_estimated_once_by_each_cell(
    toys: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers and seeds that are pre-trained on the same series share their channels, too."""
    estimate, seen = Smoother.estimate, list[tuple[float, int]]()

    def counted(self: Smoother, rows: Mapping[str, np.ndarray]) -> Estimate:
        seen.append((self.fitted, len(rows["power"])))
        return estimate(self, rows)

    monkeypatch.setattr(Smoother, "estimate", counted)
    toy_estimator.PARTS[2].write_csv(tmp_path / "train.csv")
    pretrain = f"model.2.pretrain={{source = '{tmp_path}', train = {{epochs = 1}}}}"
    tiny.run("train", "rides", pretrain, "model.2.train={seeds = [0, 1]}")
    assert len(seen) == len(set(seen)) == 2 * 3  # folds and tables


def test_channels_are_kept_as_what_reads_them_casts_them(toys: Path, home: Path) -> None:
    tiny.run("train", "rides")
    cell = next(cell for cell in stored_experiment.read("rides").plan if cell.model.name == "smoother")
    found = estimator_channels.of_training(cell)
    estimate, channels = found.read()
    assert (estimate.dtype, channels.dtype) == (np.float64, np.float32) and estimate.shape[1] == WIDTH
    older = ChannelFiles(home / "channels.npy", home / "nothing.npy")
    files.write_array(older.channels, np.column_stack([estimate, channels.astype(np.float64)]))
    for one, other in zip(found.read(), older.read(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_damaged_channels_of_other_series_are_made_again(
    toys: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.run("train", "rides")
    cell = next(cell for cell in stored_experiment.read("rides").plan if cell.model.name == "smoother")
    store = open_store(next(path for path in (home / "runs" / "store").iterdir() if path.is_dir()))
    found = estimator_channels.of_other(cell, store)
    whole = found.channels.read_bytes()
    found.channels.write_bytes(whole[:-1] + b"?")
    assert estimator_channels.of_other(cell, store).channels.read_bytes() == whole
    assert "makes its channels of other series again" in capsys.readouterr().err
    assert cell.done


def test_ranked_rows_replace_estimates_and_nothing_else_changes(
    toys: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.run("train", "rides")
    before, plain = tiny.submission(home), stored_experiment.read("rides")
    assert "ranked" not in json.loads((plain.folder / "experiment.json").read_text())["config"]["post"]
    capsys.readouterr()
    tiny.run("train", "rides", "post.ranked=true")
    out = capsys.readouterr().out
    assert "ranked, not exact: 12 training rows, of which 12 are wrong, and 4 rows of the test table" in out
    stored = stored_experiment.read("rides")
    assert [cell.key for cell in stored.plan] == [cell.key for cell in plain.plan] and stored.folder != plain.folder
    record = json.loads((stored.folder / "experiment.json").read_text())
    rows = dict(record["scores"])
    assert list(rows)[-3:] == ["blend (mean)", "ranked rows in place", "exact rows in place"]
    assert (
        rows["blend (mean)"]
        == dict(json.loads((plain.folder / "experiment.json").read_text())["scores"])["blend (mean)"]
    )
    page = (stored.folder / "report.html").read_text()
    assert "ranked, not exact" in page.lower() and page.count("<td>ranked</td>") == 1
    written = tiny.submission(home)
    own = [np.load(next(cell.folder.glob("test-*.npy"))) for cell in stored.plan if cell.model.name == "smoother"]
    _check_ranked(before, written, np.mean(own, axis=0)[:, 0])
    for cell in stored.plan:  # inference ranks again, whatever weight the estimator has
        for path in cell.folder.glob("*test-*"):
            path.unlink()
    tiny.run("infer", "rides")
    assert tiny.submission(home) == written
    tiny.run("report", "rides")
    assert "ranked, not exact" in (stored.folder / "report.html").read_text().lower()


def _check_ranked(before: bytes, after: bytes, estimated: np.ndarray) -> None:
    """Compare submissions: ranked rows are those of the estimator's mean over its cells, all others as they were."""
    old, new = (pl.read_csv(each)["speed"].to_numpy() for each in (before, after))
    ranked = np.arange(len(new)) % 10 == toy_estimator.RANKED_STEP
    np.testing.assert_array_equal(new[ranked], np.round(estimated[ranked]))
    np.testing.assert_array_equal(new[~ranked], old[~ranked])
    assert (new[ranked] != old[ranked]).all()


def test_ranked_rows_need_an_estimator(rides: Path, home: Path) -> None:
    with pytest.raises(UserError, match="no model is one"):
        config.load(Path("rides"), ["post.ranked=true"])


def test_the_disk_has_room_for_channels_before_anything_is_trained(toys: Path, home: Path) -> None:
    prepared = preparation.prepare(config.load(Path("rides")), Terminal(quiet=True))
    needed = cell_runs.predicted_bytes(prepared.jobs())
    tiny.run("train", "rides")
    stored = [np.load(path).nbytes for path in (home / "runs" / "cells").glob("*/*.npy") if path.name != "held_out.npy"]
    assert sum(stored) <= needed < 2 * sum(stored)


def test_an_estimator_of_another_competition_is_refused(
    rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "rides", 'model=[{name = "smoother"}]', "post.decode=true"]) == 2
    assert "Estimation needs the columns" in capsys.readouterr().err


def _check_stored_predictions(cells: dict[str, Cell], home: Path) -> Store:
    stores = [open_store(path) for path in sorted((home / "runs" / "store").iterdir()) if path.is_dir()]
    store = next(each for each in stores if each.labelled)
    seen = cell_stores.opened(cells["lightgbm"], store.path)
    assert seen.names[-2:] == ("estimated ahead", "estimated guess") and seen.given is not None
    np.testing.assert_array_equal(seen.given, store.step_of_answer % toy_estimator.EVERY == 0)
    np.testing.assert_array_equal(seen.scored, store.scored & ~seen.given)
    assert boosting_cell.inputs(seen, np.arange(5)).shape == (5, len(seen.names) + 5)
    test = next(each for each in stores if not each.labelled)
    shown = cell_stores.opened(cells["hybrid"], test.path)
    assert shown.given is not None and np.array_equal(shown.known[:, 0], shown.given)
    assert (shown.y[~shown.given] == 0).all() and (shown.y[shown.given] != 0).any()
    planned_one = cell_stores.planned(cells["hybrid"].model, store)
    assert (
        planned_one.names == seen.names
        and planned_one.x.shape == seen.x.shape
        and planned_one.channels == seen.channels
    )
    return store


def test_labels_of_the_held_out_fold_reach_no_cell_of_it(toys: Path, home: Path) -> None:
    copies = ("model.1.masked_copies=1", "model.2.masked_copies=1")  # of these, too
    tiny.run("train", "rides", *copies)
    before = {cell.model.label: cell for cell in stored_experiment.read("rides").plan if cell.fold == 0}
    held = set(np.load(before["smoother"].folder / "held_out.npy").tolist())
    kept = {name: _fitted(cell) for name, cell in before.items()}
    shutil.rmtree(home / "runs")
    rides = [number for number in range(1, 13) if number - 1 in held]
    train = tiny.frames()["train"]
    moved = pl.col("ride").is_in(rides)  # exact rows, too: the decoder reads inputs, and nothing else may tell them
    train.with_columns(speed=pl.when(moved).then(99.0).otherwise("speed")).write_csv(toys / "train.csv")
    tiny.run("train", "rides", *copies)
    after = {cell.model.label: cell for cell in stored_experiment.read("rides").plan if cell.fold == 0}
    assert after["smoother"].key != before["smoother"].key
    for name, cell in after.items():
        assert _fitted(cell) == kept[name], name


def _fitted(cell: Cell) -> dict[str, bytes]:
    names = ("smoother.json", "booster-0.txt", "weights.safetensors", "out_of_fold.npy", "transform.json")
    return {name: (cell.folder / name).read_bytes() for name in names if (cell.folder / name).exists()}


def test_the_blend_is_decided_by_open_rows(toys: Path, home: Path) -> None:
    tiny.run("train", "rides")
    stored = stored_experiment.read("rides")
    store = open_store(next(path for path in (home / "runs" / "store").iterdir() if open_store(path).labelled))
    prepared = config.load(Path("rides"))
    table = loading.load(prepared.data).train
    made, _ = folds.obtain(prepared.folds, prepared.name, table, save=False)
    exact = toy_estimator.decoded(table)
    members = stored.members
    rows, _ = scoring.blend_rows(members, prepared, store, made, Exact(exact, np.where(np.isnan(exact), "", "third")))
    at = ~np.isnan(exact[store.scored])
    assert (rows.predictions[:, at, 0] == exact[store.scored][at]).all()


def test_series_to_pretrain_on_have_channels_of_the_same_estimator(toys: Path, home: Path, tmp_path: Path) -> None:
    toy_estimator.PARTS[2].write_csv(tmp_path / "train.csv")
    pretrain = f"model.2.pretrain={{source = '{tmp_path}', train = {{epochs = 1}}}}"
    tiny.run("train", "rides", pretrain)
    cells = {(cell.model.label, cell.fold): cell for cell in stored_experiment.read("rides").plan}
    for fold in (0, 1):
        start = runs_index.depends(cells["hybrid", fold].depends["start"])
        assert start["channels"] == cells["smoother", fold].key and start["transform"] == "residual"
    starts = {cell.depends["start"] for (label, _), cell in cells.items() if label == "hybrid"}
    assert len(starts) == 2  # one a fold: their estimators differ
    needed = runs_index.cells_needed([cells["hybrid", 0].key])
    assert needed == {cells["hybrid", 0].key, cells["hybrid", 0].depends["start"], cells["smoother", 0].key}


def test_matched_simulations_have_channels_that_saw_no_label_and_all_folds_share_them(
    toys: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy_estimator.PARTS[2].write_csv(tmp_path / "train.csv")
    monkeypatch.setattr(pretraining, "_simulated", lambda *_: tmp_path)
    tiny.run("train", "rides", "model.2.pretrain={rig = 'matched', train = {epochs = 1}}")
    cells = {(cell.model.label, cell.fold): cell for cell in stored_experiment.read("rides").plan}
    (start,) = {cell.depends["start"] for (label, _), cell in cells.items() if label == "hybrid"}
    depends = runs_index.depends(start)
    assert depends["embedded"] == "toy" and "channels" not in depends and depends["transform"] == "residual"
    assert cells["hybrid", 0].depends["channels"] == cells["smoother", 0].key  # its own series have the fold's
    table = tomllib.loads((home / "runs" / "rides" / "latest" / "config.toml").read_text())["model"][2]["pretrain"]
    assert table["rig"] == "matched"


def test_masked_copies_are_learned_from_beside_the_series_and_count_as_much(
    toys: Path, home: Path, training_data: dict[tuple[str, str], TrainingData], monkeypatch: pytest.MonkeyPatch
) -> None:
    masked, drawn_from = open_rows.masked, list[np.ndarray]()

    def seen(rows: dict[str, np.ndarray], number: int, among: np.ndarray) -> dict[str, np.ndarray]:
        drawn_from.append(among)
        return masked(rows, number, among)

    monkeypatch.setattr(open_rows, "masked", seen)
    tiny.run("train", "rides", "model.1.masked_copies=2", "model.2.masked_copies=2")
    cells = {cell.model.label: cell for cell in stored_experiment.read("rides").plan if cell.fold == 0}
    plain = planned()
    for name in ("lightgbm", "hybrid"):
        assert cells[name].depends["masked_copies"] == 2 and "masked_copies" not in plain[name].depends
    assert cells["smoother"].key == plain["smoother"].key
    own, *copies = training_data[str(home), cells["hybrid"].key].labelled_sets
    held = np.load(cells["hybrid"].folder / "held_out.npy")
    assert len(copies) == 2 and not set(held) & set(copies[0].series)
    inside = ~np.isin(own.store.series_of_answer, held)  # nothing of held-out series says what is hidden
    assert sum(np.array_equal(among, inside) for among in drawn_from) == len(drawn_from) / 2 == 4  # of two folds
    for number, copy in enumerate(copies):
        assert copy.store.given is not None and own.store.given is not None
        hidden = np.arange(len(own.store.given)) % 2 == number
        np.testing.assert_array_equal(copy.store.given, own.store.given & ~hidden)
        learned = copy.weight > 0
        assert set(copy.weight[learned]) == {0.5} and learned.sum() > (own.weight > 0).sum()
        np.testing.assert_array_equal(learned, copy.store.scored[copy.store.answers(copy.series)])


def test_trees_learn_from_copies_by_their_weight(toys: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def fit(self: LightGBM, x: np.ndarray, y: np.ndarray, *rest: object, **more: Any) -> None:
        seen.append((x, y, more["weight"]))
        real(self, x, y, *rest, **more)

    real = LightGBM.fit
    monkeypatch.setattr(LightGBM, "fit", fit)
    words = ["train", "rides", "executor.kind=serial"]
    tiny.run(*words, "model.1.masked_copies=2")
    (x, y, weight), *_ = seen
    assert len(x) == len(y) == len(weight) and set(weight) == {1.0, 0.5}
    whole, halves = (weight == 1.0).sum(), (weight == 0.5).sum()
    assert halves > 2 * whole  # copies leave more open than the series
    known = x[:, -5]  # its own target, NaN where it is wanted
    assert np.isnan(known).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("model.0.masked_copies=2", "or give channels_from"),
        ("model.2.masked_copies=-1", "must be a number of copies"),
        (
            "model.2={name = 'hybrid', channels_from = 'smoother', masked_copies = 1, train = {watch = {share = 0.2}}}",
            "set train.watch.share = 0",
        ),
        ("model.2.pretrain={source = 'other', rig = 'matched'}", 'is for source = "simulate"'),
        ("model.1.channels_from=lightgbm", "must be the label of an estimator further up, but these are smoother"),
        ("post.decode=false", "estimates the rows that a decoder leaves open: set post.decode = true"),
        ("model.1.teacher={exact = true}", "leave out teacher"),
        ("data.target_transform=log1p", "would be another scale"),
        ("data.observed=2", "is for one number at every step"),
        ("model.2.train={windows = {length = 4}}", "cut the series that channels belong to"),
        ("model.0.train={epochs = 3}", "of [train] only seeds and full_seeds matter"),
    ],
)
def test_what_does_not_go_together_is_refused(change: str, words: str, toys: Path) -> None:
    with pytest.raises(UserError) as refused:
        config.load(Path("rides"), [change])
    assert words in str(refused.value)


ABLATION = """
base = "rides.toml"
[ablate]
seeds = [0]
bootstrap = 100
[[variant]]
name = "no boosting"
drop = ["model.lightgbm"]
"""
SEARCH = """
base = "rides.toml"
[tune]
trials = 1
workers = 1
check_seeds = [0]
[space]
"blend.method" = {choices = ["mean", "median"]}
"""


def test_an_ablation_and_a_search_fit_estimators_to_exact_rows_of_test(toys: Path, home: Path) -> None:
    tiny.configure(home, "ablate-open", ABLATION)
    tiny.run("ablate", "ablate-open")
    trained = len(list((home / "runs" / "cells").glob("*/done.json")))
    tiny.configure(home, "tune-open", SEARCH)
    tiny.run("tune", "tune-open")
    assert trained == len(list((home / "runs" / "cells").glob("*/done.json"))) == 2 * 3


def test_full_cells_need_full_estimators(toys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "rides", "model.1.train={full_seeds = [0]}"]) == 2
    assert "has no cell of all series. It needs full_seeds" in capsys.readouterr().err


@pytest.mark.slow
def test_the_audit_finds_no_leak_and_blend_knows_what_members_cost(
    toys: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.run("train", "rides")
    tiny.run("blend", "rides")
    capsys.readouterr()
    assert main(["audit", "rides"]) == 0, capsys.readouterr().out
