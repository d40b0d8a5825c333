"""folds.similar: clusters against all distances written out, held together with their groups, and what a file says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
from lab import small_store

from foldline.core.errors import UserError
from foldline.data import folds, similar_series, true_answers
from foldline.data.fold_assignment import FoldsConfig
from foldline.data.roles import DataConfig
from foldline.data.similar_series import SimilarConfig
from foldline.data.table import Table
from foldline.fit import boosting_cell

DATA = DataConfig(**tiny.ROLES)
CONFIG = FoldsConfig(k=3, similar=SimilarConfig())


def table(copies: int = 4, of: int = 12, noise: float = 1e-3, data: DataConfig = DATA) -> Table:
    """Rides of 10 steps; behind them copies of the first `of`, `copies` each, with some noise on their power."""
    rng, first = np.random.default_rng(0), tiny.rides(1, 20, 10, seed=0)
    parts = [first]
    for copy in range(copies):
        again = first.filter(pl.col("ride") <= of)
        power = again["power"] + noise * rng.normal(size=again.height)
        parts.append(again.with_columns(pl.col("ride") + 100 * (copy + 1), power=power))
    frame = pl.concat(parts).drop("row").with_row_index("row").with_columns(team=pl.col("ride") % 2)
    roles = [data.key, data.order, *data.inputs, *data.static, *data.target, *([data.group] if data.group else [])]
    frame = frame.select("row", *roles).with_columns(pl.col(data.inputs).cast(pl.Float64))
    return Table(Path("train.csv"), data, frame, np.full(frame.height // 10, 10))


def slow(one: Table, near: float) -> set[frozenset[int]]:
    """The clusters by all distances, as sets of rides."""
    columns = [one.frame[name].to_numpy().reshape(-1, 10) for name in ("power", "coasting")]
    moved = [(values - values.mean(axis=0)) / (values - values.mean(axis=0)).std() for values in columns[:1]]
    apart = np.sqrt(np.mean([(each[:, None] - each[None]) ** 2 for each in moved], axis=(0, 3)))
    reach = apart < near
    for _ in range(len(apart)):
        reach = reach @ reach
    keys = one.keys.to_numpy()
    return {frozenset(keys[row].tolist()) for row in reach}


def found(config: SimilarConfig, one: Table) -> set[frozenset[int]]:
    units = similar_series.units_of(config, one)
    keys = one.keys.to_numpy()
    return {frozenset(keys[units.numbers == number].tolist()) for number in units.numbers}


@pytest.mark.parametrize(("copies", "noise", "near"), [(4, 1e-3, 0.01), (12, 0.0, 0.01), (2, 0.2, 0.5)])
def test_clusters_are_those_of_all_distances(copies: int, noise: float, near: float) -> None:
    """Also of more copies than a series has candidates, and of a distance at which some are near to one only."""
    one = table(copies, noise=noise)
    clusters = found(SimilarConfig(distance=near), one)
    assert clusters == slow(one, near) and 1 < len(clusters) < len(one.lengths)


def test_folds_split_no_cluster_and_say_how_many_there_are(tmp_path: Path) -> None:
    one, path = table(), tmp_path / "f.csv"
    plain = folds.make(tmp_path / "plain.csv", replace(CONFIG, similar=None), one)
    made = folds.make(path, CONFIG, one)
    for one_of, keys in ((plain, False), (made, True)):
        fold = dict(zip(one.keys.to_list(), one_of.assignment.tolist(), strict=True))
        assert all(fold[ride] == fold[ride + 100 * copy] for ride in range(1, 13) for copy in (1, 2, 3, 4)) == keys
    assert made.clusters is not None
    assert made.clusters.sentence == "folds.similar: 12 clusters, of 60 series in all, are each in one fold"
    again = folds.read(path, CONFIG, one)
    assert again.clusters == made.clusters and np.array_equal(again.assignment, made.assignment)
    assert made.units is not None and np.array_equal(again.units, made.units) and plain.units is None


def test_a_file_says_what_is_held_together_and_one_without_it_is_read_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older versions wrote key and fold alone: clusters are found again then."""
    one, path = table(), tmp_path / "f.csv"
    made = folds.make(path, CONFIG, one)
    folds.write(replace(made, units=None), CONFIG, one)
    assert path.read_text().splitlines()[1] == "ride,fold"
    assert np.array_equal(folds.read(path, CONFIG, one).units, made.units)
    folds.write(made, CONFIG, one)
    assert path.read_text().splitlines()[1] == "ride,fold,unit of ride"
    monkeypatch.setattr(similar_series, "units_of", None)
    assert np.array_equal(folds.read(path, CONFIG, one).units, made.units)


def test_where_nothing_is_similar_groups_say_what_is_held_together(tmp_path: Path) -> None:
    """So that all is as without folds.similar, to the last bit."""
    one = table(copies=0)
    for made in (folds.make(tmp_path / "f.csv", CONFIG, one), folds.read(tmp_path / "f.csv", CONFIG, one)):
        assert made.clusters is not None and made.clusters.count == 0 and made.units is None


def test_clusters_are_held_together_in_whatever_draws_or_splits_series(tmp_path: Path) -> None:
    """Scores, and what is fitted to out-of-fold rows, know of them by the store."""
    made, data = folds.make(tmp_path / "f.csv", CONFIG, table()), small_store(len(table().lengths), steps=1)
    told = made.with_units(data)
    assert made.units is not None and np.array_equal(told.held_together, made.units) and data.held_together is None
    true = true_answers.of_store(told, replace(DATA, metric="mae"))
    assert np.array_equal(true.units, made.units[true.series])


