"""Freezing of Gait's files against the published rules: what the host's page says of folders, columns and units."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from helpers.gallery_files import changed

pytestmark = pytest.mark.gallery

AXES, KINDS, SCORED = ["AccV", "AccML", "AccAP"], ["StartHesitation", "Turn", "Walking"], ["Valid", "Task"]
WALKS = {
    "train/tdcsfog": ["Time", *AXES, *KINDS],
    "train/defog": ["Time", *AXES, *KINDS, *SCORED],
    "train/notype": ["Time", *AXES, "Event", *SCORED],
    "test/tdcsfog": ["Time", *AXES],
    "test/defog": ["Time", *AXES],
}
TABLES = {
    "tdcsfog_metadata": ["Id", "Subject", "Visit", "Test", "Medication"],
    "defog_metadata": ["Id", "Subject", "Visit", "Medication"],
    "daily_metadata": ["Id", "Subject", "Visit", "Beginning of recording [00:00-23:59]"],
    "subjects": ["Subject", "Visit", "Age", "Sex", "YearsSinceDx", "UPDRSIII_On", "UPDRSIII_Off", "NFOGQ"],
    "events": ["Id", "Init", "Completion", "Type", "Kinetic"],
    "tasks": ["Id", "Begin", "End", "Task"],
}


def check(folder: Path) -> None:
    """Refuse files that the competition would not have."""
    tables = {name: pl.read_csv(folder / f"{name}.csv") for name in TABLES}
    for name, columns in TABLES.items():
        assert tables[name].columns == columns, name
    walks = {place: walks_of(folder / place, columns) for place, columns in WALKS.items()}
    ids = {place: set(found) for place, found in walks.items()}
    assert ids["train/tdcsfog"] | ids["test/tdcsfog"] == set(tables["tdcsfog_metadata"]["Id"])
    assert ids["train/defog"] | ids["train/notype"] | ids["test/defog"] == set(tables["defog_metadata"]["Id"])
    people = pl.concat([tables[f"{place}_metadata"].select("Id", "Subject") for place in ("tdcsfog", "defog")])
    in_train = set().union(*(found for place, found in ids.items() if place.startswith("train")))
    by_part = people.group_by(pl.col("Id").is_in(in_train).alias("train")).agg("Subject")["Subject"].to_list()
    assert not set(by_part[0]) & set(by_part[1]), "the people of test are others"
    lab, home = (set(tables[f"{place}_metadata"]["Subject"]) for place in ("tdcsfog", "defog"))
    assert not lab & home and lab | home <= set(tables["subjects"]["Subject"])
    assert tables["subjects"].filter(pl.col("Subject").is_in(lab))["Visit"].null_count() == len(lab), "blank in the lab"
    assert {path.stem for path in (folder / "unlabeled").glob("*.parquet")} == set(tables["daily_metadata"]["Id"])
    events(tables["events"], walks)
    assert all(set(tables[f"{place}_metadata"]["Medication"]) <= {"on", "off"} for place in ("tdcsfog", "defog"))
    home_walks = walks["train/defog"] | walks["train/notype"] | walks["test/defog"]
    seconds = {name: len(walk) / 100 for name, walk in home_walks.items()}
    assert all(0 <= begin < end <= seconds.get(name, 0) for name, begin, end, _ in tables["tasks"].rows())
    asked = [
        f"{name}_{time}"
        for place in ("defog", "tdcsfog")
        for name, walk in walks[f"test/{place}"].items()
        for time in walk["Time"]
    ]
    sample = pl.read_csv(folder / "sample_submission.csv")
    assert sample.columns == ["Id", *KINDS] and sample["Id"].to_list() == asked


def walks_of(folder: Path, columns: list[str]) -> dict[str, pl.DataFrame]:
    """Read and check a folder's walks: name -> table."""
    walks = {path.stem: pl.read_csv(path) for path in sorted(folder.glob("*.csv"))}
    assert walks, folder
    for name, walk in walks.items():
        assert len(name) == 10 and walk.columns == columns
        assert walk["Time"].to_list() == list(range(len(walk))), "Time counts samples"
        gravity = abs(walk["AccV"].mean())  # type: ignore[arg-type]
        assert 8 < gravity < 12 if folder.name == "tdcsfog" else 0.8 < gravity < 1.2, "m/s² in the lab, g at home"
        assert all(set(walk[kind]) <= {0, 1} for kind in (*KINDS, "Event") if kind in columns)
        assert all(walk[name].dtype == pl.Boolean for name in SCORED if name in columns)
        if "Turn" in columns:
            assert walk.select(pl.sum_horizontal(KINDS).max()).item() <= 1, "an event has one type"
    return walks


def events(table: pl.DataFrame, walks: dict[str, dict[str, pl.DataFrame]]) -> None:
    """Check the intervals: of walks in train, in seconds, without a type where the walk has none."""
    rates = {"train/tdcsfog": 128, "train/defog": 100, "train/notype": 100}
    length = {name: len(walk) / rates[place] for place in rates for name, walk in walks[place].items()}
    untyped = set(walks["train/notype"])
    for name, begin, end, kind, _ in table.rows():
        assert 0 <= begin < end <= length[name]
        assert (kind is None) == (name in untyped) and kind in (None, *KINDS)


def test_the_files_are_those_of_the_competition(files: Path) -> None:
    check(files)


def test_it_has_the_traps(folder: Path) -> None:
    home = pl.concat([pl.read_csv(path) for path in (folder / "train/defog").glob("*.csv")])
    assert 0.02 < 1 - home.select((pl.col("Valid") & pl.col("Task")).mean()).item() < 0.5, "samples that do not count"
    subjects = pl.read_csv(folder / "subjects.csv")
    assert subjects["UPDRSIII_On"].null_count() + subjects["UPDRSIII_Off"].null_count() > 0, "scores are missing"
    lengths = {pl.read_csv(path).height for path in (folder / "train").glob("*/*.csv")}
    assert max(lengths) > 1.3 * min(lengths), "walks of different lengths"


def test_the_labels_of_samples_are_the_events(folder: Path) -> None:
    found = pl.read_csv(folder / "events.csv")
    for name, rows in found.filter(pl.col("Type").is_not_null()).group_by("Id"):
        place, rate = ("tdcsfog", 128) if (folder / f"train/tdcsfog/{name[0]}.csv").exists() else ("defog", 100)
        walk = pl.read_csv(folder / "train" / place / f"{name[0]}.csv")
        for _, begin, end, kind, _ in rows.rows():
            assert walk.filter((pl.col("Time") / rate).is_between(begin, end))[kind].min() == 1


def test_the_checker_finds_what_is_wrong(folder: Path) -> None:
    walk = next((folder / "train/defog").glob("*.csv"))
    for path, change in (
        (walk, pl.col(AXES) * 9.80665),
        (walk, pl.col("Task").cast(pl.Int8)),
        (folder / "tdcsfog_metadata.csv", pl.lit("a").alias("Subject")),
        (folder / "sample_submission.csv", pl.col("Id") + "0"),
        (folder / "tasks.csv", pl.lit("0123456789").alias("Id")),
        (folder / "tasks.csv", pl.col("End") * 100),
        (folder / "defog_metadata.csv", pl.lit("none").alias("Medication")),
    ):
        with changed(path, change), pytest.raises(AssertionError):
            check(folder)
