"""The border: series in order of appearance, levels, fingerprints. Refusals: test_bad_input.py, test_bad_files.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import tiny

from foldline.core.errors import UserError
from foldline.data import loading, source_folder
from foldline.data.roles import DataConfig
from foldline.data.simulate_config import SimulateConfig
from foldline.data.table import Table

ROLES = DataConfig(id="i", key="k", order="t", target=("y",), inputs=("x",), static=("s",), scored="x > 0")


def table(tmp_path: Path, rows: pl.DataFrame, data: DataConfig = ROLES) -> Table:
    path = tmp_path / "train.parquet"
    rows.write_parquet(path)
    return loading.load_table(path, data, labelled=set(data.target) <= set(rows.columns))


def mixed() -> pl.DataFrame:
    """Three series, of 3, 1 and 2 rows, their rows apart."""
    return pl.DataFrame(
        {
            "i": [10, 20, 30, 40, 50, 60],
            "k": ["b", "a", "b", "c", "c", "b"],
            "t": [0.0, 0.0, 1.0, 5.0, 6.0, 2.0],
            "x": [1.0, 2.0, 0.0, 4.0, 0.0, 6.0],
            "s": ["p", "q", "p", "p", "p", "p"],
            "y": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        }
    )


def test_rows_are_gathered_by_series_in_order_of_appearance(tmp_path: Path) -> None:
    got = table(tmp_path, mixed())
    assert got.frame["i"].to_list() == [10, 30, 60, 20, 40, 50]
    assert got.lengths.tolist() == [3, 1, 2] and got.starts.tolist() == [0, 3, 4]
    assert got.keys.to_list() == ["b", "a", "c"]
    assert got.scored.tolist() == [True, False, True, True, True, False]
    assert got.labelled and not table(tmp_path, mixed().drop("y")).labelled


def test_a_table_in_order_is_left_as_it_is(tmp_path: Path) -> None:
    rows = mixed().sort("k", maintain_order=True)
    assert table(tmp_path, rows).frame["i"].to_list() == rows["i"].to_list()


def test_a_training_table_needs_no_ids(tmp_path: Path) -> None:
    """As at Jane Street's, where only test has them: numbers of rows stand in, and messages count these from 1."""
    rows = mixed().drop("i")
    got = table(tmp_path, rows)
    assert got.frame["i"].to_list() == [0, 2, 5, 1, 3, 4] and got.fingerprint == table(tmp_path, mixed()).fingerprint
    lacking = rows.with_columns(pl.when(pl.col("x") == 6).then(None).otherwise("y").alias("y"))
    with pytest.raises(UserError, match=r"train.parquet, row 6: 'y' must be a finite number where the row is scored"):
        table(tmp_path, lacking)
    with pytest.raises(UserError, match=r"in k b it goes from 1.0 to 0.5 \(row 6\)"):
        table(tmp_path, rows.with_columns(pl.when(pl.col("t") == 2).then(0.5).otherwise("t").alias("t")))
    with pytest.raises(UserError, match=r"lacks a column that \[data\] names.*'i'"):
        table(tmp_path, rows.drop("y"))


def test_series_without_ids_of_their_own_are_called_by_their_keys(tmp_path: Path) -> None:
    data = replace(ROLES, level="series", scored="")
    rows = mixed().drop("i").with_columns(y=pl.col("y").first().over("k"))
    assert table(tmp_path, rows, data).answers["i"].to_list() == ["b", "a", "c"]


