"""Channels that are dropped in training look just as those that a series lacks: to networks, trees and ROCKET."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
import torch
from lab import padded
from tiny_classes import Songs

from foldline.cli.main import main
from foldline.core.errors import UserError
from foldline.data import featurize, loading, store_contents
from foldline.data.featurize import FeaturesConfig
from foldline.data.roles import DataConfig
from foldline.data.store import Store
from foldline.experiment import config
from foldline.features import Columns, Family
from foldline.fit import channel_dropout, device_dataset, scaler
from foldline.fit.augment import drop_channels
from foldline.fit.labelled_series import labelled_series
from foldline.fit.train_config import AugmentConfig, TrainConfig

DATA = DataConfig(
    id="row",
    key="ride",
    order="second",
    inputs=("power", "coasting", "road"),
    categorical=("road",),
    static=("bike",),
    target=("speed",),
    channels={"meter": ("power", "road")},
)
FAMILIES = ("raw", "time", "integral", "lags", "differences", "stats", "summary", "correlation", "static")
FEATURES = FeaturesConfig(
    families=FAMILIES,
    tables={"lags": {"columns": ["power", "coasting"], "lags": [1]}, "correlation": {"inputs": ["power", "coasting"]}},
)


def store(tmp_path: Path, lacking: bool = False, data: DataConfig = DATA) -> Store:
    """Rides of 10 and 7 steps; every third one, if asked for, without the inputs of the meter."""
    frame = tiny.frames()["train"].filter((pl.col("ride") % 2 == 0) | (pl.col("second") < 3.5))
    road = pl.Series([("asphalt", "gravel")[number % 2] for number in range(frame.height)])
    frame = frame.with_columns(road=road)
    table = loading.load_table(_written(frame, tmp_path / "whole.parquet"), data, labelled=True)
    levels = {"bike": (20, 28), "road": ("asphalt", "gravel")}
    if lacking:
        lost = pl.col("ride") % 3 == 0
        frame = frame.with_columns(
            power=pl.when(lost).then(None).otherwise("power"), road=pl.when(lost).then(None).otherwise("road")
        )
        path = _written(frame, tmp_path / "lacking.parquet")
        table = loading.load_table(path, data, labelled=True, levels=levels, facts=table.facts)
    return featurize.obtain(table, FEATURES, levels)


def _written(frame: pl.DataFrame, path: Path) -> Path:
    frame.write_parquet(path)
    return path


def test_complete_training_data_have_a_flag_for_each_input_of_a_channel(tmp_path: Path, home: Path) -> None:
    data = store(tmp_path)
    flag = data.x[:, data.names.index("missing(power)")]
    assert not data.missing and not flag.any()
    made = {data.names[place] for place in data.absent["meter"].features}
    assert {"power", "missing(power)", "power.lag1", "road=gravel"} & set(data.names) <= made
    assert not made & {"coasting", "missing(coasting)", "bike=20"}
    assert not store(tmp_path, data=replace(DATA, channels={})).absent


class Mixed(Family):
    """A feature that is not missing without the meter, but that of coasting."""

    lookahead = False

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        return [(pl.col("power").fill_nan(1.0) * pl.col("coasting")).alias("mixed")]


def test_a_feature_that_other_inputs_move_too_counts_as_missing_wherever_they_do(tmp_path: Path) -> None:
    """Of all series, not of the first ones: the last one alone coasts."""
    coasting = (pl.col("ride") == pl.col("ride").max()).cast(pl.Int64)
    for moves, value in ((coasting, None), (pl.lit(0), 0.0)):
        frame = tiny.frames()["train"].with_columns(coasting=moves)
        data = replace(DATA, inputs=("power", "coasting"), categorical=(), channels={"meter": ("power",)})
        table = loading.load_table(_written(frame, tmp_path / "rides.parquet"), data, labelled=True)
        columns = featurize.columns_of(table, {"bike": (20, 28)})
        found = store_contents.absent_of(table, [Mixed()], columns, [["power", "coasting"]])
        assert found == {"meter": {"features": [0], "values": [value]}}


def test_a_dropped_channel_is_one_that_a_series_lacks(tmp_path: Path, home: Path) -> None:
    """Of every family, in networks' input and in trees' rows; lags outside of their series are 0 in both."""
    whole, lacking = store(tmp_path), store(tmp_path, lacking=True)
    series, lost = np.arange(12), np.arange(1, 13) % 3 == 0
    fitted = scaler.fit("robust", whole, series, 0)
    found = []
    for data in (whole, lacking):
        placed = device_dataset.place([labelled_series(data, series)], fitted, (10,), torch.device("cpu"))
        found.append(placed.blocks[0].batch(torch.arange(12)))
    dropped = drop_channels(found[0], {"meter": 1.0}, placed.absent)
    outside = np.zeros((12, 10, len(whole.names)), dtype=bool)
    outside[:, :, [place for place, name in enumerate(whole.names) if name.startswith("power@")]] = True
    outside &= padded(lacking) == 0
    assert outside.any() and torch.equal(dropped.x[lost][~outside[lost]], found[1].x[lost][~outside[lost]])
    assert torch.equal(dropped.x[~found[0].mask], torch.zeros_like(dropped.x[~found[0].mask]))  # type: ignore[operator, index]
    rows = whole.rows(series)
    x, of_row = whole.features(rows), whole.series_of_answer
    channel_dropout.without(x, of_row, whole, {"meter": lost})
    np.testing.assert_array_equal(np.where(outside[whole.mask()], 0, x), lacking.features(rows))


def test_each_series_is_drawn_for_itself_and_the_draw_is_that_of_the_step(tmp_path: Path, home: Path) -> None:
    data = store(tmp_path)
    fitted = scaler.fit("robust", data, np.arange(12), 0)
    placed = device_dataset.place([labelled_series(data, np.arange(12))], fitted, (10,), torch.device("cpu"))
    batch, flag = placed.blocks[0].batch(torch.arange(12)), data.names.index("missing(power)")
    seen = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        seen.append(drop_channels(batch, {"meter": 0.5}, placed.absent).x[:, 0, flag])
    assert torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], seen[2]) and 0 < seen[0].sum() < 12
    once = channel_dropout.drawn(data, {"meter": 0.5}, 0)["meter"]
    assert 0 < once.sum() < 12 and np.array_equal(once, channel_dropout.drawn(data, {"meter": 0.5}, 0)["meter"])


@pytest.mark.parametrize("model", ["lightgbm", "rocket", "hybrid"])
def test_a_channel_that_test_lacks_reaches_every_kind_of_model(
    model: str, tmp_path: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Half of the test series have no pitch, all training series have one; without data.channels a run says so."""
    table = {
        "lightgbm": "{name = 'lightgbm', rounds = 5, min_data_in_leaf = 2}",
        "rocket": "{name = 'rocket', kernels = 84}",
        "hybrid": "{name = 'hybrid', width = 4, blocks = [{kind = 'conv', kernel = 3}]}",
    }[model]
    songs = Songs("multiclass", probabilities=True)
    songs.install(home, tmp_path / "songs")
    frames = songs.frames()
    half = pl.when(pl.col("song").is_in(["s501", "s503", "s505"])).then(None).otherwise("pitch").alias("pitch")
    tiny.write(tmp_path / "songs", {**frames, "test": frames["test"].with_columns(half)})
    words = ["train", "songs", f"model=[{table}]", "train.epochs=1"]
    tiny.run(*words)
    assert "missing in test, but nowhere in training: pitch" in capfd.readouterr().err
    plain = pl.read_csv(tiny.submission(home, "songs"))
    tiny.run(*words, "data.channels={voice = ['pitch']}", "train.augment.drop_channels={voice = 0.5}")
    assert "nowhere in training" not in capfd.readouterr().err
    dropped = pl.read_csv(tiny.submission(home, "songs"))
    assert dropped.height == 6 and not dropped.equals(plain)