def test_a_run_watches_whole_clusters(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four copies of each of 6 rides: without folds.similar some are watched while others are trained on."""
    tables, seen = tiny.frames(train_series=6), list[bool]()
    copies = [tables["train"].with_columns(pl.col("ride") + 100 * n, pl.col("row") + 100_000 * n) for n in range(4)]
    tables["train"] = pl.concat(copies)
    tiny.install(home, tiny.write(tmp_path / "rides", tables))
    split = boosting_cell.inner_split

    def recorded(*arguments: Any) -> Any:
        kept, held = split(*arguments)
        seen.append(bool({key % 6 for key in kept[0].series} & {key % 6 for key in held[0].series}))
        return kept, held

    monkeypatch.setattr(boosting_cell, "inner_split", recorded)
    trees = "model=[{name = 'lightgbm', rounds = 2, min_data_in_leaf = 2, train = {watch = {share = 0.4, stop = 1}}}]"
    tiny.run("train", "rides", trees)
    assert all(seen)
    seen.clear()
    tiny.run("train", "rides", trees, "folds.similar={}")
    assert seen and not any(seen)
    record = json.loads((home / "runs" / "rides" / "latest" / "experiment.json").read_text())
    assert record["interval_over"] == "clusters of similar series"


def test_groups_and_clusters_are_held_together_as_one() -> None:
    """Rides of one team are a group: with copies in the other one, both are a unit."""
    data = replace(DATA, group="team")
    assert len(np.unique(similar_series.units_of(SimilarConfig(), table(data=data)).numbers)) == 2
    one = table(1, of=1, data=data)
    odd = one.frame.with_columns(team=pl.when(pl.col("ride") > 100).then(0).otherwise("team"))
    assert len(np.unique(similar_series.units_of(SimilarConfig(), replace(one, frame=odd)).numbers)) == 1


def test_only_named_inputs_are_compared() -> None:
    one = table(copies=0)
    units = similar_series.units_of(SimilarConfig(inputs=("power",), distance=1e-6), one)
    assert len(np.unique(units.numbers)) == 20 and units.clusters is not None and not units.clusters.count
    with pytest.raises(UserError, match=r"folds\.similar: inputs must name inputs that are numbers, but has 'speed'"):
        similar_series.units_of(SimilarConfig(inputs=("speed",)), one)
    with pytest.raises(UserError, match=r"all series of train\.csv are alike in what is compared"):
        similar_series.units_of(SimilarConfig(inputs=("coasting",)), one)


def test_a_file_of_other_values_or_of_another_distance_is_refused(tmp_path: Path) -> None:
    one, path = table(), tmp_path / "f.csv"
    folds.make(path, CONFIG, one)
    for other in (None, SimilarConfig(distance=0.02), SimilarConfig(inputs=("power",))):
        with pytest.raises(UserError, match=r"was made with similar=0\.01, but folds\.similar is"):
            folds.read(path, replace(CONFIG, similar=other), one)
    changed = replace(one, frame=one.frame.with_columns(pl.col("power") * 2))
    with pytest.raises(UserError, match=r"was made for other values than those of train\.csv"):
        folds.read(path, CONFIG, changed)
    folds.make(tmp_path / "plain.csv", replace(CONFIG, similar=None), one)
    with pytest.raises(UserError, match=r"was made with similar=None, but folds\.similar is"):
        folds.read(tmp_path / "plain.csv", CONFIG, one)
    assert folds.default_path(CONFIG, "rides", one) != folds.default_path(replace(CONFIG, similar=None), "rides", one)


def test_a_plain_file_that_splits_a_cluster_is_refused(tmp_path: Path) -> None:
    one, path = table(), tmp_path / "own.csv"
    config = replace(CONFIG, file=str(path))
    for of, alike in ((lambda key: key % 3, False), (lambda key: key % 100 % 3, True)):
        fold = [of(key) for key in one.keys.to_list()]
        pl.DataFrame({"ride": one.keys, "fold": fold}).write_csv(path)
        if alike:
            assert folds.read(path, config, one).clusters is not None
            continue
        with pytest.raises(UserError, match=r"ride 1 and 101 are alike .*, but in folds 1 and 2; 36 such"):
            folds.read(path, config, one)


def test_more_folds_than_clusters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has 1 clusters of similar series \(folds.similar\). Take fewer folds, or a"):
        folds.make(tmp_path / "f.csv", replace(CONFIG, similar=SimilarConfig(distance=50.0)), table())


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"kind": "time"}, 'similar is for folds of other kinds, but kind is "time"')],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **changes)
    with pytest.raises(ValueError, match="distance must be above 0, but is 0"):
        SimilarConfig(distance=0.0)


def test_the_verb_says_how_many(home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tables = tiny.frames()
    again = tables["train"].filter(pl.col("ride") <= 3).with_columns(pl.col("ride") + 900, pl.col("row") + 900_000)
    tables["train"] = pl.concat([tables["train"], again])
    tiny.install(home, tiny.write(tmp_path / "rides", tables))
    for _ in range(2):  # made, then checked
        tiny.run("folds", "rides", "folds.similar={}")
        assert "3 clusters, of 6 series in all, are each in one fold" in capfd.readouterr().out
