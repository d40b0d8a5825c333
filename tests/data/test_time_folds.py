"""Time folds: what each is fitted on by a slow reference, origins by hand, columns of dates, files that differ."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from foldline.core.errors import UserError
from foldline.data import assemble, folds, time_spans
from foldline.data.fold_assignment import FoldsConfig
from foldline.data.folds import Folds
from foldline.data.roles import DataConfig
from foldline.data.table import Table

DATA = DataConfig(id="i", key="k", order="t", target=("y",), inputs=("x",), source="a-folder")
THREE = FoldsConfig(kind="time", k=3)


def table(
    first: Any, last: Any = None, data: DataConfig = DATA, path: Path = Path("train.csv"), **columns: Any
) -> Table:
    """Series 1, 2, ... of two rows each, at `first` and at `last`. columns: of each series, further ones."""
    last = first if last is None else last
    count = len(first)
    frame = pl.DataFrame({"k": np.repeat(np.arange(1, count + 1), 2), "t": np.stack([first, last], axis=1).ravel()})
    frame = frame.with_columns(pl.Series(name, np.repeat(values, 2)) for name, values in columns.items())
    return Table(path, data, frame, np.full(count, 2), source=assemble.of_file(path))


def make(config: FoldsConfig, some: Table, tmp_path: Path) -> Folds:
    return folds.make(tmp_path / "f.csv", config, some)


def test_blocks_have_as_many_scored_rows_and_the_first_is_never_held_out(tmp_path: Path) -> None:
    made = make(THREE, table(np.arange(12.0)), tmp_path)
    assert made.assignment.tolist() == [-1] * 3 + [0] * 3 + [1] * 3 + [2] * 3
    assert made.time is not None and made.time.origins.tolist() == [3, 6, 9]
    assert [made.inside(fold).tolist() for fold in range(3)] == [list(range(end)) for end in (3, 6, 9)]
    assert made.ratio == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert made.inside(None).tolist() == list(range(12)) and not len(made.held_out(None))


def test_series_that_begin_at_one_time_are_not_split_and_a_large_time_leaves_even_blocks_behind_it(
    tmp_path: Path,
) -> None:
    times = np.array([0] * 50 + [1, 2, 3, 3, 4, 5, 6], dtype=float)
    made = make(FoldsConfig(kind="time", k=2), table(times), tmp_path)
    assert np.unique(times[made.assignment == -1]).tolist() == [0]
    assert np.bincount(made.assignment[50:]).tolist() == [4, 3]


def reference(
    config: FoldsConfig, first: np.ndarray, last: np.ndarray, group: np.ndarray, fold: int, made: Folds
) -> list[int]:
    """Series by series, by the rule as it is written."""
    held = [n for n in range(len(first)) if made.assignment[n] == fold]
    origin = min(first[n] for n in held)
    found = []
    for n in range(len(first)):
        known = last[n] < origin - config.gap
        recent = config.train_length is None or last[n] >= origin - config.gap - config.train_length
        if known and recent and group[n] not in {group[other] for other in held}:
            found.append(n)
    return found


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("length", [None, 9.0])
@pytest.mark.parametrize("gap", [0.0, 2.0, 2.5])
def test_what_a_fold_is_fitted_on_is_what_the_rule_says(
    gap: float, length: float | None, grouped: bool, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 40, 60)
    last, group = first + rng.integers(0, 6, 60), rng.integers(0, 30, 60)
    window = "expanding" if length is None else "sliding"
    config = FoldsConfig(kind="time", k=3, gap=gap, window=window, train_length=length)  # type: ignore[arg-type]
    data = replace(DATA, group="g") if grouped else DATA
    made = make(config, table(first, last, data, g=group), tmp_path)
    group = group if grouped else np.arange(60)
    for fold in range(3):
        assert made.inside(fold).tolist() == reference(config, first, last, group, fold, made)
        across = made.not_known(fold)  # may not be known: it ends in the gap or later
        assert across.tolist() == [n for n in range(60) if last[n] >= first[made.held_out(fold)].min() - gap]


def test_a_series_across_an_origin_is_on_neither_side_of_its_fold(tmp_path: Path) -> None:
    first = np.arange(12.0)
    last = np.where(first == 5, 6.0, first)  # begins in block 0, ends at the origin of fold 1
    made = make(THREE, table(first, last), tmp_path)
    assert made.assignment[5] == 0
    assert 5 not in made.inside(1) and 5 not in made.held_out(1) and 5 in made.inside(2)


@pytest.mark.parametrize(
    "values",
    [
        [dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range(12)],
        [f"2024-01-{n:02d}" for n in range(1, 13)],
        [f"2024-01-{n:02d}T10:30:00+01:00" for n in range(1, 13)],
        [f"2024-01-{n:02d} 10:30" for n in range(1, 13)],
        [f"2024-01-{n:02d}T10:30" for n in range(1, 13)],
        [f"2024-01-{n:02d} 10:30Z" for n in range(1, 13)],
    ],
)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_column_of_dates_without_a_role_is_read_from_the_file(values: list[Any], ending: str, tmp_path: Path) -> None:
    some = table(np.zeros(12), path=tmp_path / f"train.{ending}")
    file = some.frame.with_columns(day=pl.Series(values).gather(np.repeat(np.arange(12), 2)))
    mixed = pl.concat([file[::2], file[1::2]])  # rows of a series apart, as a table's are not
    mixed.write_csv(some.path) if ending == "csv" else mixed.write_parquet(some.path)
    config = replace(THREE, by="day", gap=1.0)
    made = make(config, some, tmp_path)
    assert [made.inside(fold).tolist() for fold in range(3)] == [list(range(end)) for end in (2, 5, 8)]  # less a day
    assert made.time is not None and made.time.spans.shown(made.time.origins[0]).startswith("2024-01-04")
    assert np.array_equal(folds.read(made.path, config, some).assignment, made.assignment)


def test_large_whole_times_keep_every_digit() -> None:
    nanoseconds = 1_700_000_000_000_000_000 + np.arange(12)  # float64 has steps of 256 there
    spans = time_spans.read(replace(THREE, gap=1.0), table(nanoseconds))
    assert spans.first.dtype == np.int64 and len(np.unique(spans.first)) == 12 and type(spans.gap) is int


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_whole_times_above_those_of_64_bits_with_a_sign_make_the_same_folds_from_any_file(
    ending: str, tmp_path: Path
) -> None:
    some = table(np.zeros(12), path=tmp_path / f"train.{ending}")
    values = pl.Series("when", [2**63 + 10_000 * n for n in range(12)], dtype=pl.UInt64)
    file = some.frame.with_columns(values.gather(np.repeat(np.arange(12), 2)))
    file.write_csv(some.path) if ending == "csv" else file.write_parquet(some.path)
    made = make(replace(THREE, by="when"), some, tmp_path)
    assert made.assignment.tolist() == [-1] * 3 + [0] * 3 + [1] * 3 + [2] * 3


def test_the_file_says_what_it_was_made_by(tmp_path: Path) -> None:
    config = FoldsConfig(kind="time", k=3, by="a b", gap=0.5, window="sliding", train_length=4)
    some = table(np.zeros(12), **{"a b": np.arange(12)})
    made = make(config, some, tmp_path)
    head = made.path.read_text().splitlines()[0]
    assert "kind=time k=3 seed=0 gap=0.5 window=sliding train_length=4 by=a%20b series=" in head
    assert "1,-1" in made.path.read_text().splitlines()
    again = folds.read(made.path, config, some)
    assert [again.inside(fold).tolist() for fold in range(3)] == [made.inside(fold).tolist() for fold in range(3)]
    assert folds.damage(made.path) == ""
    for change in ({"gap": 1.0}, {"window": "expanding", "train_length": None}, {"by": ""}, {"kind": "group"}):
        (name, value), *_ = change.items()
        other = FoldsConfig(k=3) if value == "group" else replace(config, **change)
        with pytest.raises(
            UserError, match=rf"was made with {name}=.*, but folds\.{name} is {value}\. Rebuild it with"
        ):
            folds.read(made.path, other, some)
    later = table(np.zeros(12), **{"a b": np.arange(12) + 1})
    with pytest.raises(UserError, match=r"the times of its series are not those of train\.csv"):
        folds.read(made.path, config, later)


def test_the_name_of_the_file_says_gap_and_window() -> None:
    sliding = FoldsConfig(kind="time", gap=7, window="sliding", train_length=30)
    names = [folds.default_path(config, "name", table(np.arange(12.0))).name for config in (THREE, sliding)]
    assert names == ["name-time-gap0-expanding-k3-seed0.csv", "name-time-gap7-sliding30-k5-seed0.csv"]


def plain(tmp_path: Path, assignment: list[int], kind: str = "time") -> FoldsConfig:
    rows = "".join(f"{number},{fold}\n" for number, fold in enumerate(assignment, start=1))
    (tmp_path / "mine.csv").write_text(f"k,fold\n{rows}")
    return FoldsConfig(kind=kind, k=2, file=str(tmp_path / "mine.csv"))  # type: ignore[arg-type]


def test_a_plain_file_may_leave_series_out_of_all_folds(tmp_path: Path) -> None:
    some, assignment = table(np.arange(6.0)), [-1, -1, 0, 0, 1, 1]
    by_time, drawn = (folds.obtain(plain(tmp_path, assignment, kind), "name", some)[0] for kind in ("time", "group"))
    assert by_time.assignment.tolist() == drawn.assignment.tolist() == assignment
    assert by_time.inside(0).tolist() == [0, 1] and by_time.inside(1).tolist() == [0, 1, 2, 3]
    assert drawn.inside(0).tolist() == [0, 1, 4, 5]  # what is never held out is always trained on


def test_a_plain_file_whose_blocks_overlap_in_time_is_refused(tmp_path: Path) -> None:
    config = plain(tmp_path, [-1, -1, 0, 1, 0, 1])
    with pytest.raises(
        UserError, match=r"mine\.csv: time folds lie one after the other, but k 5 of fold 0 begins at 4"
    ):
        folds.obtain(config, "name", table(np.arange(6.0)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"k": 12},
            r"folds\.k = 12 origins need series with scored rows at 13 different times at least.*begin at 12 by 't'",
        ),
        (
            {"gap": 3.0},
            r"folds\.gap = 3 must leave .* leave none to fold 0 of .*, which begins at 3\. Take a shorter gap",
        ),
        ({"by": "dya"}, r"train\.csv lacks the column of folds\.by: unknown column 'dya'.*Did you mean 'day'"),
        ({"by": "day"}, r"folds\.by = 'day' must hold numbers, or dates .*but holds 'monday' in k 2\. Fill it in"),
        ({"by": "hole"}, r"folds\.by = 'hole' must hold numbers.*but holds nothing in k 3\."),
    ],
)
def test_what_can_not_be_split_is_refused_and_nothing_is_written(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    some = table(np.arange(12.0), path=tmp_path / "train.csv")
    day = pl.when(pl.col("k") == 2).then(pl.lit("monday")).otherwise(pl.lit("2024-01-01"))
    hole = pl.when(pl.col("k") != 3).then(pl.lit(1.5))
    some.frame.with_columns(day=day, hole=hole).write_csv(some.path)
    with pytest.raises(UserError, match=message):
        make(replace(THREE, **changes), some, tmp_path)
    assert not (tmp_path / "f.csv").exists()


def test_series_that_all_begin_at_once_need_another_column(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"begin at 1 by 't'\. Take fewer folds, or name another column with folds\.by"):
        make(THREE, table(np.zeros(12), np.ones(12)), tmp_path)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"gap": 1.0}, r'gap is for kind = "time", but kind is \'group\''),
        ({"by": "day"}, r'by is for kind = "time"'),
        ({"kind": "time", "gap": -1.0}, r"gap must be at least 0, but is -1"),
        ({"kind": "time", "window": "sliding"}, r'window = "sliding" needs train_length'),
        ({"kind": "time", "train_length": 3.0}, r'window = "sliding" needs train_length, and only that'),
        ({"kind": "time", "window": "sliding", "train_length": 0.0}, r"train_length must be above 0"),
        ({"kind": "time", "strata": ("s",)}, r"strata are for folds of other kinds"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FoldsConfig(**keys)