@pytest.mark.parametrize("name", ["lightgbm", "rocket"])
def test_a_model_that_is_no_network_may_drop_channels_of_its_own(name: str, tmp_path: Path, home: Path) -> None:
    Songs().install(home, tmp_path / "songs")
    own = f"model=[{{name = '{name}', train = {{augment = {{drop_channels = {{voice = 0.5}}}}}}}}]"
    channels = "data.channels={voice = ['pitch']}"
    found = config.load(Path("songs"), [channels, own])
    assert found.models[0].train.augment.drop_channels == {"voice": 0.5} and not found.train.augment.drop_channels
    with pytest.raises(UserError, match=f"matter to {name}, but got augment"):
        config.load(Path("songs"), [channels, own.replace("{drop_", "{mixup = 0.5, drop_")])


def test_channels_that_are_none_are_refused_before_training(
    tmp_path: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Songs().install(home, tmp_path / "songs")
    assert main(["train", "songs", "train.augment.drop_channels={voice = 0.5}"]) == 2
    assert "names 'voice', but there are no data.channels" in capfd.readouterr().err
    words = ["data.channels={sound = ['pitch']}", "train.augment.drop_channels={voice = 0.5}"]
    assert main(["train", "songs", *words]) == 2
    assert "voice" in capfd.readouterr().err and not (home / "runs" / "songs").exists()


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ({"a": ("power",), "b": ("power",)}, "'power' is in several"),
        ({"a": ()}, "one has none"),
        ({"a": ("bike",)}, "channels must name inputs"),
    ],
)
def test_groups_that_are_none_are_refused(channels: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(DATA, channels=channels)
    with pytest.raises(ValueError, match="must be a share from 0 to 1"):
        TrainConfig(augment=AugmentConfig(drop_channels={"a": 1.5}))
