"""Folders with brackets in their names, beside the folders that those would match as patterns."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import tiny


def test_a_folder_with_brackets_is_trained_on_not_the_one_that_it_matches(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data and home alike; lightgbm alone, so that it takes a second."""
    other = {
        stem: table.with_columns(power=pl.col("power") * -7.0)
        for stem, table in tiny.frames().items()
        if stem != "sample_submission"
    }
    tables = tiny.frames()
    model = 'model=[{name = "lightgbm", rounds = 5, min_data_in_leaf = 2}]'
    plain = tiny.write(tmp_path / "plain", tables)
    tiny.install(home, plain)
    tiny.run("train", "rides", model)
    expected = tiny.submission(home)
    bracketed = tmp_path / "home[1]"
    tiny.write(tmp_path / "rides1", {**tables, **other})
    source = tiny.write(tmp_path / "rides[1]", tables)
    tiny.install(bracketed, source)
    monkeypatch.setenv("FOLDLINE_HOME", str(bracketed))
    tiny.run("train", "rides", model)
    assert tiny.submission(bracketed) == expected
