"""data.observed: the target's known start reaches the models, is not scored, and nothing behind it ever does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
import torch
from polars.testing import assert_frame_equal

from foldline.cli.main import main
from foldline.core.errors import UserError
from foldline.data import featurize, loading, source_folder
from foldline.data.featurize import FeaturesConfig
from foldline.data.loading import Competition
from foldline.data.roles import DataConfig
from foldline.data.simulate_config import SimulateConfig
from foldline.data.store import Store
from foldline.fit import boosting_cell, device_block, network_build, scaler
from foldline.fit.labelled_series import unlabelled_series

KNOWN, STEPS = 3, 10
DATA = DataConfig(
    id="row", key="ride", order="second", inputs=("power",), static=("bike",), target=("speed",), observed=KNOWN
)
CPU, EVERY = torch.device("cpu"), np.arange(4)


def frames(later: float | None = None) -> dict[str, pl.DataFrame]:
    """The rides; speeds of the test rides are shown at the first steps, and behind them stands `later`."""
    tables = tiny.frames()
    speeds = tiny.rides(501, 4, STEPS, seed=1)["speed"]
    start = pl.int_range(pl.len()).over("ride") < KNOWN
    tables["test"] = tables["test"].with_columns(speed=pl.when(start).then(speeds).otherwise(pl.lit(later)))
    return tables


def load(folder: Path, tables: dict[str, pl.DataFrame], **changes: Any) -> Competition:
    return loading.load(replace(DATA, source=str(tiny.write(folder, tables)), **changes))


def stores(competition: Competition) -> tuple[Store, Store]:
    features = FeaturesConfig(families=("raw", "static"))
    made = [featurize.obtain(table, features, competition.levels) for table in (competition.train, competition.test)]
    return made[0], made[1]


def inputs(store: Store, fitted: scaler.Scaler) -> torch.Tensor:
    """What a network is given of the first series."""
    unlabelled = unlabelled_series(store, EVERY)
    return device_block.place_block([unlabelled], fitted, STEPS, CPU).x


def test_the_start_is_known_in_both_tables_and_not_scored(home: Path, tmp_path: Path) -> None:
    train, test = stores(load(tmp_path / "a", frames()))
    assert train.labelled and not test.labelled and train.observed == test.observed == KNOWN and train.known.all()
    speeds = tiny.rides(501, 4, STEPS, seed=1)["speed"].to_numpy().reshape(4, STEPS, 1)
    np.testing.assert_array_equal(test.pad(test.y)[:, :KNOWN], speeds[:, :KNOWN])
    np.testing.assert_array_equal(test.known[:, 0], test.step_of_answer < KNOWN)
    for data in (train, test):
        np.testing.assert_array_equal(data.scored, data.step_of_answer >= KNOWN)


def test_a_network_gets_the_start_scaled_and_a_flag_behind_its_features(home: Path, tmp_path: Path) -> None:
    train, test = stores(load(tmp_path / "a", frames()))
    fitted = scaler.fit("standard", train, np.arange(12), 0)
    x, value = inputs(test, fitted), test.pad(test.y)[:, :KNOWN]
    assert test.channels == x.shape[2] == len(test.names) + 2
    assert (x[:, :, -1] == torch.tensor([1.0] * KNOWN + [0.0] * (STEPS - KNOWN))).all()
    np.testing.assert_allclose(x[:, :KNOWN, -2:-1], (value - fitted.y_center) / fitted.y_scale, rtol=1e-5)
    assert not x[:, KNOWN:, -2:].any() and network_build.with_known_start(fitted.targets, test).observed == KNOWN


def test_later_values_of_the_test_file_change_nothing_that_is_read(home: Path, tmp_path: Path) -> None:
    empty, full = load(tmp_path / "a", frames(None)), load(tmp_path / "b", frames(99.0))
    assert_frame_equal(empty.test.frame, full.test.frame)
    np.testing.assert_array_equal(empty.test.start, full.test.start)
    assert empty.test.fingerprint == full.test.fingerprint and "speed" not in full.test.frame.columns


def test_later_values_of_the_training_target_never_reach_an_input(home: Path, tmp_path: Path) -> None:
    tables = frames()
    first, _ = stores(load(tmp_path / "a", tables))
    behind = pl.int_range(pl.len()).over("ride") >= KNOWN
    tables["train"] = tables["train"].with_columns(speed=pl.when(behind).then(-7.0).otherwise("speed"))
    other, _ = stores(load(tmp_path / "b", tables))
    fitted = scaler.fit("standard", first, np.arange(12), 0)
    assert not np.array_equal(first.y, other.y) and torch.equal(inputs(first, fitted), inputs(other, fitted))
    rows = [boosting_cell.inputs(data, data.rows(EVERY)) for data in (first, other)]
    np.testing.assert_array_equal(rows[0], rows[1])
    assert rows[0].shape == (4 * STEPS, len(first.names) + KNOWN)


@pytest.mark.parametrize("rows", [1, 7, 1 << 20])
def test_trees_see_features_and_known_start_of_just_the_given_rows(
    rows: int, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boosting_cell, "ROWS_PER_CHUNK", rows)
    _, test = stores(load(tmp_path / "a", frames()))
    some = np.array([35, 2, 11, 10])
    x = boosting_cell.inputs(test, some)
    assert x.dtype == np.float32 and x.shape == (4, len(test.names) + KNOWN)
    np.testing.assert_array_equal(x[:, :-KNOWN], test.features(some))
    start = test.pad(test.y[:, 0])[:, :KNOWN].astype(np.float32)
    np.testing.assert_array_equal(x[:, -KNOWN:], start[[3, 0, 1, 1]])


def test_the_start_itself_does_reach_the_input(home: Path, tmp_path: Path) -> None:
    tables = frames()
    first, _ = stores(load(tmp_path / "a", tables))
    tables["train"] = tables["train"].with_columns(pl.col("speed") + 1.0)
    other, _ = stores(load(tmp_path / "b", tables))
    fitted = scaler.fit("standard", first, np.arange(12), 0)
    assert not torch.equal(inputs(first, fitted), inputs(other, fitted))


def test_without_it_keys_are_what_they_were(home: Path, tmp_path: Path) -> None:
    assert "observed" not in replace(DATA, observed=0).roles() and DATA.roles()["observed"] == KNOWN
    train, _ = stores(load(tmp_path / "a", tiny.frames(), observed=0))
    assert train.observed == 0 and train.channels == len(train.names)


def test_a_start_that_is_not_there_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no column 'speed'"):
        load(tmp_path / "a", tiny.frames())
    with pytest.raises(UserError, match=r"first 4 steps of each series, but is not at row 501003; 4 such rows"):
        load(tmp_path / "b", frames(), observed=4)
    with pytest.raises(UserError, match=r"no series is longer than data\.observed = 10"):
        load(tmp_path / "c", frames(1.0), observed=10)
    with pytest.raises(ValueError, match="observed must be a number of steps"):
        replace(DATA, observed=-1)


@pytest.mark.parametrize(
    "role",
    [
        {"static": ("known",)},
        {"static": ("known",), "static_numeric": ("known",)},
        {"inputs": ("power", "known"), "categorical": ("known",)},
    ],
)
def test_a_column_of_known_steps_may_have_another_role_too(role: Any, home: Path, tmp_path: Path) -> None:
    tables = frames()
    tables["train"] = tables["train"].with_columns(known=2 + pl.col("bike") // 28)
    tables["test"] = tables["test"].with_columns(known=pl.lit(KNOWN))
    found = load(tmp_path / "a", tables, observed="known", **role)
    assert set(found.train.known_steps.tolist()) == {2, 3} and set(found.test.known_steps.tolist()) == {KNOWN}
    assert found.levels["known"] == (() if "static_numeric" in role else (2.0, 3.0))


def test_a_step_of_the_start_without_a_target_is_missing_to_trees(home: Path, tmp_path: Path) -> None:
    """It is not 0, in a training table, where it may lack; and cells that took it for 0 have another key."""
    tables, lacks, shown = frames(), [], []
    for speed in (pl.col("speed"), pl.when(pl.col("row") != 1001).then("speed")):  # the second step of the first ride
        tables["train"] = frames()["train"].with_columns(speed)
        train, test = stores(load(tmp_path / "a", tables))
        shown.append(boosting_cell.inputs(train, train.rows(EVERY))[:, -KNOWN:])
        assert not np.isnan(boosting_cell.inputs(test, test.rows(EVERY))).any()
        lacks.append(boosting_cell.start_lacks(train))
    whole, lacking = shown
    assert np.isnan(lacking[:STEPS, 1]).all() and lacks == [False, True]
    lacking[:STEPS, 1] = whole[:STEPS, 1]
    np.testing.assert_array_equal(lacking, whole)


def test_a_simulated_competition_shows_the_start_and_hides_the_rest(home: Path) -> None:
    roles = DataConfig(
        id="id",
        key="breath_id",
        order="time_step",
        target=("pressure",),
        inputs=("u_in", "u_out"),
        static=("R", "C"),
        simulate=SimulateConfig(breaths=3, test_breaths=2),
        observed=5,
    )
    shown, plain = loading.load(roles), loading.load(replace(roles, observed=0))
    assert_frame_equal(shown.test.frame, plain.test.frame)
    assert shown.test.start is not None
    assert shown.test.start.reshape(2, 80)[:, :5].all() and not shown.test.start.reshape(2, 80)[:, 5:].any()
    assert sorted(path.name for path in source_folder.of(roles).glob("*.csv")) == [
        "sample_submission.csv",
        "test.csv",
        "train.csv",
    ]


def test_forecasting_forms_train_and_predict_and_later_test_values_change_no_byte(home: Path, tmp_path: Path) -> None:
    written = []
    for later in (None, 99.0):
        source = tiny.write(tmp_path / f"rides-{later}", frames(later))
        path = tiny.install(home, source)
        tables = path.read_text().replace("[features]", f"observed = {KNOWN}\n[features]", 1)
        path.write_text(tables.replace('[[model]]\nname = "hybrid"', FORMS + '[[model]]\nname = "hybrid"'))
        assert main(["train", "rides"]) == 0
        written.append(tiny.submission(home))
        assert main(["infer", "rides", f"data.source={source}"]) == 0
    assert written[0] == written[1]


FORMS = """
[[model]]
name = "deepar"
form = "autoregressive"
width = 4
layers = 1
paths = 5

[[model]]
name = "esrnn"
form = "forecast"
width = 4

[[model]]
name = "wavenet"
width = 8
layers = 3

[[model]]
name = "seq2seq"
autoregressive = true
width = 4
align = 2
"""