def test_ids_of_training_rows_change_nothing(trained: Path, rides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tiny.submission(trained)
    tiny.write(rides, {"train": tiny.frames()["train"].drop("row")})
    tiny.run("train", "rides")
    assert "4 finished, 0 to train" in capsys.readouterr().out and tiny.submission(trained) == before


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (pl.col("i") + 1, True),
        (pl.when(pl.col("i") == 60).then(6.5).otherwise("x").alias("x"), False),
        (pl.when(pl.col("i") == 60).then(0.7).otherwise("y").alias("y"), False),
        (pl.when(pl.col("i") == 20).then(pl.lit("p")).otherwise("s").alias("s"), False),
        (pl.col("k").replace("a", "d"), False),
        (pl.col("t") + 1, False),
    ],
)
def test_the_fingerprint_is_of_everything_but_row_ids(tmp_path: Path, change: pl.Expr, same: bool) -> None:
    before, after = table(tmp_path, mixed()), table(tmp_path, mixed().with_columns(change))
    assert (before.fingerprint == after.fingerprint) is same


def test_all_rows_count_without_a_condition(tmp_path: Path) -> None:
    assert table(tmp_path, mixed(), replace(ROLES, scored="")).scored.all()


def test_levels_come_sorted_from_the_training_table_only(home: Path, tmp_path: Path) -> None:
    tables = tiny.frames()
    tables["test"] = tables["test"].with_columns(bike=pl.lit(5))
    source = tiny.write(tmp_path / "rides", tables)
    data = DataConfig(
        id="row", key="ride", order="second", target=("speed",), inputs=("power",), static=("bike",), source=str(source)
    )
    assert loading.load(data).levels == {"bike": (20, 28)}


def test_the_samples_layout_is_kept(home: Path, tmp_path: Path) -> None:
    tables = tiny.frames()
    tables["sample_submission"] = tables["sample_submission"].select("speed", "row").reverse()
    source = tiny.write(tmp_path / "rides", tables)
    data = DataConfig(id="row", key="ride", order="second", target=("speed",), inputs=("power",), source=str(source))
    _, sample = loading.load_test(data, {})
    assert sample is not None
    assert sample.columns == ["speed", "row"]
    assert sample["row"].to_list() == tables["test"]["row"].to_list()[::-1]


def test_simulated_data_is_made_once_and_named_by_its_size_and_code(home: Path) -> None:
    simulate = SimulateConfig(breaths=3, test_breaths=2, seed=1)
    data = replace(ROLES, source="simulate", simulate=simulate)
    folder = source_folder.of(data)
    assert sorted(path.name for path in folder.iterdir()) == [
        "checksums.json",
        "sample_submission.csv",
        "test.csv",
        "train.csv",
    ]
    assert pl.read_csv(folder / "train.csv")["breath_id"].n_unique() == 3
    made = (folder / "train.csv").stat().st_mtime_ns
    assert source_folder.of(data) == folder and (folder / "train.csv").stat().st_mtime_ns == made
    assert source_folder.of(replace(data, simulate=replace(simulate, seed=2))) != folder


def test_a_condition_that_names_no_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.scored must name a column, but '1 = 1'"):
        table(tmp_path, mixed(), replace(ROLES, scored="1 = 1"))


def test_the_rows_of_a_mixed_table_remember_their_place_in_the_file(tmp_path: Path) -> None:
    got = table(tmp_path, mixed())
    assert got.file_rows is not None and got.file_rows.tolist() == [0, 2, 5, 1, 3, 4]
    assert table(tmp_path, mixed().sort("k", maintain_order=True)).file_rows is None


@pytest.mark.parametrize(
    ("printed", "values"),
    [
        (("5", "5.5"), [5.0, 5.5]),
        (("20", "5"), [20, 5]),
        (("5", "05"), ["5", "05"]),
        (("5", "steel"), ["5", "steel"]),
    ],
)
def test_static_columns_are_numbers_where_all_their_values_are(
    printed: tuple[str, str], values: list[object], tmp_path: Path
) -> None:
    path = tmp_path / "train.csv"
    path.write_text("i,k,t,x,s,y\n" + "".join(f"{row},{row},0,1,{s},2\n" for row, s in enumerate(printed)))
    assert loading.load_table(path, ROLES, labelled=True).frame["s"].to_list() == values


