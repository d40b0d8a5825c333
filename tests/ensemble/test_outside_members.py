"""Members from outside: their files are checked against our rows and folds, whatever the names of their folds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
from tiny_classes import Songs

from foldline.core import files
from foldline.core.errors import UserError
from foldline.data import folds, loading
from foldline.data.folds import Folds
from foldline.data.loading import Competition
from foldline.ensemble import OutsideConfig, outside_members
from foldline.ensemble.members import Member
from foldline.experiment import config

Change = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.fixture
def inputs(rides: Path, home: Path) -> tuple[Competition, Folds]:
    chosen = config.load(Path("rides"))
    competition = loading.load(chosen.data)
    return competition, folds.obtain(chosen.folds, chosen.name, competition.train)[0]


def same(table: pl.DataFrame) -> pl.DataFrame:
    return table


def load(inputs: tuple[Competition, Folds], oof: Change = same, test: Change = same, fold: str = "fold") -> Member:
    """A member that is half a unit off, its files changed before they are read."""
    competition, our_folds = inputs
    train = competition.train.frame
    their_folds = np.repeat(our_folds.assignment, competition.train.lengths) + 1  # numbered from 1
    train_rows = train.select("row", speed=pl.col("speed") + 0.5).with_columns(fold=their_folds)
    test_rows = competition.test.frame.select("row", speed=pl.int_range(pl.len()).cast(pl.Float64))
    oof(train_rows).write_csv("oof.csv")
    test(test_rows).write_parquet("test.parquet")
    return outside_members.load(
        OutsideConfig(name="friend", oof="oof.csv", test="test.parquet", fold=fold), competition, our_folds
    )


def test_rows_come_in_our_order_whatever_theirs_was(inputs: tuple[Competition, Folds]) -> None:
    competition, _ = inputs
    member = load(inputs, lambda table: table.sort("speed"), lambda table: table.reverse())
    assert member.rows is not None
    np.testing.assert_allclose(member.rows[:, 0], competition.train.frame["speed"].to_numpy() + 0.5)
    stored = files.read_array(member.tests[competition.test.fingerprint])
    assert stored[:, 0].tolist() == list(range(40))


def test_other_values_have_another_source(inputs: tuple[Competition, Folds]) -> None:
    first, again = load(inputs), load(inputs, lambda table: table.sort("speed"))
    other = load(inputs, lambda table: table.with_columns(speed=pl.col("speed") + 1.0))
    assert first.source == again.source != other.source


@pytest.mark.parametrize(
    ("oof", "test", "message"),
    [
        (lambda table: table.head(50), same, "oof.csv .* must have each row of .*train.csv once, but has 50 rows"),
        (
            lambda table: pl.concat([table, table.head(1)]),
            same,
            "but has 121 rows against 120: it names row 1000 more than once",
        ),
        (
            same,
            lambda table: table.with_columns(row=pl.col("row") + 1),
            "test.parquet .* lacks 1 of them .first: row 501000. and names 1 that are not there",
        ),
        (lambda table: table.with_columns(speed=pl.lit(float("nan"))), same, "must be a finite number in every row"),
        (lambda table: table.drop("speed"), same, "unknown column 'speed'"),
        (lambda table: table.drop("fold"), same, "unknown column 'fold'"),
        (lambda table: table.with_columns(fold=pl.col("row") % 2), same, "its folds are not those of"),
        (lambda table: table.with_columns(fold=pl.lit(1)), same, "its folds are not those of"),
        (lambda table: table.with_columns(fold=pl.col("row") // 10), same, "its folds are not those of"),
    ],
)
def test_files_that_are_not_of_our_rows_are_refused(
    oof: Change, test: Change, message: str, inputs: tuple[Competition, Folds]
) -> None:
    with pytest.raises(UserError, match=message):
        load(inputs, oof, test)


def test_a_file_without_folds_is_read_if_none_are_named(inputs: tuple[Competition, Folds]) -> None:
    assert load(inputs, lambda table: table.drop("fold"), fold="").rows is not None


def test_a_missing_file_is_said(inputs: tuple[Competition, Folds]) -> None:
    with pytest.raises(UserError, match=r"'friend' from outside: nowhere\.csv does not exist"):
        outside_members.load(OutsideConfig(name="friend", oof="nowhere.csv", test="t.csv"), *inputs)


def test_the_short_form_is_parsed() -> None:
    assert outside_members.parse("a=o.csv,t.csv", "--outside") == OutsideConfig(name="a", oof="o.csv", test="t.csv")
    assert outside_members.parse("a=o=1.csv,t.csv,part", "").fold == "part"
    for wrong in ("a", "a=o.csv", "=o.csv,t.csv", "a=o,t,f,x", "a=o,,f"):
        with pytest.raises(UserError, match=re.escape("--outside must have the form NAME=OOF_FILE,TEST_FILE")):
            outside_members.parse(wrong, "--outside")


def test_numbers_are_texts_where_ours_are(home: Path, tmp_path: Path) -> None:
    """Ids like 007 stay texts, and match those of a file that holds them as texts."""
    tables = {stem: table.with_columns(pl.format("0{}", "row").alias("row")) for stem, table in tiny.frames().items()}
    tiny.install(home, tiny.write(tmp_path / "texts", tables), "texts")
    chosen = config.load(Path("texts"))
    competition = loading.load(chosen.data)
    member = load((competition, folds.obtain(chosen.folds, chosen.name, competition.train)[0]))
    assert member.rows is not None and len(member.rows) == 120


@pytest.mark.parametrize("kind", [pl.Int32, pl.UInt32, pl.Float64])
def test_ids_are_ours_whatever_their_type(kind: type[pl.DataType], inputs: tuple[Competition, Folds]) -> None:
    def cast(table: pl.DataFrame) -> pl.DataFrame:
        return table.with_columns(pl.col("row").cast(kind))

    member, expected = load(inputs, cast, lambda table: cast(table).reverse()), load(inputs)
    assert member.source == expected.source


@pytest.fixture
def songs(home: Path, tmp_path: Path) -> tuple[Competition, Folds]:
    """One class of each series."""
    Songs("multiclass").install(home, tmp_path / "songs")
    chosen = config.load(Path("songs"))
    competition = loading.load(chosen.data)
    return competition, folds.obtain(chosen.folds, chosen.name, competition.train)[0]


def test_a_series_has_one_row_and_a_class_one_column(songs: tuple[Competition, Folds]) -> None:
    competition, our_folds = songs
    rng, labels = np.random.default_rng(0), competition.train.task.columns
    frames = []
    for stem, table in (("oof", competition.train), ("test", competition.test)):
        shares = pl.DataFrame(rng.dirichlet([1, 1, 1], size=len(table.keys)), schema=list(labels))
        frames.append(shares.with_columns(song=table.keys))
        frames[-1].sample(fraction=1, shuffle=True, seed=0).write_csv(f"{stem}.csv")
    options = OutsideConfig(name="friend", oof="oof.csv", test="test.csv")
    member = outside_members.load(options, competition, our_folds)
    np.testing.assert_array_equal(member.rows, frames[0].select(labels).to_numpy())
    for changed, message in (((0.5 * pl.col("tit")), "must sum to one"), (-pl.col("tit"), "must be probabilities")):
        frames[0].with_columns(changed.alias("tit")).write_csv("oof.csv")
        with pytest.raises(UserError, match=message):
            outside_members.load(options, competition, our_folds)
