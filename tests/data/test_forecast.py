"""Forecasts in their natural shape: windows by hand, the future of a series behind its past, nothing of it seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
import tiny_forecast
import torch
from tiny_forecast import HISTORY, HORIZON, data, shops

from foldline.cli.main import main
from foldline.core.errors import UserError
from foldline.data import featurize, folds, forecast, loading, submission_layout, time_spans
from foldline.data.featurize import FeaturesConfig
from foldline.data.fold_assignment import FoldsConfig
from foldline.data.forecast_config import KNOWN, OF_SERIES, ForecastConfig
from foldline.data.loading import Competition
from foldline.data.roles import DataConfig
from foldline.data.store import Store
from foldline.fit import boosting_cell, device_block, scaler, target_transform
from foldline.fit.labelled_series import labelled_series, unlabelled_series

EVERY = FeaturesConfig(
    families=("raw", "static", "target_lags", "calendar"),
    tables={"target_lags": {"lags": [1, 7], "season": 7, "last": [3]}},
)
CPU = torch.device("cpu")


def load(folder: Path, tables: dict[str, pl.DataFrame] | None = None, **changes: Any) -> Competition:
    return loading.load(data(folder, tables or shops(), **changes))


def stores(competition: Competition, features: FeaturesConfig = EVERY) -> tuple[Store, Store]:
    tables = competition.train, competition.test
    made = [featurize.obtain(table, features, competition.levels) for table in tables]
    return made[0], made[1]


def test_windows_of_training_series_by_hand(home: Path, tmp_path: Path) -> None:
    tables = shops()
    found = load(tmp_path / "a", tables).train
    assert found.keys[:4].to_list() == ["n0@2024-01-07", "n0@2024-01-11", "n1@2024-01-09", "n1@2024-01-13"]
    assert found.lengths[:4].tolist() == [6 + 4, 8 + 4, 7 + 4, 8 + 4]  # n0: 14 days, the first origin is its 7th
    assert found.known_steps[:4].tolist() == [6, 8, 7, 8]
    sales = tables["train"].filter(pl.col("shop") == "n0")["sales"].to_list()
    assert found.frame["sales"][:22].to_list() == [*sales[:10], *sales[2:]]
    day = [86400.0 * n for n in [*range(10), 0, 1]]  # each counts from its own start
    np.testing.assert_allclose(found.frame["day"][:12], day, rtol=1e-15)
    assert found.moments is not None and found.moments[10].date() == date(2024, 1, 3)
    assert (found.scored == ~found.observed).all() and found.scored.sum() == 12 * HORIZON
    assert len(np.unique(found.groups)) == 6 and (found.groups[::2] == found.groups[1::2]).all()


@pytest.mark.parametrize(("windows", "stride", "origins"), [(1, 0, [10]), (3, 2, [6, 8, 10]), (9, 4, [2, 6, 10])])
def test_origins_go_back_from_the_end_as_far_as_a_row_is_known(
    windows: int, stride: int, origins: list[int], home: Path, tmp_path: Path
) -> None:
    tables = shops(count=1, dates=False) | {"test": shops(count=1, dates=False)["test"]}
    chosen = ForecastConfig(history=5, horizon=4, windows=windows, stride=stride)
    found = load(tmp_path / "a", tables, forecast=chosen).train
    assert found.keys.to_list() == [f"n0@{origin}" for origin in origins]
    assert found.known_steps.tolist() == [min(5, origin) for origin in origins]
    assert found.frame["day"].gather(found.starts + found.known_steps).to_list() == origins  # numbers stay as they are


def test_a_gap_lies_between_what_is_known_and_what_is_predicted(home: Path, tmp_path: Path) -> None:
    """In windows as in test: its days are neither known nor predicted, and count in the horizon and in lags."""
    chosen = ForecastConfig(history=5, horizon=4, gap=2, windows=2)
    tables = later(shops(), 2)
    found = load(tmp_path / "a", tables, forecast=chosen)
    assert not found.test.notes and found.train.keys[:2].to_list() == ["n0@2024-01-07", "n0@2024-01-11"]
    assert found.train.known_steps[:2].tolist() == [4, 5]
    sales = tables["train"].filter(pl.col("shop") == "n0")["sales"].to_list()
    assert found.train.frame["sales"][8:17].to_list() == [*sales[3:8], *sales[10:14]]
    features = FeaturesConfig(families=("target_lags",), tables={"target_lags": {"lags": [3, 7], "last": [2]}})
    train, _ = stores(found, features)
    behind = np.asarray(train.x[13])  # the first predicted step: two days behind the last known one
    np.testing.assert_allclose(behind[:3], [3.0, sales[7], sales[3]], rtol=1e-6)


def test_the_rows_of_a_test_series_stand_behind_its_last_rows_in_train(home: Path, tmp_path: Path) -> None:
    tables = shops()
    new = tables["test"].head(2).with_columns(shop=pl.lit("new"), row=pl.Series([7, 8], dtype=pl.UInt32))
    tables["test"] = pl.concat([new, *tables["test"].partition_by("shop")[::-1]])
    tables["sample_submission"] = tables["test"].select("row", sales=pl.lit(0.0))
    found = load(tmp_path / "a", tables).test
    assert found.keys.to_list() == ["new", "n5", "n4", "n3", "n2", "n1", "n0"]
    assert found.known_steps.tolist() == [0, *[HISTORY] * 6] and found.lengths.tolist() == [2, 12, 11, 10, 12, 11, 10]
    rows = found.frame[2 : 2 + 12]
    both = [tables[name].filter(pl.col("shop") == "n5") for name in ("train", "test")]
    assert rows["promo"].to_list() == [*both[0]["promo"][-8:], *both[1]["promo"]]
    assert rows["row"].to_list() == [*[None] * 8, *both[1]["row"]]
    assert found.start is not None and found.start[2:10, 0].tolist() == both[0]["sales"][-8:].to_list()
    assert not found.start[10:14].any() and "sales" not in found.frame.columns
    assert found.notes == ("1 of 7 test series have no history in train.csv",)


def test_the_future_reaches_no_input_and_no_feature(home: Path, tmp_path: Path) -> None:
    """All targets at and behind every origin change: features, what networks get and what trees get stay."""
    first = load(tmp_path / "a", forecast=ForecastConfig(history=8, horizon=4))
    frame = first.train.frame.with_columns(sales=pl.when(pl.Series(first.train.observed)).then("sales").otherwise(-7.0))
    other = replace(first.train, frame=frame)
    one, two = (featurize.obtain(table, EVERY, first.levels) for table in (first.train, other))
    assert not np.array_equal(one.y, two.y)
    np.testing.assert_array_equal(one.x, two.x)
    every = np.arange(len(one.lengths))
    fitted = scaler.fit("standard", one, every, 0)
    blocks = [device_block.place_block([unlabelled_series(each, every)], fitted, 12, CPU).x for each in (one, two)]
    assert torch.equal(*blocks)
    np.testing.assert_array_equal(
        boosting_cell.inputs(one, one.rows(every)), boosting_cell.inputs(two, two.rows(every))
    )
    shown = frame.with_columns(sales=pl.when(pl.Series(first.train.observed)).then(-7.0).otherwise("sales"))
    past = featurize.obtain(replace(first.train, frame=shown), EVERY, first.levels)
    assert not np.array_equal(past.x, one.x)  # the past does reach them


def test_networks_get_each_series_own_known_steps(home: Path, tmp_path: Path) -> None:
    train, test = stores(load(tmp_path / "a"))
    assert train.observed == test.observed == HISTORY and train.known.all()
    fitted = scaler.fit("standard", train, np.arange(12), 0)
    for store, part in ((train, labelled_series), (test, unlabelled_series)):
        every = np.arange(len(store.lengths))
        x = device_block.place_block([part(store, every)], fitted, store.longest, CPU).x
        assert store.known_steps is not None
        known = np.arange(store.longest) < store.known_steps[:, None]
        np.testing.assert_array_equal(x[:, :, -1].numpy(), known)
        scaled = (store.pad(np.asarray(store.y))[..., 0] - fitted.y_center) / fitted.y_scale
        np.testing.assert_allclose(x[:, :, -2].numpy(), np.where(known, scaled, 0.0), rtol=1e-5)


def test_trees_get_the_latest_known_values_at_the_same_place(home: Path, tmp_path: Path) -> None:
    train, _ = stores(load(tmp_path / "a"))
    shown = boosting_cell.inputs(train, train.offsets + train.lengths - 1)[:, -HISTORY:]  # n0@2024-01-07 knows 6 steps
    values = [train.y[first : first + known, 0] for first, known in zip(train.offsets, train.known_steps, strict=True)]
    for row, known in zip(shown, values, strict=True):
        assert np.isnan(row[: HISTORY - len(known)]).all()
        np.testing.assert_array_equal(row[HISTORY - len(known) :], known.astype(np.float32))


@pytest.mark.parametrize("kind", ["standardise", "log1p-standardise"])
def test_the_scale_is_that_of_a_series_own_known_steps(kind: Any, home: Path, tmp_path: Path) -> None:
    train, test = stores(load(tmp_path / "a", target_transform=kind))
    fitted = target_transform.fit(kind, train, np.arange(12), 0)
    assert target_transform.from_json(fitted.to_json()).kind == fitted.kind == kind
    for store in (train, test):
        answers = np.arange(len(store.y))
        scaled = fitted.forward(np.asarray(store.y), store, answers)
        known = store.pad(store.in_start)
        for values, where in zip(store.pad(scaled)[..., 0], known, strict=True):
            assert abs(values[where].mean()) < 1e-12 and abs(values[where].std() - 1) < 1e-12
        np.testing.assert_allclose(fitted.inverse(scaled, store, answers), store.y, rtol=0, atol=1e-9)


def test_a_past_with_gaps_is_a_past(home: Path, tmp_path: Path) -> None:
    tables = shops()
    tables["train"] = tables["train"].with_columns(
        sales=pl.when(pl.int_range(pl.len()).over("shop").is_in([9, 12])).then(None).otherwise("sales")
    )
    found = load(tmp_path / "a", tables)
    train, test = stores(found)
    assert not train.known.all() and (train.scored <= train.known[:, 0]).all()
    assert found.test.start is not None and np.isnan(found.test.start).sum() == 2 * 6
    assert not test.known[np.isnan(found.test.start)].any() and np.isfinite(test.y).all()


@pytest.mark.parametrize("kind", ["group", "stratified-group"])
def test_windows_of_a_series_are_in_one_fold(kind: Any, home: Path, tmp_path: Path) -> None:
    train = load(tmp_path / "a").train
    made, _ = folds.obtain(FoldsConfig(kind=kind, k=3), "shops", train)
    assert (made.assignment[::2] == made.assignment[1::2]).all() and len(set(made.assignment)) == 3
    split = made.path.read_text().replace(
        f"n0@2024-01-07,{made.assignment[0]}", f"n0@2024-01-07,{(made.assignment[0] + 1) % 3}"
    )
    rows = split.split("\n", 1)[1]
    (tmp_path / "own.csv").write_text(rows)
    with pytest.raises(UserError, match=r"shop n0 is in folds \d and \d"):
        folds.read(tmp_path / "own.csv", FoldsConfig(kind=kind, k=3, file=str(tmp_path / "own.csv")), train)


def test_time_folds_hold_out_origins(home: Path, tmp_path: Path) -> None:
    """A window lies where it is predicted: earlier windows of the same series are trained on."""
    train = load(tmp_path / "a", shops(2), forecast=ForecastConfig(history=8, horizon=4, windows=3)).train
    config = FoldsConfig(kind="time", k=2)
    spans = time_spans.read(config, train)
    origins = [date.fromisoformat(key.split("@")[1]) for key in train.keys]
    day = 86_400_000_000
    assert spans.first.tolist() == [(each - date(1970, 1, 1)).days * day for each in origins]
    assert (spans.last - spans.first == 3 * day).all()
    made, _ = folds.obtain(config, "shops", train, save=False)
    last = made.held_out(1)
    assert set(train.groups[last]) & set(train.groups[made.inside(1)])
    assert spans.last[made.inside(1)].max() < spans.first[last].min()
    with pytest.raises(UserError, match=r"folds\.by = 'promo2' must have a role"):
        time_spans.read(replace(config, by="promo2"), train)


def test_a_submission_has_the_rows_of_test_alone(home: Path, tmp_path: Path) -> None:
    tables = shops()
    with_sample, without = (
        load(tmp_path / "a", tables),
        load(
            tmp_path / "b",
            {**tables, "sample_submission": None} and {k: v for k, v in tables.items() if k != "sample_submission"},
        ),
    )
    for found in (with_sample, without):
        layout = submission_layout.Layout.of(found.test, found.sample)
        predicted = np.where(found.test.observed, -1.0, np.arange(found.test.frame.height))[:, None]
        made = layout.laid_out(predicted)
        assert made["row"].to_list() == list(range(100, 100 + tables["test"].height)) and (made["sales"] > 0).all()
        assert made["sales"].is_sorted()


def long_sample(test: pl.DataFrame, template: str) -> pl.DataFrame:
    step = pl.int_range(pl.len()).over("shop")
    return test.select(Id=pl.format(template, "shop", step if template == "{}_{}" else "day"), sales=0.0)


def wide_sample(test: pl.DataFrame) -> pl.DataFrame:
    shops_of_test = test.select("shop").unique(maintain_order=True)
    return shops_of_test.with_columns(pl.lit(0.0).alias(f"F{number}") for number in range(1, HORIZON + 1))


@pytest.mark.parametrize(
    ("templates", "sample"),
    [
        ({"id": "Id", "id_template": "{shop} on {day}"}, lambda test: long_sample(test, "{} on {}")),
        ({"id": "Id", "id_template": "{shop}_{step}"}, lambda test: long_sample(test, "{}_{}")),
        ({"id": "shop", "column_template": "F{step + 1}"}, wide_sample),
    ],
    ids=["dates", "steps", "wide"],
)
def test_ids_count_and_name_the_rows_of_test(templates: Any, sample: Any, home: Path, tmp_path: Path) -> None:
    tables = shops()
    if templates["id"] == "shop":
        tables["test"] = tables["test"].filter(pl.len().over("shop") == HORIZON)
    tables["sample_submission"] = sample(tables["test"])
    found = load(tmp_path / "a", tables, **templates)
    layout = submission_layout.Layout.of(found.test, found.sample)
    made = layout.laid_out(np.arange(found.test.frame.height, dtype=float)[:, None])
    values = made.drop(templates["id"]).to_numpy().ravel()
    np.testing.assert_array_equal(values, np.flatnonzero(~found.test.observed))


def test_inputs_may_be_none_and_train_needs_no_ids(home: Path, tmp_path: Path) -> None:
    train, test = stores(load(tmp_path / "a", inputs=(), static=()), FeaturesConfig(families=("target_lags",)))
    assert train.names[0] == "horizon" and train.missing and test.names == train.names
    with pytest.raises(ValueError, match=r"only a forecast .* or a known start"):
        DataConfig(id="a", key="b", order="c", target=("d",), inputs=())
    with pytest.raises(UserError, match=r'make no feature .* "target_lags"'):
        found = load(tmp_path / "b", inputs=(), static=())
        featurize.check(found.train, FeaturesConfig(families=("static",)), found.levels)


def test_without_a_forecast_keys_are_what_they_were() -> None:
    plain = DataConfig(id="a", key="b", order="c", target=("d",), inputs=("e",))
    assert not {"forecast", "observed"} & set(plain.roles())
    forecast_of = {"history": 8, "horizon": 4, "gap": 0, "windows": 2, "stride": 0}
    assert DataConfig(**tiny_forecast.DATA).roles()["forecast"] == forecast_of


def later(tables: dict[str, pl.DataFrame], days: int) -> dict[str, pl.DataFrame]:
    return {**tables, "test": tables["test"].with_columns(pl.col("day") + timedelta(days))}


def test_a_gap_between_train_and_test_is_said(home: Path, tmp_path: Path) -> None:
    assert not load(tmp_path / "a").test.notes
    (note,) = load(tmp_path / "b", later(shops(), 3)).test.notes
    assert note == (
        "6 of 6 test series begin later than 1 steps after their rows in train.csv: if all do, say so by "
        "data.forecast.gap"
    )


def test_bad_input_is_refused_in_a_sentence(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"n0 begins at 2024-01-14, and train has it until 2024-01-14; 6 such series"):
        load(tmp_path / "a", later(shops(), -1))
    with pytest.raises(UserError, match=r"horizon = 3 must be at least .* n2 has 4; 2 such\. .* set it to 4"):
        load(tmp_path / "b", forecast=ForecastConfig(history=8, horizon=3))
    with pytest.raises(UserError, match=r"a window takes 31 rows, but the longest series has 16"):
        load(tmp_path / "c", forecast=ForecastConfig(history=8, horizon=30))
    short = load(tmp_path / "d", forecast=ForecastConfig(history=8, horizon=14)).train
    assert short.notes == ("2 of 6 training series are too short for a window: left out",)
    with pytest.raises(UserError, match=r"test\.csv lacks 'visitors'.*what is known of the future"):
        tables = shops()
        tables["train"] = tables["train"].with_columns(visitors=1)
        load(tmp_path / "e", tables, inputs=("promo", "visitors"))
    with pytest.raises(UserError, match=r"fewer than two \(first: shop new\)"):
        tables = shops()
        tables["test"] = tables["test"].with_columns(
            shop=pl.when(pl.col("shop") == "n5").then(pl.lit("new")).otherwise("shop")
        )
        load(tmp_path / "f", tables, target_transform="standardise")
    with pytest.raises(UserError, match=r"say so: data\.forecast"):
        load(tmp_path / "g", {**shops(), "train": shops()["train"].with_row_index("row")}, forecast=ForecastConfig())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"forecast": ForecastConfig(history=1, horizon=1), "target_transform": "standardise"},
            "forecast.history must be at least 2",
        ),
        ({"observed": 3}, "leave observed out"),
        ({"kind": "ordinal", "metric": "qwk"}, "forecast is for numbers at every step"),
    ],
)
def test_what_does_not_go_with_a_forecast_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataConfig(**{**tiny_forecast.DATA, **changes})
    with pytest.raises(ValueError, match="history and horizon must both be given"):
        ForecastConfig(history=3)
    with pytest.raises(ValueError, match="windows at least 1"):
        ForecastConfig(history=3, horizon=2, windows=0)


def test_a_column_may_say_how_many_steps_are_known(home: Path, tmp_path: Path) -> None:
    """The windows of a forecast, written as files, are the same series with the same keys' data."""
    found = load(tmp_path / "a")
    train = forecast.training_windows(loading.whole_series(tmp_path / "a" / "train.csv", found.data, labelled=True))
    frame = train.frame.with_columns(row=pl.int_range(pl.len()), day=train.moments, known=pl.col(KNOWN)).drop(
        KNOWN, OF_SERIES
    )
    empty = pl.when(pl.int_range(pl.len()).over("shop") < pl.col("known")).then("sales")
    test = frame.with_columns(shop=pl.lit("t") + pl.col("shop"), sales=empty)
    tables = {"train": frame, "test": test, "sample_submission": test.select("row", sales=pl.lit(0.0))}
    for name, table in tables.items():
        (tmp_path / "b").mkdir(exist_ok=True)
        table.write_parquet(tmp_path / "b" / f"{name}.parquet")
    again = loading.load(replace(found.data, source=str(tmp_path / "b"), forecast=ForecastConfig(), observed="known"))
    assert again.train.known_steps.tolist() == train.known_steps.tolist() == again.test.known_steps.tolist()
    one, two = stores(found)[0], stores(again)[0]
    np.testing.assert_array_equal(one.x, two.x)
    np.testing.assert_array_equal(one.y, two.y)
    for bad in (-1.0, 2.5):
        frame.with_columns(known=bad).write_parquet(tmp_path / "b" / "train.parquet")
        with pytest.raises(UserError, match=r"'known', which data\.observed names, must be a whole number"):
            loading.load(again.data)


