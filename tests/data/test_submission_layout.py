"""Where each prediction stands in a submission: layouts by hand, there and back, and what no layout can be made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from foldline.core.errors import UserError
from foldline.data import loading, sample_submission
from foldline.data.roles import DataConfig
from foldline.data.submission_layout import Layout
from foldline.data.table import Table

Columns = dict[str, list[Any]]

ROWS: Columns = {  # two rides, their rows apart
    "ride": ["b", "a", "a", "b", "a"],
    "second": [0.0, 0.0, 1.0, 1.0, 2.5],
    "power": [0.1, 0.2, 0.3, 0.4, 0.5],
    "bike": ["x", "y", "y", "x", "y"],
}
IN_SERIES = [("b", 0), ("b", 1), ("a", 0), ("a", 1), ("a", 2)]  # the answers, in the order of predictions
CONFIG: dict[str, Any] = {"key": "ride", "order": "second", "inputs": ("power",), "target": ("speed",)}


def config(**more: Any) -> DataConfig:
    return DataConfig(**{"id": "id", **CONFIG, **more})


def loaded(folder: Path, data: DataConfig, sample: Columns | None, rows: Columns = ROWS, **files: Columns) -> Any:
    """The test table and the sample that `loading` reads from such files."""
    tables = {"test": rows, **files} | ({} if sample is None else {"sample_submission": sample})
    for name, columns in tables.items():
        pl.DataFrame(columns).write_csv(folder / f"{name}.csv")
    return loading.load_test(replace(data, source=str(folder)), {})


def laid_out(folder: Path, data: DataConfig, sample: Columns | None, **more: Any) -> dict[str, list[Any]]:
    """The submission of predictions 10, 11, ..., in the order of answers and targets; parsed, they come back."""
    table, read = loaded(folder, data, sample, **more)
    layout = Layout.of(table, read)
    shape = (layout.addresses.answers, len(data.target))
    values = 10.0 + np.arange(shape[0] * shape[1]).reshape(shape)
    made = layout.laid_out(values)
    back = layout.parsed(made)
    assert np.array_equal(back, np.where(layout.answered[:, None], values, np.nan), equal_nan=True)
    return made.to_dict(as_series=False)


def refusal(folder: Path, data: DataConfig, sample: Columns | None, **more: Any) -> str:
    with pytest.raises(UserError) as error:
        loaded(folder, data, sample, **more)
    return str(error.value)


BY_STEP = config(id_template="{ride}_{step}")
SAMPLE: Columns = {"id": [f"{ride}_{step}" for ride, step in IN_SERIES][::-1], "speed": [0] * 5}


def test_ids_are_made_of_columns_and_of_a_rows_number(tmp_path: Path) -> None:
    want = {"id": ["a_2", "a_1", "a_0", "b_1", "b_0"], "speed": [14, 13, 12, 11, 10]}
    assert laid_out(tmp_path, BY_STEP, SAMPLE) == want
    by_second = config(id_template="{ride}-{second}")
    ids = ["b-0", "b-1", "a-0", "a-1", "a-2.5"]  # whole numbers print as such
    assert laid_out(tmp_path, by_second, {"id": ids, "speed": [0] * 5})["speed"] == [10, 11, 12, 13, 14]


def test_ids_may_be_computed(tmp_path: Path) -> None:
    """As Ribonanza's: integers that run on from the first one of each series."""
    rows = {**ROWS, "first": [100, 200, 200, 100, 200]}
    sample = {"id": [202, 201, 200, 101, 100], "speed": [0] * 5}
    got = laid_out(tmp_path, config(id_template="{first + step}"), sample, rows=rows)
    assert got == {"id": [202, 201, 200, 101, 100], "speed": [14, 13, 12, 11, 10]}


def test_a_separator_inside_of_values_does_no_harm(tmp_path: Path) -> None:
    rows = {**ROWS, "ride": ["a_1", "a", "a", "a_1", "a"]}
    sample = {"id": ["a_1_0", "a_1", "a_1_1", "a_0", "a_2"], "speed": [0] * 5}
    assert laid_out(tmp_path, BY_STEP, sample, rows=rows)["speed"] == [10, 13, 11, 12, 14]


