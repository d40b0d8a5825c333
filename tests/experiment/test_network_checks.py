"""Networks are made before any training: batch normalisation trains and predicts, or is refused with a way out."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import tiny
from refusals import said

INCEPTION = 'model.0.blocks=[{kind = "inception", kernel = 4, layers = 3, norm = "batch"}]'


def test_a_network_with_batch_norm_predicts_by_its_running_statistics(rides: Path, home: Path) -> None:
    """They are stored with the weights: a part of the test file has the same answers."""
    tiny.run("train", "rides", INCEPTION)
    latest = home / "runs" / "rides" / "latest"
    trained = pl.read_csv(latest / "submission.csv")
    tables = tiny.frames()
    test = tables["test"].filter(pl.col("ride") >= 503)
    elsewhere = tiny.write(home.parent / "later", {"test": test, "sample_submission": test.select("row", speed=0.0)})
    tiny.run("infer", "rides", f"data.source={elsewhere}")
    again = pl.read_csv(next(latest.glob("infer-*.csv")))
    assert 0 < len(again) < len(trained)
    expected = again.select("row").join(trained, on="row", how="left", maintain_order="left")
    assert again["speed"].to_list() == pytest.approx(expected["speed"].to_list(), rel=1e-5)


def test_batch_norm_in_parts_of_a_batch_is_refused_before_any_training(
    rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = said(capsys, "train", "rides", INCEPTION, "train.micro=2")
    assert "train.micro = 2, but the network has batch normalisation" in found and "train.micro = 0" in found
    assert not list((home / "runs").rglob("weights*"))
