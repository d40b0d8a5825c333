"""Decisions on labels from training to the submission: recorded, shown, applied by `infer`."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import tiny
from tiny_classes import Songs

from foldline.core import files

SONGS = Songs("binary", metric="f1", series=60, test_series=30)
ONE_ROUND = '[[model]]\nname = "lightgbm"\nrounds = 1\nmin_data_in_leaf = 2\n\n[track]'


def test_a_threshold_is_recorded_shown_and_submitted(home: Path, tmp_path: Path) -> None:
    """After one round no probability is far from the prior, below 0.5: F1 is 0 without a threshold."""
    path = SONGS.install(home, tmp_path / "songs")
    head, tail = path.read_text().split("[[model]]", 1)[0], path.read_text().split("[track]")[1]
    path.write_text(head + ONE_ROUND + tail)
    swapped = pl.col("answer").replace({"calm": "alarm", "alarm": "calm"})
    frames = SONGS.frames()
    tiny.write(tmp_path / "songs", {**frames, "train": frames["train"].with_columns(swapped)})
    tiny.run("train", "songs")
    latest = home / "runs" / "songs" / "latest"
    value = files.read_json(latest / "experiment.json")
    assert value["decisions"]["step"] == "thresholds" and 0.2 < value["decisions"]["values"][0] < 0.5
    assert value["scores"][-1][0] == "thresholds fitted" and value["scores"][-1][1][-1] > value["scores"][-2][1][-1]
    decided = tiny.submission(home, "songs")
    assert b"alarm" in decided and b"calm" in decided
    (published,) = (home / "submissions").glob("songs-*.csv")
    published.unlink()
    tiny.run("infer", "songs")
    assert published.read_bytes() == decided
