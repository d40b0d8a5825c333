"""The files of Child Mind PIU against the published rules: what the host's data page and dictionary say of columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers.gallery_files import changed

pytestmark = pytest.mark.gallery

# Instrument -> its columns behind the season, as the dictionary lists them; PCIAT and sii are of train alone.
COLUMNS = {
    "CGAS": "CGAS_Score",
    "Physical": "BMI Height Weight Waist_Circumference Diastolic_BP HeartRate Systolic_BP",
    "Fitness_Endurance": "Max_Stage Time_Mins Time_Sec",
    "FGC": "FGC_CU FGC_CU_Zone FGC_GSND FGC_GSND_Zone FGC_GSD FGC_GSD_Zone FGC_PU FGC_PU_Zone FGC_SRL FGC_SRL_Zone "
    "FGC_SRR FGC_SRR_Zone FGC_TL FGC_TL_Zone",
    "BIA": "BIA_Activity_Level_num BIA_BMC BIA_BMI BIA_BMR BIA_DEE BIA_ECW BIA_FFM BIA_FFMI BIA_FMI BIA_Fat "
    "BIA_Frame_num BIA_ICW BIA_LDM BIA_LST BIA_SMM BIA_TBW",
    "PAQ_A": "PAQ_A_Total",
    "PAQ_C": "PAQ_C_Total",
    "PCIAT": " ".join(f"PCIAT_{n:02}" for n in range(1, 21)) + " PCIAT_Total",
    "SDS": "SDS_Total_Raw SDS_Total_T",
    "PreInt_EduHx": "computerinternet_hoursday",
}
BASIC = ["Basic_Demos-Enroll_Season", "Basic_Demos-Age", "Basic_Demos-Sex"]
SEASONS = [f"{instrument}-Season" for instrument in COLUMNS]
FIELDS = [f"{instrument}-{field}" for instrument, names in COLUMNS.items() for field in ["Season", *names.split()]]
TRAIN_ONLY = [*(name for name in FIELDS if name.startswith("PCIAT")), "sii"]
SERIES = {
    "step": pl.UInt32,
    **dict.fromkeys(["X", "Y", "Z", "enmo", "anglez", "non-wear_flag", "light", "battery_voltage"], pl.Float32),
    "time_of_day": pl.Int64,
    "weekday": pl.Int8,
    "quarter": pl.Int8,
    "relative_date_PCIAT": pl.Float32,
}


def check(folder: Path) -> None:
    """Refuse files that the competition would not have."""
    train, test = (pl.read_csv(folder / f"{part}.csv", infer_schema_length=None) for part in ("train", "test"))
    assert train.columns == ["id", *BASIC, *FIELDS, "sii"] and train.width == 82
    assert len(TRAIN_ONLY) == 23 and test.columns == [name for name in train.columns if name not in TRAIN_ONLY]
    assert (
        train["id"].is_sorted()
        and train["id"].str.contains("^[0-9a-f]{8}$").all()
        and not train["id"].is_duplicated().any()
    )
    assert test.equals(train.head(len(test)).select(test.columns)), "the rows that are shown are train's first ones"
    assert set(pl.read_csv(folder / "data_dictionary.csv")["Field"]) >= set(train.columns[1:])
    people(train)
    grades(train)
    for part, known in (("train", train), ("test", test)):
        paths = sorted((folder / f"series_{part}.parquet").iterdir())
        names = [path.name.removeprefix("id=") for path in paths]
        assert paths and set(names) <= set(known["id"]) and all(path.name.startswith("id=") for path in paths)
        for path in paths:
            assert [each.name for each in path.iterdir()] == ["part-0.parquet"]
            series(pl.read_parquet(path / "part-0.parquet", hive_partitioning=False))
    sample = pl.read_csv(folder / "sample_submission.csv")
    assert sample.columns == ["id", "sii"] and sample["id"].equals(test["id"]) and sample["sii"].dtype == pl.Int64


def people(train: pl.DataFrame) -> None:
    """Check seasons, ages, and that numbers are not below 0."""
    assert train.select(BASIC).null_count().sum_horizontal().item() == 0
    assert train["Basic_Demos-Age"].is_between(5, 22).all() and set(train["Basic_Demos-Sex"]) == {0, 1}
    for name in (BASIC[0], *SEASONS):
        assert set(train[name].drop_nulls()) == {"Spring", "Summer", "Fall", "Winter"}
    numbers = [name for name in FIELDS if name not in SEASONS]
    assert all(train[name].dtype.is_numeric() and train[name].min() >= 0 for name in numbers)  # type: ignore[operator]
    assert train[FIELDS[-1]].max() <= 3, "hours a day, in four classes"  # type: ignore[operator]


def grades(train: pl.DataFrame) -> None:
    """Check that sii follows from the total, the total from its 20 answers, and that all are blank together."""
    items = train.select(pl.col(r"^PCIAT-PCIAT_\d\d$"))
    total = train["PCIAT-PCIAT_Total"]
    assert items.width == 20 and items.select(pl.all().is_between(0, 5).all()).row(0) == (True,) * 20
    assert (items.sum_horizontal() == total).filter(total.is_not_null()).all()
    wanted = pl.Series(np.digitize(total.drop_nulls().to_numpy(), [31, 50, 80])).cast(pl.Float64)
    assert train["sii"].drop_nulls().equals(wanted, check_names=False)
    assert train["sii"].is_null().equals(total.is_null(), check_names=False)


def series(rows: pl.DataFrame) -> None:
    """Check the columns of a wrist, and that its steps are 5 s apart but where nothing was recorded."""
    assert dict(rows.schema) == SERIES
    assert rows["step"].to_list() == list(range(len(rows)))
    second = rows["relative_date_PCIAT"].cast(pl.Int64) * 86_400 + rows["time_of_day"] // 10**9
    apart = second.diff().drop_nulls()
    assert apart.min() == 5 and (apart == 5).mean() > 0.99, "5 s, with few gaps"  # type: ignore[operator]
    assert rows["time_of_day"].is_between(0, 86_400 * 10**9 - 1).all() and rows["weekday"].is_between(1, 7).all()
    assert set(rows["non-wear_flag"]) <= {0.0, 1.0} and rows["enmo"].min() >= 0  # type: ignore[operator]
    assert rows["anglez"].is_between(-90, 90).all() and rows["quarter"].is_between(1, 4).all()


def test_the_files_are_those_of_the_competition(files: Path) -> None:
    check(files)


def test_it_has_the_traps(folder: Path) -> None:
    train = pl.read_csv(folder / "train.csv", infer_schema_length=None)
    worn = len(list((folder / "series_train.parquet").iterdir()))
    assert 0.1 < worn / len(train) < 0.3, "many children without a series"
    assert 0.25 < train["sii"].is_null().mean() < 0.4, "unlabelled"  # type: ignore[operator]
    counts = train["sii"].drop_nulls().value_counts().sort("sii")["count"]
    assert len(counts) == 4 and counts[0] > counts[1] > counts[2] > counts[3]
    blank = train.select(pl.col(FIELDS).is_null().mean()).row(0)
    assert max(blank) > 0.8 and np.median(blank) > 0.3, "most numbers of most children are blank"
    assert ",2.0\n" in (folder / "train.csv").read_text(), "grades are printed with a point"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("train", pl.col("sii").replace(0.0, 1.0)),
        ("train", pl.col("PCIAT-PCIAT_07") + 1),
        ("train", pl.lit("Autumn").alias("SDS-Season")),
        ("train", pl.col("id").str.to_uppercase()),
        ("test", pl.lit(1.0).alias("sii")),
        ("test", pl.col("Basic_Demos-Age") + 1),
        ("sample_submission", pl.lit("a").alias("id")),
        ("sample_submission", pl.lit(0.5).alias("sii")),
    ],
)
def test_the_checker_finds_what_is_wrong(name: str, change: pl.Expr, folder: Path) -> None:
    with changed(folder / f"{name}.csv", change), pytest.raises(AssertionError):
        check(folder)


def test_the_checker_finds_a_wrong_series(folder: Path) -> None:
    rows = pl.read_parquet(
        next((folder / "series_train.parquet").iterdir()) / "part-0.parquet", hive_partitioning=False
    )
    series(rows)
    for change in (pl.col("time_of_day") // 10**9, pl.col("enmo").cast(pl.Float64), pl.col("step") + 1):
        with pytest.raises(AssertionError):
            series(rows.with_columns(change))
