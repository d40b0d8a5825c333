"""What files say of themselves: roles with evidence, and questions where there are two readings."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import tiny
import tiny_tanks
from tiny_classes import KINDS, LEVELS, Songs

from foldline.data.inspection import Findings, inspect


def rides() -> dict[str, pl.DataFrame]:
    return dict(tiny.frames())


def found(frames: dict[str, pl.DataFrame]) -> Findings:
    return inspect(frames["train"], frames["test"], frames.get("sample_submission"))


def test_roles_of_a_competition_of_steps() -> None:
    seen = found(rides())
    assert (seen.id, seen.key, seen.order, seen.target) == ("row", "ride", "second", ["speed"])
    assert (seen.level, seen.kind, seen.group, seen.static) == ("step", "regression", "", ["bike"])
    assert seen.inputs == ["power", "coasting"]
    assert "none of them in test" in seen.evidence["key"] and "not in test" in seen.evidence["target"]
    assert seen.unclear == ["row would do as order, too."]


@pytest.mark.parametrize("kind", [pl.String, pl.Float64, pl.Null])
def test_a_column_without_any_value_has_no_role(kind: type[pl.DataType]) -> None:
    """As a static column `train` would refuse it."""
    frames = rides()
    for stem in ("train", "test"):
        frames[stem] = frames[stem].with_columns(note=pl.lit(None, dtype=kind))
    seen = found(frames)
    assert seen.static == ["bike"] and seen.inputs == ["power", "coasting"]
    assert "note is empty in all rows of train: not used." in seen.unclear


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", LEVELS)
def test_level_and_kind_of_classes(level: str, kind: str) -> None:
    seen = found(Songs(kind, level).frames())
    assert seen.key == "song" and seen.level == level
    asked = {
        "ordinal": ("multiclass", "in an order (kind = ordinal"),
        "distribution": ("regression", "or votes for one"),
    }
    written, question = asked.get(kind, (kind, ""))
    assert seen.kind == written and seen.evidence["kind"]
    assert not question or any(question in line for line in seen.unclear)


def test_few_whole_numbers_may_be_three_things() -> None:
    frames = rides()
    frames["train"] = frames["train"].with_columns(speed=pl.col("speed").round().cast(pl.Int64))
    seen = found(frames)
    assert seen.kind == "multiclass" and any("grades (kind = ordinal), or numbers" in line for line in seen.unclear)


def test_what_several_series_share_and_test_has_not_is_a_group() -> None:
    frames = rides()
    rider = pl.col("ride") // 3
    frames["train"] = frames["train"].with_columns(rider=rider)
    frames["test"] = frames["test"].with_columns(rider=rider + 1000)
    assert found(frames).group == "rider"
    frames["test"] = frames["test"].with_columns(rider=pl.lit(0, pl.Int64))
    frames["train"] = frames["train"].with_columns(rider=rider * 0)
    seen = found(frames)
    assert seen.group == "" and "rider" in seen.static


def test_a_name_of_a_clock_is_preferred_as_order() -> None:
    frames = rides()
    for stem in ("train", "test"):
        frames[stem] = frames[stem].with_columns(odometer=pl.col("second") * 2)
    seen = found(frames)
    assert seen.order == "second" and "odometer, row would do as order, too." in seen.unclear


def test_what_is_left_open_is_said() -> None:
    frames = rides()
    frames["train"] = frames["train"].with_columns(heart=pl.lit(1.0))
    frames["test"] = frames["test"].with_columns(only=pl.lit(1), note=pl.col("row").cast(pl.String))
    frames["train"] = frames["train"].with_columns(note=pl.col("row").cast(pl.String))
    text = " ".join(found(frames).unclear)
    assert "Only train has heart, which the sample does not ask for" in text
    assert "Only test has only" in text and "note holds String that changes inside a series" in text


def test_without_a_sample_several_columns_could_be_the_target() -> None:
    frames = rides()
    del frames["sample_submission"]
    assert found(frames).target == ["speed"] and found(frames).id == "row"
    frames["train"] = frames["train"].with_columns(heart=pl.lit(1.0))
    seen = found(frames)
    assert seen.target == [] and any(
        "Which column is the target? Only train has: speed, heart." in x for x in seen.unclear
    )


def test_rows_that_belong_to_nothing_have_no_key() -> None:
    train = pl.DataFrame({"a": np.random.default_rng(0).normal(size=50), "y": np.arange(50.0)})
    seen = inspect(train, train.drop("y"), None)
    assert seen.key == "" and seen.unclear[0].startswith("No two columns fit as key and order")


def test_series_of_train_in_test_look_like_a_forecast() -> None:
    frames = rides()
    frames["test"] = frames["test"].with_columns(ride=pl.col("ride") - frames["test"]["ride"].min() + 1)
    assert any("are in test, too" in line and "forecast" in line for line in found(frames).unclear)


def test_targets_in_a_file_of_their_own() -> None:
    frames = rides()
    labels = frames["train"].group_by("ride", maintain_order=True).agg(pl.col("speed").mean())
    seen = inspect(frames["train"].drop("speed"), frames["test"], None, ("train_labels", labels))
    assert (seen.labels, seen.level, seen.target) == ("train_labels", "series", ["speed"])


def test_of_a_file_of_targets_those_are_taken_that_the_sample_asks_for() -> None:
    """And its ids are the series' names, in a column of another name."""
    frames = rides()
    labels = frames["train"].group_by("ride", maintain_order=True).agg(pl.col("speed").mean(), weight=pl.len())
    sample = frames["test"].select(answer="ride", speed=0.0).unique().sample(fraction=1, shuffle=True, seed=1)
    seen = inspect(frames["train"].drop("speed"), frames["test"], sample, ("train_labels", labels))
    assert (seen.labels, seen.level, seen.target) == ("train_labels", "series", ["speed"])
    assert (seen.id, seen.template) == ("answer", "{ride}")
    assert "train_labels has weight, too, which the sample does not ask for: not used." in seen.unclear