def test_from_files_to_a_submission_and_new_ones(home: Path, tmp_path: Path) -> None:
    """Later training rows are history for infer; no model sees a target of test, which has none."""
    source = tiny.write(tmp_path / "shops", shops())
    tiny_forecast.install(home, source)
    assert main(["train", "shops"]) == 0
    first = tiny.submission(home, "shops")
    assert first.count(b"\n") == 1 + shops()["test"].height
    assert main(["infer", "shops", f"data.source={source}"]) == 0
    assert tiny.submission(home, "shops") == first


def test_dates_of_both_tables_are_written_alike(home: Path, tmp_path: Path) -> None:
    tables, zone = shops(), pl.format("{}T00:00:00Z", "day").alias("day")
    zoned = {name: tables[name].with_columns(zone) for name in ("train", "test")}
    assert load(tmp_path / "a", {**tables, **zoned}).test.known_steps.tolist() == [HISTORY] * 6
    with pytest.raises(UserError, match=r"test\.csv: 'day' goes on from .*train\.csv and must hold .* of one kind"):
        load(tmp_path / "b", {**tables, "train": zoned["train"]})


def test_long_whole_numbers_have_no_calendar(home: Path, tmp_path: Path) -> None:
    tables, long = shops(dates=False), pl.col("day") + (1 << 60)
    found = load(tmp_path / "a", {**tables, **{name: tables[name].with_columns(long) for name in ("train", "test")}})
    with pytest.raises(UserError, match=r"calendar needs dates or times as data\.order"):
        stores(found)
    assert stores(found, FeaturesConfig(families=("raw", "target_lags")))[0].names[0] == "promo"
