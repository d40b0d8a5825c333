"""Web Traffic's files against the published rules: what the host's data page says of pages, days, keys and blanks."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from helpers.gallery_files import changed

pytestmark = pytest.mark.gallery

DAYS = [str(date(2015, 7, 1) + timedelta(number)) for number in range(803)]  # to 2017-09-10
ASKED = [str(date(2017, 9, 13) + timedelta(number)) for number in range(62)]  # to 2017-11-13
LANGUAGES = "de|en|es|fr|ja|ru|zh"
NAME = re.compile(
    rf".+_((?:{LANGUAGES})\.wikipedia\.org|commons\.wikimedia\.org|www\.mediawiki\.org)"
    "_(all-access|desktop|mobile-web)_(all-agents|spider)"
)


def check(folder: Path) -> None:
    """Refuse files that the competition would not have."""
    train = pl.read_csv(folder / "train_2.csv", infer_schema_length=None)
    assert train.columns == ["Page", *DAYS], "a column a day, none left out"
    pages = train["Page"].to_list()
    assert len(set(pages)) == len(pages) and all(NAME.fullmatch(page) for page in pages)
    visits = train.drop("Page").cast(pl.Float64).to_numpy()
    there = visits[visits == visits]
    assert (there >= 0).all() and (there == there.round()).all(), "visits are counts"
    key = pl.read_csv(folder / "key_2.csv")
    assert key.columns == ["Page", "Id"]
    assert key["Page"].to_list() == [f"{page}_{day}" for page in pages for day in ASKED]
    assert key["Id"].is_unique().all() and key["Id"].str.contains("^[0-9a-f]{12}$").all()
    sample = pl.read_csv(folder / "sample_submission_2.csv")
    assert sample.columns == ["Id", "Visits"] and (sample["Visits"] == 0).all()
    assert sample["Id"].to_list() == key["Id"].to_list()


def test_the_files_are_those_of_the_competition(files: Path) -> None:
    check(files)


def test_it_has_the_traps(folder: Path) -> None:
    train = pl.read_csv(folder / "train_2.csv", infer_schema_length=None)
    assert train["2015-07-01"].null_count() > 0, "pages that did not exist yet"
    assert train.select(DAYS[-100:]).null_count().sum_horizontal()[0] > 0, "blanks between days"
    assert (train.drop("Page") == 0).fill_null(False).to_numpy().sum() > 0, "zeros beside blanks"
    names = "".join(train["Page"])
    assert all(sign in names for sign in (",", '"', ":", "%")) and not names.isascii()
    assert {page.count("_") for page in train["Page"]} > {3}, "names with underscores of their own"
    kinds = {NAME.fullmatch(page).group(3) for page in train["Page"]}  # type: ignore[union-attr]
    assert kinds == {"all-agents", "spider"}


def test_the_checker_finds_what_is_wrong(folder: Path) -> None:
    for name, change in (
        ("train_2.csv", pl.col("Page").str.replace("_all-access", "-all-access")),
        ("train_2.csv", pl.col("2017-01-01") + 0.5),
        ("train_2.csv", pl.col("2017-01-01").alias("2017-09-11")),
        ("key_2.csv", pl.col("Page").str.replace("2017-09-13", "2017-09-11")),
        ("key_2.csv", pl.col("Id").str.head(6)),
        ("sample_submission_2.csv", pl.col("Visits") + 1),
    ):
        with changed(folder / name, change), pytest.raises(AssertionError):
            check(folder)
