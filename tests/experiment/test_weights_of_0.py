"""What the target holds in rows that data.weight weighs as 0, often a mark that there is none, changes nothing."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import tiny
from tiny_classes import Songs

NETWORK = 'name="hybrid", width=4, blocks=[{kind="conv", kernel=3}], head={kind="twophase"}'
COUNTS = 'name="hybrid", label="counts", width=4, blocks=[{kind="gru"}], head={kind="poisson"}'
TREES = 'name="lightgbm", rounds=20, min_data_in_leaf=2, objective="poisson", train={watch={share=0.3, stop=3}}'


def submitted(folder: Path, mark: float, *words: str) -> bytes:
    """The submission of songs of which each third row has this mark for a target, and no weight."""
    folder.mkdir()
    with tiny.home_in(folder) as home:
        songs = Songs("regression", "step", more='weight = "sure"')
        songs.install(home, folder / "songs")
        tables, idle = songs.frames(), pl.int_range(pl.len()) % 3 == 1
        tables["train"] = tables["train"].with_columns(
            pl.when(idle).then(0.0).otherwise(1.0).alias("sure"),
            pl.when(idle).then(mark).otherwise(pl.col("answer")).alias("answer"),
        )
        tiny.write(folder / "songs", tables)
        tiny.run("train", "songs", f"model=[{{{NETWORK}}}, {{{COUNTS}}}, {{{TREES}}}]", *words)
        return tiny.submission(home, "songs")


def test_marks_in_rows_of_weight_0_change_no_prediction(tmp_path: Path) -> None:
    assert submitted(tmp_path / "plain", 1.0) == submitted(tmp_path / "marked", -999.0)


def test_they_may_have_no_logarithm(tmp_path: Path) -> None:
    words = ["data.target_transform=log1p", "model=[{name='lightgbm', rounds=9, min_data_in_leaf=2}]"]
    assert submitted(tmp_path / "plain", 1.0, *words) == submitted(tmp_path / "marked", -999.0, *words)