def test_two_answers_with_one_id_are_refused(tmp_path: Path) -> None:
    data = config(id_template="{ride}{second}")
    rows = {"ride": ["a1", "a"], "second": [0, 10], "power": [0, 0]}
    assert "but 2 have id a10, column speed (ride a1 and a)" in refusal(tmp_path, data, None, rows=rows)


def test_several_targets_may_stand_below_one_another(tmp_path: Path) -> None:
    data = config(target=("u", "v"), id_template="{ride}_{step}_{target}", column_template="value")
    ids = [f"{ride}_{step}_{name}" for name in ("v", "u") for ride, step in IN_SERIES]
    got = laid_out(tmp_path, data, {"id": ids, "value": [0] * 10})
    assert got == {"id": ids, "value": [11, 13, 15, 17, 19, 10, 12, 14, 16, 18]}
    (tmp_path / "sample_submission.csv").unlink()
    without = laid_out(tmp_path, data, None)  # in the order of the test file
    assert without["id"][:4] == ["b_0_u", "b_0_v", "a_0_u", "a_0_v"] and without["value"][:4] == [10, 11, 14, 15]


def test_a_series_may_be_a_row_with_a_column_a_step(tmp_path: Path) -> None:
    """As M5's: F1, F2, ...; what its longer series have more is not asked for where it is not scored."""
    data = config(id="ride", column_template="F{step + 1}", scored="second < 2")
    sample = {"F2": [0, 0], "ride": ["a", "b"], "F1": [0, 0]}
    assert laid_out(tmp_path, data, sample) == {"F2": [13, 11], "ride": ["a", "b"], "F1": [12, 10]}
    by_day = config(id="ride", column_template="{day}")
    rows = {**{name: values[:4] for name, values in ROWS.items()}, "day": ["mo", "mo", "tu", "tu"]}
    want = {"ride": ["b", "a"], "mo": [10, 12], "tu": [11, 13]}
    assert laid_out(tmp_path, by_day, want, rows=rows) == want


def test_a_row_a_series_and_part_with_a_column_a_step(tmp_path: Path) -> None:
    rows = {
        "ride": ["a"] * 4,
        "second": [0, 1, 2, 3],
        "power": [0] * 4,
        "part": ["validation"] * 2 + ["evaluation"] * 2,
    }
    data = config(id_template="{ride}_{part}", column_template="F{second - 2 * (second > 1) + 1}")
    sample = {"id": ["a_evaluation", "a_validation"], "F1": [0, 0], "F2": [0, 0]}
    assert laid_out(tmp_path, data, sample, rows=rows)["F2"] == [13, 11]


def test_a_file_of_keys_gives_the_ids(tmp_path: Path) -> None:
    """As Web Traffic's: a short Id stands for each page and date; the column has a name of its own."""
    data = config(id="Id", id_template="{ride}_{step}", id_file="key_2", column_template="Visits")
    keys = {"Page": ["a_0", "b_0", "a_1", "b_1", "a_2", "old_7"], "Id": ["k1", "k2", "k3", "k4", "k5", "k6"]}
    sample = {"Id": ["k1", "k2", "k3", "k4", "k5"], "Visits": [0] * 5}
    got = laid_out(tmp_path, data, sample, key_2=keys)
    assert got == {"Id": ["k1", "k2", "k3", "k4", "k5"], "Visits": [12, 10, 13, 11, 14]}
    assert "must have two columns, Id and" in refusal(tmp_path, data, sample, key_2={"Page": ["a"], "key": ["k"]})
    twice = {"Page": ["a_0", "a_0"], "Id": ["k1", "k2"]}
    assert "must give each name one id, but has a_0 more than once" in refusal(tmp_path, data, sample, key_2=twice)
    (tmp_path / "sample_submission.csv").unlink()
    few = {"Page": ["a_0"], "Id": ["k1"]}
    assert "without a sample_submission each row of test.csv must" in refusal(tmp_path, data, None, key_2=few)