def test_a_static_column_of_dates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="column 's' must hold text or numbers, but holds Date"):
        table(tmp_path, mixed().with_columns(s=pl.date(2020, 1, 1)))


def test_a_series_of_both_tables_is_found_where_one_has_numbers_and_the_other_text(home: Path, tmp_path: Path) -> None:
    tables = tiny.frames()
    rides = tables["test"]["ride"].cast(pl.String).replace({"501": "3", "502": "spring"})
    source = tiny.write(tmp_path / "rides", {**tables, "test": tables["test"].with_columns(rides)})
    data = DataConfig(id="row", key="ride", order="second", target=("speed",), inputs=("power",), source=str(source))
    with pytest.raises(UserError, match=r"must not be in the training data too, but 1 are \(first: ride 3\)"):
        loading.load(data)


def test_a_samples_ids_are_those_of_a_test_table_that_calls_them_text(home: Path, tmp_path: Path) -> None:
    tables = tiny.frames()
    source = tiny.write(tmp_path / "rides", tables)
    (source / "test.csv").unlink()
    tables["test"].with_columns(pl.col("row").cast(pl.String)).write_parquet(source / "test.parquet")
    data = DataConfig(id="row", key="ride", order="second", target=("speed",), inputs=("power",), source=str(source))
    test, sample = loading.load_test(data, {})
    assert sample is not None and sample["row"].equals(test.frame["row"])


def test_columns_may_be_named_like_helpers_of_the_reader(tmp_path: Path) -> None:
    names = {"x": "__row__", "s": "__first__", "t": "place", "y": "name"}
    roles = DataConfig(id="i", key="k", order="place", target=("name",), inputs=("__row__",), static=("__first__",))
    got = table(tmp_path, mixed().rename(names), replace(roles, scored="__row__ > 0"))
    expected = table(tmp_path, mixed())
    assert got.frame.rename({new: old for old, new in names.items()}).equals(expected.frame)


def test_a_step_without_all_targets_is_a_mistake_or_not_scored(tmp_path: Path) -> None:
    two = replace(ROLES, target=("y", "z"), scored="")
    rows = mixed().with_columns(y=pl.Series([None, 0.2, 0.3, 0.4, None, 0.6]), z=pl.Series([1.0, 2, None, 4, 5, 6]))
    with pytest.raises(UserError, match=r"i 10: 'y' must be .* is empty; 3 such rows.*missing_targets = 'unscored'"):
        table(tmp_path, rows, two)
    counted = replace(two, missing_targets="unscored")
    found = table(tmp_path, rows, counted)
    assert found.frame["i"].to_list() == [10, 30, 60, 20, 40, 50]
    assert found.scored.tolist() == [False, False, True, True, True, False]
    assert counted.roles() == two.roles()  # it decides what is refused, and nothing that weights depend on
    with pytest.raises(UserError, match="'y' must be a finite number where the row is scored, but is inf"):
        table(tmp_path, rows.with_columns(y=pl.lit(float("inf"))), counted)
    with pytest.raises(UserError, match="no series has a target at a scored row"):
        table(tmp_path, rows.with_columns(y=pl.lit(None, pl.Float64)), counted)
    with pytest.raises(ValueError, match="missing_targets is about steps"):
        replace(counted, level="series")


def test_a_series_without_a_group_is_refused_where_the_group_is_static_too(tmp_path: Path) -> None:
    """A static column may be missing, and is then a category of its own; what folds hold together may not."""
    rows, grouped = mixed().with_columns(s=pl.when(pl.col("k") != "a").then("s")), replace(ROLES, group="s")
    with pytest.raises(UserError, match=r"'s' is the group of a series and must have a value, but is empty in k a; 1 "):
        table(tmp_path, rows, grouped)
    assert table(tmp_path, rows.drop("y"), grouped).frame["s"].null_count() == 1  # of test nobody needs it
    assert table(tmp_path, mixed(), grouped).groups.tolist() == [0, 1, 0]
