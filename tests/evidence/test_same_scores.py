"""One score for the same predictions, whichever verb says it: with weights, means over groups, and a metric file.

Scores are computed again here, from the out-of-fold predictions, without the engine's metrics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ablations
import numpy as np
import polars as pl
import pytest
import searches
import tiny
from tiny_classes import BY_VOLUME, Songs

from foldline.core import files
from foldline.core.console import Terminal
from foldline.data.metrics import intervals
from foldline.ensemble import paired_difference
from foldline.experiment import config as configs
from foldline.experiment import preparation, scoring

MODELS = """
[[model]]
name = "lightgbm"
label = "small"
rounds = 5
min_data_in_leaf = 2

[[model]]
name = "lightgbm"
label = "large"
rounds = 20
min_data_in_leaf = 2

[blend]
method = "mean"

[post]
snap = false
"""
SEARCH = """
base = "songs.toml"
[tune]
trials = 1
workers = 1
pruner = "none"
check_seeds = [1]
[space]
"model.0.rounds" = {choices = [5]}
"""


@dataclass(frozen=True)
class Case:
    """A way of scoring, and the score of rows with the columns predicted, answer, w, singer, volume by hand."""

    songs: Songs
    score: Callable[[pl.DataFrame], float]
    drawn: str  # what intervals are over


def weighted(rows: pl.DataFrame) -> float:
    error = (rows["predicted"] - rows["answer"]).abs()
    return float((error * rows["w"]).sum() / rows["w"].sum())  # type: ignore[operator]


def rmse_of_singers(rows: pl.DataFrame) -> float:
    squares = rows.group_by("singer").agg(((pl.col("predicted") - pl.col("answer")) ** 2).mean().sqrt().alias("rmse"))
    return float(squares["rmse"].mean())  # type: ignore[arg-type]


def by_volume(rows: pl.DataFrame) -> float:
    error = (rows["predicted"] - rows["answer"]).abs()
    return float((error * rows["volume"]).sum() / rows["volume"].sum())  # type: ignore[operator]


SINGERS = 'group = "singer"\nmetric_options = {groups = "mean"}'
VOLUMES = 'metric_columns = ["volume"]\ngroup = "singer"'
CASES = {
    "weights": Case(Songs("regression", "step", more='weight = "w"'), weighted, "series"),
    "groups": Case(Songs("regression", "step", "rmse", more=SINGERS), rmse_of_singers, "singers"),
    "file": Case(Songs("regression", "step", "metric.py", more=VOLUMES), by_volume, "singers"),
}


def frames(songs: Songs) -> dict[str, pl.DataFrame]:
    """The tables: songs weigh 0 to 3, and each of six singers has four of them."""
    made, number = songs.frames(), pl.col("song").str.slice(1).cast(pl.Int64)
    made["train"] = made["train"].with_columns(w=(number % 4).cast(pl.Float64), singer=number // 4)
    return made


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A case, trained; resamples are few."""
    monkeypatch.setattr(intervals, "RESAMPLES", 40)
    monkeypatch.setattr(paired_difference, "RESAMPLES", 10)
    found = CASES[request.param]
    if request.param == "file":
        pytest.importorskip("pandas")
    path = found.songs.install(home, tmp_path / "songs")
    before, _, after = path.read_text().partition("[[model]]")
    path.write_text(before + MODELS + after[after.index("[track]") :])
    (path.parent / "metric.py").write_text(BY_VOLUME)
    (path.parent / "ablate-songs.toml").write_text(ablations.OF_SONGS.format(change='drop = ["model.large"]'))
    (path.parent / "search.toml").write_text(SEARCH)
    tiny.write(tmp_path / "songs", frames(found.songs))
    tiny.run("train", "songs")
    return found


def out_of_fold(case: Case) -> pl.DataFrame:
    """The training rows with `predicted`, what is submitted of them, and `fold`."""
    ready = preparation.prepare(configs.load(Path("songs")), Terminal(quiet=True))
    found = scoring.combine(ready.config, ready.members, ready.train, ready.folds, None)
    fold = ready.folds.assignment[ready.train.series_of_answer]
    return frames(case.songs)["train"].with_columns(predicted=pl.Series(found.blended[:, 0]), fold=pl.Series(fold))


def test_every_verb_says_the_same(case: Case, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = out_of_fold(case)
    whole, folds = case.score(rows), [case.score(part) for part in rows.sort("fold").partition_by("fold")]
    record = files.read_json((home / "runs" / "songs" / "latest").resolve() / "experiment.json")
    assert record["scores"][-1][1] == pytest.approx([*folds, whole])
    assert tiny.as_json(capsys, "blend", "songs")["scores"] == {
        name: pytest.approx(each) for name, each in record["scores"]
    }

    line = tiny.as_json(capsys, "board")["groups"][0]["lines"][0]
    assert (line["score"], line["drawn"]) == (pytest.approx(whole), case.drawn) and line["low"] < whole < line["high"]

    columns = ["row", "song", "answer", "volume", "w", "singer"]
    rows.select(columns).sample(fraction=1.0, shuffle=True, seed=0).write_csv("truth.csv")
    rows.select("row", answer="predicted").write_csv("predicted.csv")
    scored = tiny.as_json(capsys, "score", "predicted.csv", "truth.csv", "songs")
    assert scored["scores"][0]["score"] == pytest.approx(whole) and scored["over"] == case.drawn
    assert scored["scores"][0]["low"] < whole < scored["scores"][0]["high"]

    tiny.run("report", "songs")
    page = (home / "runs" / "songs" / "latest" / "report.html").read_text()
    assert f"{whole:.4f}" in page and f"over {case.drawn}" in page

    tiny.run("ablate", "ablate-songs")
    folder = home / "runs" / "ablate-songs" / "latest"
    assert np.array(files.read_json(folder / "ablation.json")["baseline"]["scores"])[:, 0] == pytest.approx(folds)
    assert f"resamples {case.drawn} inside" in (folder / "ablation.html").read_text()

    tiny.run("tune", "search")
    trial = searches.found(home)["trials"][0]
    assert trial["score"] == pytest.approx(folds[0])  # the fold that the search looks at