def test_a_text_that_changes_is_a_category_while_it_has_few_values() -> None:
    frames = rides()
    for name in ("train", "test"):
        road = pl.Series("road", ["wet", "dry", "snow"] * 100)[: frames[name].height]
        frames[name] = frames[name].with_columns(road, note=pl.format("note {}", "row"))
    seen = found(frames)
    assert "road" in seen.inputs and seen.categorical == ["road"] and "dry, snow, wet" in seen.evidence["inputs road"]
    assert "note" not in seen.inputs and any(line.startswith("note holds") for line in seen.unclear)


def test_dates_that_name_rows_and_order_them_are_copied_and_may_ask_for_folds_by_time() -> None:
    frames, first = rides(), pl.date(2020, 1, 1)
    frames["train"] = frames["train"].with_columns(day=first + pl.duration(days="row")).drop("row", "second")
    frames["test"] = frames["test"].with_columns(day=first + pl.duration(days=9999 + pl.col("row")))
    frames["test"] = frames["test"].drop("row", "second")
    frames["sample_submission"] = frames["test"].select("day", speed=0.0)
    seen = found(frames)
    assert (seen.id, seen.order, seen.copies) == ("day", "day_order", {"day_order": "day"})
    assert any("All of test lies after train" in line for line in seen.unclear) and seen.by_time == seen.order


def test_folds_by_time_are_suggested_where_days_of_test_come_later_or_the_order_is_a_date() -> None:
    """Days that series share, a whole number; and dates of which test has earlier ones, too."""
    frames = rides()
    frames["train"] = frames["train"].with_columns(date_id=pl.col("ride") // 3)
    frames["test"] = frames["test"].with_columns(date_id=pl.lit(7, pl.Int64))
    seen = found(frames)
    assert seen.by_time == "date_id" and any("(date_id from 7 on)" in line for line in seen.unclear)
    assert any('by = "date_id")' in line for line in seen.unclear)
    frames["test"] = frames["test"].with_columns(date_id=pl.lit(2, pl.Int64))
    seen = found(frames)
    assert not seen.by_time and not any("time" in line for line in seen.unclear)
    for name in ("train", "test"):
        day = pl.date(2020, 1, 1) + pl.duration(days=2 * pl.col("second"))
        frames[name] = frames[name].drop("date_id").with_columns(second=day)
    seen = found(frames)
    assert not seen.by_time and any(line.startswith("second holds dates, and test does not") for line in seen.unclear)


@pytest.mark.parametrize(("sign", "by_step"), [("_", False), ("-", True)])
def test_ids_that_are_made_of_series_and_step_are_a_template(sign: str, by_step: bool) -> None:
    frames, number = rides(), (pl.col("second") * 2).cast(pl.Int64)
    if not by_step:
        frames |= {name: frames[name].with_columns(second=number + 3) for name in ("train", "test")}
    second = number if by_step else pl.col("second")
    rows = frames["test"].select(id=pl.format(f"{{}}{sign}{{}}", "ride", second), speed_kmh=pl.lit(0.0))
    frames["sample_submission"] = rows.reverse()
    seen = found(frames)
    template = f"{{ride}}{sign}{{{'step' if by_step else 'second'}}}"
    assert (seen.id, seen.template, seen.level) == ("id", template, "step")
    assert seen.column == "speed_kmh" and "column_template" in seen.evidence


def test_a_column_called_as_the_key_that_holds_no_keys_is_not_taken_for_them() -> None:
    frames = rides()
    frames["sample_submission"] = frames["test"].select(ride=pl.format("{}_{}", "ride", "second"), speed=pl.lit(0.0))
    seen = found(frames)
    assert seen.level == "step" and not seen.id and any("are no column of test" in line for line in seen.unclear)


def test_numbers_of_people_are_no_time() -> None:
    frames = rides()
    for name, first in (("train", 0), ("test", 1000)):
        frames[name] = frames[name].with_columns(rider=pl.col("ride") // 4 + first)
    seen = found(frames)
    assert seen.group == "rider" and not seen.by_time


def test_a_target_that_test_has_here_and_there_is_known_there() -> None:
    frames = tiny_tanks.frames()
    seen = found(frames)
    assert (seen.target, seen.known, seen.inputs) == (["level"], ["level"], ["pump", "tap"])
    beside = {**frames, "train": tiny_tanks.tanks(1, 12, seed=0), "test": frames["test"].rename({"level": "reading"})}
    seen = found(beside)
    assert (seen.target, seen.known, seen.inputs) == (["level"], ["reading"], ["pump", "tap"])
    other = beside["train"].with_columns(reading=pl.col("reading") + (pl.col("tank") == 1))
    seen = found({**beside, "train": other})
    assert (seen.target, seen.known, seen.inputs) == (["level"], [], ["pump", "tap", "reading"])
