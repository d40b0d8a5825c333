"""Static columns are numbers where each value is printed as numbers are; else they keep their text."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from foldline.core.errors import UserError
from foldline.data import loading, static_levels
from foldline.data.roles import DataConfig

ROLES = DataConfig(id="i", key="k", order="t", target=("y",), inputs=("x",), static=("s",))


@pytest.mark.parametrize(
    ("printed", "levels"),
    [
        (["20", "5"], [20, 5]),
        (["20.0", "5"], [20.0, 5.0]),
        (["0.5", "1e-05", "0.00002"], [0.5, 1e-05, 2e-05]),
        (["1.1", "1.10"], ["1.1", "1.10"]),
        (["1.10", "1.20"], ["1.10", "1.20"]),
        (["1e2", "100"], ["1e2", "100"]),
        (["+1", "1"], ["+1", "1"]),
        (["007", "7"], ["007", "7"]),
        ([".5", "0.5"], [".5", "0.5"]),
        (["1_0", "10"], ["1_0", "10"]),
        (["steel", "1"], ["steel", "1"]),
    ],
)
@pytest.mark.parametrize("packed", ["csv", "parquet"])
def test_text_that_only_parses_as_a_number_stays_text(
    printed: list[str], levels: list[object], packed: str, tmp_path: Path
) -> None:
    path = tmp_path / f"train.{packed}"
    rows = [str(row) for row in range(len(printed))]
    table = pl.DataFrame({"i": rows, "k": rows, "t": 0, "x": 1.0, "s": printed, "y": 2.0})
    table.write_csv(path) if packed == "csv" else table.write_parquet(path)
    assert loading.load_table(path, ROLES, labelled=True).frame["s"].to_list() == levels


def test_a_test_table_gets_the_type_of_the_training_levels() -> None:
    path = Path("test.csv")
    assert static_levels.typed(pl.Series("s", ["7"]), ("7", "steel"), path).to_list() == ["7"]
    assert static_levels.typed(pl.Series("s", ["NaN", " ", "7"]), ("7", "steel"), path).to_list() == [None, None, "7"]
    assert static_levels.typed(pl.Series("s", ["7", "20.0"]), (7, 20), path).to_list() == [7.0, 20.0]
    for odd in ("1.10", "1e2", "steel"):
        with pytest.raises(UserError, match=f"test.csv: column 's' must hold numbers, .* but holds '{odd}'"):
            static_levels.typed(pl.Series("s", ["7", odd]), (1.1, 7.0), path)


def test_numbers_of_parquet_are_the_levels_of_a_csv(tmp_path: Path) -> None:
    table = pl.DataFrame({"i": [1, 2], "k": [1, 2], "t": 0.0, "x": 1.0, "s": [20, 5], "y": 2.0})
    table.write_csv(tmp_path / "train.csv")
    expected = loading.load_table(tmp_path / "train.csv", ROLES, labelled=True)
    for number, kind in enumerate((pl.Int8, pl.UInt32, pl.Int64)):
        path = tmp_path / f"{number}.parquet"
        table.with_columns(pl.col("s", "k").cast(kind)).write_parquet(path)
        assert loading.load_table(path, ROLES, labelled=True).fingerprint == expected.fingerprint
