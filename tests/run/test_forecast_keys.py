"""Keys of a forecast's cells hash what series without a window bring: the values of their static columns."""

from __future__ import annotations

from pathlib import Path

import lab
import polars as pl
import tiny
import tiny_forecast

from foldline.experiment import config
from foldline.run import planning


def test_a_town_of_a_shop_without_a_window_changes_features_and_keys(home: Path, tmp_path: Path) -> None:
    """Towns are numbered over all shops, the fingerprint is of windows alone."""
    tables, found = tiny_forecast.shops(), []
    for town in ("a", "c"):
        short = tables["train"][:2].with_columns(shop=pl.lit("short"), town=pl.lit(town))
        source = tiny.write(tmp_path / town, {**tables, "train": pl.concat([tables["train"], short])})
        tiny_forecast.install(home, source, 'static = ["town"]')
        chosen = config.load(Path("shops"))
        inputs = lab.plan_inputs(chosen)
        found.append((inputs.train, {cell.key for cell in planning.plan(inputs, chosen.models)}))
    (first, keys), (other, others) = found
    assert first.fingerprint == other.fingerprint and (first.levels, other.levels) == ((2,), (3,))
    assert keys.isdisjoint(others)