def test_a_sample_of_just_the_scored_rows_will_do(tmp_path: Path) -> None:
    data = config(id_template="{ride}_{step}", scored="second >= 1")
    want = {"id": ["b_1", "a_2", "a_1"], "speed": [11, 14, 13]}
    assert laid_out(tmp_path, data, {**want, "speed": [0] * 3}) == want
    assert "but lacks 2 of them (first: id a_0)" in refusal(
        tmp_path, data, {"id": ["b_1", "a_2", "b_0"], "speed": [0] * 3}
    )
    known_start = config(id_template="{ride}_{step}", observed=1)
    rows = {**ROWS, "speed": [1, 2, None, None, None]}
    assert laid_out(tmp_path, known_start, {**want, "speed": [0] * 3}, rows=rows) == want


@pytest.mark.parametrize("kind", [pl.String, pl.Int16, pl.Float64])
def test_ids_of_a_sample_in_parquet_keep_their_type(tmp_path: Path, kind: type[pl.DataType]) -> None:
    ids = pl.Series("id", [3, 1, 0, 4, 2]).cast(kind)
    pl.DataFrame({"id": range(5), **ROWS}).write_csv(tmp_path / "test.csv")
    pl.DataFrame({"id": ids, "speed": 0.0}).write_parquet(tmp_path / "sample_submission.parquet")
    layout = Layout.of(*loading.load_test(replace(config(), source=str(tmp_path)), {}))
    made = layout.laid_out(10.0 + np.arange(5)[:, None])  # b 0, b 1, a 0, a 1, a 2: rows 0, 3, 1, 2, 4
    assert made["id"].equals(ids, check_dtypes=True) and made["speed"].to_list() == [11, 12, 10, 14, 13]


def test_ids_that_the_template_does_not_make_are_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, BY_STEP, {**SAMPLE, "id": [f"{name}0" for name in SAMPLE["id"]]})
    assert (
        "names 5 that are not there (first: id a_00). data.id_template = '{ride}_{step}' make ids like b_0, b_1" in said
    )
    assert "lacks a column that [data] names: unknown column 'lap'" in refusal(
        tmp_path, config(id_template="{ride}_{lap}"), SAMPLE
    )


def test_a_column_that_no_step_has_is_refused(tmp_path: Path) -> None:
    data = config(id="ride", column_template="F{step + 1}")
    sample: Columns = {"ride": ["a", "b"], "F1": [0, 0], "F2": [0, 0], "F3": [0, 0]}
    assert "asks for F3 of ride b, which no row there has" in refusal(tmp_path, data, sample)
    assert "has 'F4', which no answer of" in refusal(tmp_path, data, {**sample, "F4": [0, 0]})
    del sample["F3"]
    assert "has no column F3 for ride a" in refusal(tmp_path, data, sample)
    (tmp_path / "sample_submission.csv").unlink()
    assert "but some ids don't have all columns" in refusal(tmp_path, data, None)


def test_classes_may_have_columns_with_a_prefix_or_rows_of_their_own(tmp_path: Path) -> None:
    birds = config(id="ride", level="series", kind="multiclass", metric="log_loss", column_template="is_{target}")
    table, sample = series(tmp_path, birds, {"ride": ["a", "b"], "is_wren": [0, 0], "is_tit": [0, 0]})
    shares = np.array([[0.25, 0.75], [0.5, 0.5]])  # of b and a; of tit and wren
    layout = Layout.of(table, sample)
    assert layout.laid_out(shares).rows() == [("a", 0.5, 0.5), ("b", 0.75, 0.25)]
    long = replace(birds, id="id", id_template="{ride}:{target}", column_template="p")
    table, sample = series(tmp_path, long, {"id": ["b:tit", "a:tit", "a:wren", "b:wren"], "p": [0] * 4})
    assert Layout.of(table, sample).laid_out(shares)["p"].to_list() == [0.25, 0.5, 0.5, 0.75]


def test_labels_may_stand_in_a_column_of_another_name(tmp_path: Path) -> None:
    birds = config(id="ride", level="series", kind="multiclass", metric="f1", column_template="prediction")
    table, sample = series(tmp_path, birds, {"ride": ["a", "b"], "prediction": ["tit", "tit"]})
    layout = Layout.of(table, sample)
    assert layout.laid_out(np.array([[0.25, 0.75], [0.9, 0.1]])).rows() == [("a", "tit"), ("b", "wren")]
    with pytest.raises(UserError, match="'owl', which no training series has and no model can learn"):
        series(tmp_path, birds, {"ride": ["a", "b"], "prediction": ["tit", "owl"]})
    with pytest.raises(UserError, match=r"must hold \{target\}, because an answer has 2 numbers: tit, wren"):
        series(tmp_path, replace(birds, metric="log_loss"), {"ride": ["a", "b"], "prediction": [0, 0]})


