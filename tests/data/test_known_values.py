"""data.known: what is known of a target reaches the models, is not scored, and nothing else of it ever does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
import tiny_tanks
import torch
from polars.testing import assert_frame_equal

from foldline.cli.main import main
from foldline.core.errors import UserError
from foldline.data import featurize, loading
from foldline.data.featurize import FeaturesConfig
from foldline.data.forecast_config import ForecastConfig
from foldline.data.loading import Competition
from foldline.data.roles import DataConfig
from foldline.data.store import Store
from foldline.fit import boosting_cell, device_block, scaler
from foldline.fit.labelled_series import unlabelled_series

DATA = DataConfig(
    id="row",
    key="tank",
    order="hour",
    inputs=("pump", "tap"),
    target=("level",),
    known=("level",),
    source="tanks",
)
CPU = torch.device("cpu")


def load(folder: Path, tables: dict[str, pl.DataFrame], **changes: Any) -> Competition:
    return loading.load(replace(DATA, source=str(tiny.write(folder, tables)), **changes))


def stores(competition: Competition) -> tuple[Store, Store]:
    features = FeaturesConfig(families=("raw",))
    made = [featurize.obtain(table, features, competition.levels) for table in (competition.train, competition.test)]
    return made[0], made[1]


def inputs(store: Store, fitted: scaler.Scaler) -> torch.Tensor:
    """What a network is given to predict all series."""
    every = unlabelled_series(store, np.arange(len(store.lengths)))
    return device_block.place_block([every], fitted, store.longest, CPU).x


def with_train_readings() -> dict[str, pl.DataFrame]:
    """The tables with the readings of both in a column beside the target."""
    test = tiny_tanks.frames()["test"].rename({"level": "reading"})
    return {**tiny_tanks.frames(), "train": tiny_tanks.tanks(1, 12, seed=0), "test": test}


def test_what_test_gives_is_known_and_not_scored(home: Path, tmp_path: Path) -> None:
    tables = tiny_tanks.frames()
    train, test = stores(load(tmp_path / "a", tables))
    level = tables["test"]["level"]
    np.testing.assert_array_equal(test.given, level.is_not_null().to_numpy())
    np.testing.assert_array_equal(test.scored, level.is_null().to_numpy())
    np.testing.assert_array_equal(test.y[:, 0], level.fill_null(0.0).to_numpy())
    np.testing.assert_array_equal(test.known[:, 0], test.in_start)
    assert train.given is not None and train.known.all() and train.eligible is not None and train.eligible.all()
    np.testing.assert_array_equal(train.scored, ~train.given)
    assert 0.1 < train.given.mean() < 0.3  # as of test
    assert train.channels == test.channels == len(test.names) + 2


def test_the_masks_of_training_series_are_those_of_test_series(home: Path, tmp_path: Path) -> None:
    found = load(tmp_path / "a", tiny_tanks.frames(train_series=40, test_series=30))
    assert found.train.given is not None and found.test.given is not None
    theirs = [part.tolist() for part in np.split(found.test.given, found.test.starts[1:])]
    ours = [part.tolist() for part in np.split(found.train.given, found.train.starts[1:])]
    same = [mask in theirs for mask in ours if len(mask) in map(len, theirs)]
    assert len(same) > 30 and all(same)


def test_a_column_beside_the_target_says_what_is_known_of_train(home: Path, tmp_path: Path) -> None:
    tables = with_train_readings()
    found = load(tmp_path / "a", tables, known=("reading",))
    assert found.train.given is not None
    np.testing.assert_array_equal(found.train.given, tables["train"]["reading"].is_not_null().to_numpy())
    assert "reading" not in (*found.train.frame.columns, *found.test.frame.columns)
    drawn = load(tmp_path / "b", {**tables, "train": tables["train"].drop("reading")}, known=("reading",))
    own = load(tmp_path / "c", tiny_tanks.frames())
    np.testing.assert_array_equal(drawn.train.given, own.train.given)
    assert drawn.train.fingerprint == own.train.fingerprint != found.train.fingerprint


def test_scores_keep_their_condition(home: Path, tmp_path: Path) -> None:
    found = load(tmp_path / "a", tiny_tanks.frames(), scored="tap = 0")
    for table in (found.train, found.test):
        assert table.given is not None
        np.testing.assert_array_equal(table.scored, (table.frame["tap"].to_numpy() == 0) & ~table.given)


def test_a_network_gets_values_scaled_and_a_flag_behind_its_features(home: Path, tmp_path: Path) -> None:
    train, test = stores(load(tmp_path / "a", tiny_tanks.frames()))
    fitted = scaler.fit("standard", train, np.arange(12), 0)
    assert test.given is not None
    x, given = inputs(test, fitted), test.pad(test.given)
    np.testing.assert_array_equal(x[..., -1], given)
    scaled = (test.pad(test.y)[..., 0] - fitted.y_center) / fitted.y_scale
    np.testing.assert_allclose(x[..., -2], np.where(given, scaled, 0.0), rtol=1e-5)


def test_trees_get_the_value_and_the_nearest_known_ones(home: Path, tmp_path: Path) -> None:
    _, test = stores(load(tmp_path / "a", tiny_tanks.frames()))
    x = boosting_cell.inputs(test, np.array([9, 3, 4]))
    assert test.given is not None and x.shape == (3, len(test.names) + 5) and x.dtype == np.float32
    np.testing.assert_array_equal(x[:, :-5], test.features(np.array([9, 3, 4])))
    for row, columns in zip((9, 3, 4), x[:, -5:], strict=True):
        known = [place for place in range(int(test.lengths[0])) if test.given[place]]
        before = max((place for place in known if place < row), default=None)
        after = min((place for place in known if place > row), default=None)
        expected = [test.y[each, 0] if each is not None else np.nan for each in (before, after)]
        steps = [np.nan if before is None else row - before, np.nan if after is None else after - row]
        own = test.y[row, 0] if test.given[row] else np.nan
        np.testing.assert_allclose(columns, [own, *expected, *steps], rtol=1e-6)


def test_unknown_targets_never_reach_an_input_and_known_ones_do(home: Path, tmp_path: Path) -> None:
    tables = with_train_readings()
    first, _ = stores(load(tmp_path / "a", tables, known=("reading",)))
    fitted = scaler.fit("standard", first, np.arange(12), 0)
    unread = pl.col("reading").is_null()
    for name, level, same in (
        ("b", pl.when(unread).then(-7.0).otherwise("level"), True),
        ("c", pl.when(unread).then("level").otherwise(-7.0), False),
    ):
        train = tables["train"].with_columns(level=level)
        other, _ = stores(load(tmp_path / name, {**tables, "train": train}, known=("reading",)))
        assert not np.array_equal(first.y, other.y)
        assert torch.equal(inputs(first, fitted), inputs(other, fitted)) == same
        rows = [boosting_cell.inputs(data, data.rows(np.arange(12))) for data in (first, other)]
        assert np.array_equal(*rows, equal_nan=True) == same


def test_keys_hold_the_masks_and_without_it_they_are_what_they_were(home: Path, tmp_path: Path) -> None:
    tables = tiny_tanks.frames()
    assert "known" not in replace(DATA, known=()).roles() and DATA.roles()["known"] == ["level"]
    first, again = load(tmp_path / "a", tables), load(tmp_path / "b", tables)
    assert first.train.fingerprint == again.train.fingerprint
    fewer = tables["test"].with_columns(level=pl.when(pl.col("hour") > 3).then("level"))
    other = load(tmp_path / "c", {**tables, "test": fewer})
    assert_frame_equal(first.train.frame, other.train.frame)
    assert first.train.fingerprint != other.train.fingerprint
    plain = load(tmp_path / "d", {**tables, "test": tables["test"].drop("level")}, known=())
    assert plain.train.given is None and plain.train.scored.all()


def test_the_files_are_refused(home: Path, tmp_path: Path) -> None:
    tables = tiny_tanks.frames()
    test = tables["test"]
    for name, changed, words in (
        ("a", test.drop("level"), r"data\.known = \['level'\] says where .* there is no column 'level'"),
        ("b", test.with_columns(level=pl.lit(None, pl.Float64)), "no row has a value there"),
        ("c", test.with_columns(level=pl.lit(1.0)), "test.csv: all rows that would be scored have level"),
        (
            "d",
            test.with_columns(level=pl.when(pl.col("tap") > 0).then(None).otherwise(np.inf)),
            r"hold finite numbers, .* row 5000",
        ),
    ):
        with pytest.raises(UserError, match=words):
            load(tmp_path / name, {**tables, "test": changed})
    both = {**tables, "test": test.with_columns(second=pl.lit(1.0)), "train": tables["train"].with_columns(second=1.0)}
    with pytest.raises(UserError, match=r"level, second, .* for all targets, or for none, .* row 500000"):
        load(tmp_path / "e", both, target=("level", "second"), known=("level", "second"))
    full = with_train_readings()
    full["train"] = full["train"].with_columns(reading="level")
    with pytest.raises(UserError, match=r"train.csv: all rows that would be scored have reading"):
        load(tmp_path / "f", full, known=("reading",))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"observed": 2}, "leave observed out"),
        ({"forecast": ForecastConfig(history=3, horizon=2)}, "leave forecast out"),
        ({"kind": "binary", "metric": "auc"}, "known is for numbers at every step"),
        ({"known": ("level", "other")}, "one column a target, of 1, but names 2"),
        ({"known": ("pump",)}, "a column has one role"),
        ({"target": ("level", "b"), "known": ("b", "level")}, "the targets' own columns, or others"),
        ({"source": "simulate"}, "does not write"),
        ({"known": ("reading",), "metric_columns": ("reading",)}, "known says is empty wherever rows are scored"),
        ({"target_transform": "standardise"}, "known lie anywhere"),
    ],
)
def test_keys_that_contradict_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(DATA, **changes)


def test_several_target_tables_refuse_it(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tiny_tanks.install(home, tiny.write(tmp_path / "tanks", tiny_tanks.frames()))
    tables = "".join(f'[[target]]\ncolumns = ["{name}"]\nmetric = "mae"\n' for name in ("level", "other"))
    path.write_text(path.read_text().replace('target = ["level"]\n', "").replace("[features]", f"{tables}[features]"))
    assert main(["train", "tanks"]) == 2
    assert "data.known names the known values of one target" in capsys.readouterr().err
