"""Series of fewer steps than rows: summaries against their definitions, gaps, crops, a run from file to submission."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
from tiny_classes import Songs

from foldline.core.errors import UserError
from foldline.data import loading, resample, time_spans
from foldline.data.fold_assignment import FoldsConfig
from foldline.data.resample_config import ResampleConfig
from foldline.data.roles import DataConfig
from foldline.data.table import Table
from foldline.data.windows import WindowCutsConfig

ROLES: dict[str, Any] = {
    "key": "walk",
    "order": "t",
    "inputs": ("speed", "ground"),
    "categorical": ("ground",),
    "static": ("site",),
    "target": ("fell",),
    "level": "series",
    "kind": "binary",
    "metric": "auc",
}
NAN = float("nan")


def walks(**columns: list[Any]) -> pl.DataFrame:
    """Two walks: rows of every second, in the first one a gap of 5 s."""
    return pl.DataFrame(
        {
            "walk": ["a"] * 6 + ["b"] * 3,
            "t": [10.0, 11, 12, 13, 18, 19, 0, 1, 2],
            "speed": [1.0, 3, NAN, 5, 7, 9, 2, NAN, NAN],
            "ground": ["ice", "sand", "sand", "sand", None, "mud", "ice", "ice", "mud"],
            "site": ["x"] * 6 + ["y"] * 3,
            "fell": [0] * 6 + [1] * 3,
            **columns,
        }
    )


def load(tmp_path: Path, frame: pl.DataFrame | None = None, **more: Any) -> Table:
    path = tmp_path / "train.parquet"
    (walks() if frame is None else frame).write_parquet(path)
    return loading.load_table(path, DataConfig(**ROLES | more), labelled=True)


def shown(table: Table, *names: str) -> list[tuple[Any, ...]]:
    rows = table.frame.select(pl.col(names or ("t", "speed", "ground")))
    return rows.with_columns(pl.col(pl.Float64).fill_nan(None)).rows()


def test_rows_are_summed_up_to_steps_from_the_start_of_their_series(tmp_path: Path) -> None:
    table = load(tmp_path, resample=ResampleConfig(every=2))
    assert table.lengths.tolist() == [5, 2] and table.rows_in_file.tolist() == [6, 3]
    gap = [(14.0, None, None), (16.0, None, None)]
    assert shown(table) == [
        *[(10.0, 2.0, "ice"), (12.0, 5.0, "sand"), *gap, (18.0, 8.0, "mud")],
        *[(0.0, 2.0, "ice"), (2.0, None, "mud")],
    ]
    assert shown(table, "walk", "site", "fell") == [("a", "x", 0)] * 5 + [("b", "y", 1)] * 2
    assert table.facts.missing == ("speed",) and table.y.ravel().tolist() == [0, 1]


def test_steps_without_rows_may_be_left_out(tmp_path: Path) -> None:
    table = load(tmp_path, resample=ResampleConfig(every=2, gaps="left-out"))
    assert table.lengths.tolist() == [3, 2]
    assert shown(table, "t", "speed") == [(10, 2), (12, 5), (18, 8), (0, 2), (2, None)]


@pytest.mark.parametrize("how", resample.SUMMARIES)
def test_summaries_are_their_definitions(how: str) -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random(200) < 0.4, NAN, rng.normal(size=200))
    begin = np.unique(np.append(rng.integers(0, 200, 70), 0))
    slow = {
        "mean": np.mean,
        "median": np.median,
        "sum": np.sum,
        "min": np.min,
        "max": np.max,
        "first": lambda known: known[0],
        "last": lambda known: known[-1],
    }[how]
    parts = [part[~np.isnan(part)] for part in np.split(values, begin[1:])]
    expected = [slow(known) if len(known) else NAN for known in parts]
    assert any(not len(known) for known in parts)
    np.testing.assert_allclose(resample.SUMMARIES[how](values, begin), expected, rtol=1e-12)


def test_the_steps_of_a_series_are_the_same_bits_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"walk": np.repeat(np.arange(9), 50), "t": np.tile(np.arange(50) * 0.1, 9)})
    frame = frame.with_columns(
        speed=pl.Series(rng.normal(size=450)), ground=pl.lit("ice"), site=pl.lit("x"), fell=pl.col("walk") % 2
    )
    config = ResampleConfig(every=0.3, summary={"speed": "mean"})
    together = load(tmp_path, frame, resample=config)
    assert set(together.lengths.tolist()) == {17}  # 0.3, 0.6, ... begin a step, though float64 has less of some
    alone = load(tmp_path, frame.filter(pl.col("walk") >= 5), resample=config)
    assert np.array_equal(alone.frame["speed"].to_numpy(), together.frame["speed"].to_numpy()[5 * 17 :])


def test_dates_take_durations_and_numbers_are_seconds(tmp_path: Path) -> None:
    frame = walks().with_columns(pl.from_epoch(pl.col("t").cast(pl.Int64) * 60, time_unit="s").alias("t"))
    expected = [(0.0, 2.0), (120.0, 5.0), (480.0, 8.0), (0.0, 2.0), (120.0, None)]
    for every in ("2m", "120s", 120):
        table = load(tmp_path, frame, resample=ResampleConfig(every=every, gaps="left-out"))
        assert shown(table, "t", "speed") == expected
    with pytest.raises(UserError, match=r"data\.resample\.every = '2m' is a duration, but 't' holds numbers"):
        load(tmp_path, resample=ResampleConfig(every="2m"))


@pytest.mark.parametrize(("crop", "times"), [({"first": 4}, [10, 11, 12, 13, 0, 1, 2]), ({"last": 2}, [18, 19, 1, 2])])
def test_first_or_last_steps_of_each_series_are_kept(tmp_path: Path, crop: dict[str, int], times: list[float]) -> None:
    table = load(tmp_path, **crop)
    assert table.frame["t"].to_list() == times and table.rows_in_file.tolist() == [6, 3]
    coarse = load(tmp_path, resample=ResampleConfig(every=2), **crop)
    assert coarse.lengths.max() == max(crop.values())


def test_columns_of_the_last_row_stay_those_of_the_answer(tmp_path: Path) -> None:
    """A metric's column may change inside a series: the answer's is that of the last row in the file."""
    frame = walks(note=list(range(9)))
    metric = {"metric": "m.py", "answer": "label", "metric_columns": ("note",)}
    for more in ({"first": 2}, {"resample": ResampleConfig(every=3)}):
        table = load(tmp_path, frame, **metric, **more)
        assert table.answers["note"].to_list() == [5, 8]


def test_folds_by_time_go_by_the_times_of_the_file(tmp_path: Path) -> None:
    table = load(tmp_path, resample=ResampleConfig(every=2), last=1)
    for by in ("", "t"):
        spans = time_spans.read(FoldsConfig(kind="time", k=2, by=by), table)
        assert (spans.first.tolist(), spans.last.tolist()) == ([10, 0], [19, 2])


def test_windows_have_steps_too_and_lie_in_time_where_their_rows_do(tmp_path: Path) -> None:
    """Overlapping ones, counted each from its own first row."""
    frame = (
        walks()
        .filter(pl.col("walk") == "a")
        .with_columns(t=pl.Series([0.0, 1, 2, 3, 4, 5]), fell=pl.Series([0, 0, 0, 1, 0, 1]))
    )
    config = WindowCutsConfig(length=4, stride=1)
    table = load(tmp_path, frame, level="window", windows=config, resample=ResampleConfig(every=2))
    assert shown(table, "t", "speed") == [(0, 2), (2, 5), (0, 3), (2, 6), (0, 5), (2, 8)]
    spans = time_spans.read(FoldsConfig(kind="time", k=2), table)
    assert (spans.first.tolist(), spans.last.tolist()) == ([0, 1, 2], [3, 4, 5])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"level": "step", "id": "row", "first": 3}, "first leaves .* it needs level = .series. or"),
        ({"first": 3, "last": 3}, "one of them, but they are 3 and 3"),
        ({"last": -1}, "one of them, but they are 0 and -1"),
        (
            {"resample": ResampleConfig(every=1, summary={"ground": "max"})},
            "resample.summary must name inputs that are",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataConfig(**ROLES | changes)


@pytest.mark.parametrize("every", [0, -1.0, np.inf, np.nan, "0s", "5 minutes", "m"])
def test_steps_that_are_none_are_refused(every: Any) -> None:
    with pytest.raises(ValueError, match="every must be"):
        ResampleConfig(every=every)


def test_far_more_steps_than_rows_are_refused(tmp_path: Path) -> None:
    frame = walks(t=[0.0, 1, 2, 3, 4, 1e9, 0, 1, 2])
    with pytest.raises(UserError, match=r"makes 1,000,000,004 steps of 9 rows \(1,000,000,001 in walk a alone\)"):
        load(tmp_path, frame, resample=ResampleConfig(every=1))
    assert load(tmp_path, frame, resample=ResampleConfig(every=1, gaps="left-out")).lengths.tolist() == [6, 3]


def test_steps_too_short_to_be_counted_are_refused(tmp_path: Path) -> None:
    for gaps in ("missing", "left-out"):
        with pytest.raises(UserError, match=r"makes 1.1e\+21 steps .* in walk a alone\)\. Take longer steps\.$"):
            load(tmp_path, resample=ResampleConfig(every=1e-20, gaps=gaps))


@pytest.mark.parametrize("level", ["series", "window"])
def test_seconds_since_1970_lack_the_digits_of_a_step(level: Any, tmp_path: Path) -> None:
    row = np.arange(200)
    columns = {"walk": row // 100, "t": 1.7e9 + row * 0.005, "speed": row * 1.0, "fell": row // 100}
    frame = pl.DataFrame(columns).with_columns(ground=pl.lit("ice"), site=pl.lit("x"))
    more = {"windows": WindowCutsConfig(length=100)} if level == "window" else {}
    found = load(tmp_path, frame, level=level, resample=ResampleConfig(every=0.005), **more)
    assert found.frame["speed"].to_list() == frame["speed"].to_list()


def test_keys_of_configs_without_them_stay(tmp_path: Path) -> None:
    plain = DataConfig(**ROLES).roles()
    assert not {"resample", "first", "last"} & set(plain)
    assert replace(DataConfig(**ROLES), resample=ResampleConfig(every=2)).roles()["resample"]["every"] == 2  # type: ignore[index]


def test_a_run_goes_from_file_to_submission(home: Path, tmp_path: Path) -> None:
    songs = Songs("multiclass", more='last = 3\n[data.resample]\nevery = 1\nsummary = {volume = "max"}')
    songs.install(home, tmp_path / "songs")
    tiny.run("train", "songs", "model=[{name='lightgbm', rounds=5, min_data_in_leaf=2}]")
    made = tiny.submission(home, "songs")
    assert pl.read_csv(made).height == 6
    tiny.run("infer", "songs", f"data.source={tmp_path / 'songs'}")
    assert max((home / "submissions").glob("*.csv"), key=lambda path: path.stat().st_mtime).read_bytes() == made