def series(folder: Path, data: DataConfig, sample: Columns) -> tuple[Table, pl.DataFrame]:
    """The test table of two series, b and a, whose classes are tit and wren, and a sample."""
    rows = pl.DataFrame({"ride": ["b", "a"], "second": [0.0, 0.0], "power": [0.0, 0.0]})
    table = Table(Path("test.csv"), data, rows, np.array([1, 1]), classes=("tit", "wren"))
    pl.DataFrame(sample).write_csv(folder / "s.csv")
    return table, sample_submission.read(folder / "s.csv", table)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"id_template": "{ride"}, "a template is text with columns in braces, like \"{ride}_{step}\", but is '{ride'"),
        ({"id_template": "{ride:>5}"}, "a template is text"),
        ({"id_template": "{}"}, "a template is text"),
        ({"id_template": "row"}, "id_template must name a column in braces"),
        ({"id_template": "{1 + }"}, "{1 + } must hold a column's name, or SQL on columns"),
        ({"id_template": "{ 1 + 1 }"}, "must name a column"),
        (
            {"id": "ride", "id_template": "{step}", "column_template": "v"},
            "name the submission's own column of ids as id",
        ),
        ({"id_file": "key"}, "id_file gives the ids of names that id_template makes"),
        ({"id_template": "{ride}{target}"}, "name it as column_template"),
        ({"target": ("u", "v"), "column_template": "p"}, "must hold {target}, because there are 2 targets"),
        ({"id": "ride"}, "id can only be the key where a series has one row"),
        ({"level": "series", "id_template": "{ride}{step}"}, "{step} is the number of a row"),
    ],
)
def test_templates_that_tell_nothing_apart_are_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as error:
        config(**more)
    assert words in str(error.value)


def test_columns_that_only_name_rows_change_no_cell(tmp_path: Path) -> None:
    data = config(id_template="{ride}_{lap}", source=str(tmp_path))
    train = {**ROWS, "speed": [1, 2, 3, 4, 5]}
    found = []
    for laps in ([1, 1, 2, 2, 3], [5, 6, 7, 8, 9]):
        pl.DataFrame({**train, "lap": laps}).write_csv(tmp_path / "train.csv")
        table = loading.load_table(tmp_path / "train.csv", data, labelled=True)
        found.append((table.fingerprint, table.frame["id"].to_list()))
    assert found[0][0] == found[1][0]
    assert [ids for _, ids in found] == [["b_1", "b_2", "a_1", "a_2", "a_3"], ["b_5", "b_8", "a_6", "a_7", "a_9"]]
    plain = config(id="row", source=str(tmp_path))
    pl.DataFrame({**train, "row": range(5)}).write_csv(tmp_path / "train.csv")
    assert loading.load_table(tmp_path / "train.csv", plain, labelled=True).fingerprint == found[0][0]


def test_a_training_table_need_not_have_what_test_rows_are_named_by(tmp_path: Path) -> None:
    pl.DataFrame({**ROWS, "speed": [1, 2, 3, 4, 5]}).write_csv(tmp_path / "train.csv")
    table = loading.load_table(tmp_path / "train.csv", config(id_template="{ride}_{lap}"), labelled=True)
    assert table.frame["id"].to_list() == [0, 3, 1, 2, 4]  # the rows of the file


def test_dates_that_are_the_order_stand_in_ids_as_dates(tmp_path: Path) -> None:
    rows = {**ROWS, "second": ["2021-03-02", "2021-03-08", "2021-03-09", "2021-03-03", "2021-03-10"]}
    ids = ["a_2021-03-08", "a_2021-03-09", "a_2021-03-10", "b_2021-03-02", "b_2021-03-03"]
    got = laid_out(tmp_path, config(id_template="{ride}_{second}"), {"id": ids, "speed": [0] * 5}, rows=rows)
    assert got["id"] == ids
