"""AMEX's files against the published rules: what the host's data page and the public notebooks say."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers.gallery_files import changed, metric_of

pytestmark = pytest.mark.gallery

MISSING_NUMBERS = {  # of each family: the highest number of a column, and those below it that no column has
    "P": (4, [1]),
    "S": (27, [1, 2, 4, 10, 14, 21]),
    "B": (42, [34, 35]),
    "R": (28, []),
    "D": (145, [*range(1, 39), 40, 57, 67, 85, 90, 95, *range(97, 102)]),
}
TEXTS = {"D_63": {"CO", "CR", "CL", "XZ", "XM", "XL"}, "D_64": {"O", "R", "U", "-1"}}
CODES = {
    "B_30": range(3),
    "B_38": range(1, 8),
    "D_114": range(2),
    "D_116": range(2),
    "D_117": [-1, *range(1, 7)],
    "D_120": range(2),
    "D_126": [-1, 0, 1],
    "D_66": range(2),
    "D_68": range(7),
}
LAST_MONTHS = {"train": {(2018, 3)}, "test": {(2019, 4), (2019, 10)}}  # of customers' statements


def columns() -> list[str]:
    """Name the columns that describe a statement."""
    families = MISSING_NUMBERS.items()
    return [f"{family}_{n}" for family, (last, none) in families for n in range(1, last + 1) if n not in none]


def check(folder: Path) -> None:
    """Refuse files that the competition would not have."""
    assert len(columns()) == 188
    tables = {part: pl.read_csv(folder / f"{part}_data.csv", infer_schema_length=None) for part in LAST_MONTHS}
    for part, table in tables.items():
        assert table.columns[:2] == ["customer_ID", "S_2"] and sorted(table.columns[2:]) == sorted(columns()), part
        of_type = {pl.String: [*TEXTS, "customer_ID", "S_2"], pl.Int64: ["B_31"]}
        for kind, names in of_type.items():
            assert {name for name, dtype in table.schema.items() if dtype == kind} == set(names)
        assert all(set(table[name].drop_nulls()) <= set(levels) for name, levels in (TEXTS | CODES).items())
        assert table["customer_ID"].str.contains(r"^[0-9a-f]{64}$").all()
        statements(table, LAST_MONTHS[part])
    customers = {part: table["customer_ID"].unique(maintain_order=True).to_list() for part, table in tables.items()}
    assert not set(customers["train"]) & set(customers["test"]), "test has customers of its own"
    labels, sample = (pl.read_csv(folder / f"{name}.csv") for name in ("train_labels", "sample_submission"))
    assert labels.columns == ["customer_ID", "target"] and set(labels["target"]) == {0, 1}
    assert labels["customer_ID"].to_list() == customers["train"]
    assert sample.columns == ["customer_ID", "prediction"] and set(sample["prediction"]) == {0}
    assert sample["customer_ID"].to_list() == customers["test"]


def statements(table: pl.DataFrame, last_months: set[tuple[int, int]]) -> None:
    """Check that customers have 1 to 13 statements, one after the other, the last in one of some months."""
    dates = table.select("customer_ID", pl.col("S_2").str.to_date("%Y-%m-%d"))
    each = dates.group_by("customer_ID", maintain_order=True).agg("S_2")
    assert each["S_2"].list.len().is_between(1, 13).all()
    assert all(sorted(set(days)) == days for days in each["S_2"].to_list())
    assert {(days[-1].year, days[-1].month) for days in each["S_2"].to_list()} == last_months
    assert dates["customer_ID"].rle_id().n_unique() == len(each), "a customer's rows stand together"
    assert min(dates["S_2"]) >= date(2017, 3, 1)


def test_the_files_are_those_of_the_competition(files: Path) -> None:
    check(files)


def test_it_has_the_traps(folder: Path) -> None:
    train = pl.read_csv(folder / "train_data.csv", infer_schema_length=None)
    counts = train["customer_ID"].value_counts()["count"]
    assert counts.min() == 1 and counts.median() == 13 and 0.05 < (counts <= 9).mean() < 0.2
    lacking = dict(zip(train.columns, train.null_count().row(0), strict=True))
    assert lacking["D_87"] > 0.99 * len(train) and set(train["D_87"].drop_nulls()) == {1.0}, "a rare value"
    assert lacking["D_66"] > 0.8 * len(train) and sum(count > 0 for count in lacking.values()) > 40
    assert {"-1"} < set(train["D_64"]) and -1.0 in set(train["D_117"]), "-1 among the categories"
    noise = train["D_39"] - train["D_39"].floor()
    assert noise.min() > 0 and noise.max() <= 0.0101, "whole numbers with noise on top"  # type: ignore[operator]
    labels = pl.read_csv(folder / "train_labels.csv")
    assert 0.2 < labels["target"].mean() < 0.3  # type: ignore[operator]


def test_the_checker_finds_what_is_wrong(folder: Path) -> None:
    for name, change in (
        ("train_data", pl.col("S_2").str.replace("2017", "2018")),
        ("train_data", pl.col("B_31").cast(pl.Float64)),
        ("train_data", pl.lit("CX").alias("D_63")),
        ("test_data", pl.col("customer_ID").str.head(32)),
        ("test_data", pl.col("D_145").alias("D_146")),
        ("train_labels", pl.col("target") + 1),
        ("sample_submission", pl.col("customer_ID").reverse()),
    ):
        with changed(folder / f"{name}.csv", change), pytest.raises(AssertionError):
            check(folder)


def test_the_metric_is_the_published_one() -> None:
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    for _ in range(5):
        truth, prediction = (rng.uniform(size=80) < 0.3).astype(int), np.round(rng.uniform(size=80), 1)
        ids = [f"c{number}" for number in range(80)]
        frames = [pd.DataFrame({"customer_ID": ids, "target": values}) for values in (truth, prediction)]
        found = metric_of("amex")(*frames, "customer_ID")
        assert found == pytest.approx(slow(truth.tolist(), prediction.tolist()), abs=1e-12)


def slow(truth: list[int], prediction: list[float]) -> float:
    """Score as the competition's page says it, customer after customer."""
    total, defaults = sum(1 if one else 20 for one in truth), sum(truth)

    def walk(order: list[int]) -> tuple[float, float]:
        weight = found = captured = gini = 0.0
        for place in order:
            own = 1 if truth[place] else 20
            weight, found = weight + own, found + truth[place]
            gini += (found / defaults - weight / total) * own
            captured += truth[place] if weight <= int(0.04 * total) else 0
        return gini, captured / defaults

    everyone = range(len(truth))
    gini, captured = walk(sorted(everyone, key=lambda place: -prediction[place]))
    return (gini / walk(sorted(everyone, key=lambda place: -truth[place]))[0] + captured) / 2
