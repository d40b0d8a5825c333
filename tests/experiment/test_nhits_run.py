"""N-HiTS in a config: sizes come from the forecast, what lacks a past is refused, a run predicts each test row."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import tiny
import tiny_forecast
import tiny_tanks
from refusals import said

from foldline.experiment import config

NHITS = 'model=[{name="nhits", width=4, per_step=2}]'


@pytest.fixture
def shops(home: Path) -> Path:
    """The config of a few shops, under the home folder; their files."""
    source = tiny.write(home.parent / "shops", tiny_forecast.shops())
    tiny_forecast.install(home, source)
    return source


def test_sizes_of_the_forecast_are_written_out(shops: Path) -> None:
    (model,) = config.load(Path("shops"), [NHITS]).models
    assert (model.params["history"], model.params["horizon"]) == (tiny_forecast.HISTORY, tiny_forecast.HORIZON)
    (model,) = config.load(Path("shops"), [NHITS, "model.0.history=5"]).models
    assert (model.params["history"], model.params["horizon"]) == (5, tiny_forecast.HORIZON)


def test_a_horizon_shorter_than_the_forecasts_is_refused(shops: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(capsys, "train", "shops", NHITS, "model.0.horizon=2")
    assert "model[0]: horizon must be at least data.forecast.horizon = 4, but is 2" in found


@pytest.mark.parametrize(("longest", "furthest"), [(10, 4), (15, 8)], ids=["training", "test"])
def test_a_horizon_shorter_than_what_a_known_start_leaves_is_refused(
    longest: int, furthest: int, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps behind the horizon would repeat its last one."""
    tables, test = tiny.frames(steps=10), tiny.rides(501, 4, longest, seed=1)
    tables |= {"test": test, "sample_submission": test.select("row", speed=pl.lit(0.0))}
    tiny.install(home, tiny.write(tmp_path / "rides", tables))
    sizes = ["data.observed=4", "model.0.history=4", f"model.0.horizon={furthest - 1}"]
    found = said(capsys, "train", "rides", NHITS, *sizes)
    assert f"horizon = {furthest - 1} must reach the last scored step of each series, but in series" in found
    assert f"that is step {furthest} behind the known ones. Take horizon = {furthest}, or more." in found


@pytest.mark.parametrize("sizes", [[], ["model.0.history=5", "model.0.horizon=4"]], ids=["no sizes", "sizes"])
def test_without_a_known_past_it_is_refused(sizes: list[str], rides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(capsys, "train", "rides", NHITS, *sizes)
    assert "nhits forecasts from the known past of the target: give [data.forecast]" in found


def test_values_known_anywhere_are_no_past(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_tanks.install(home, tmp_path / "tanks")
    found = said(capsys, "train", "tanks", NHITS, "model.0.history=5", "model.0.horizon=4")
    assert "nhits forecasts from the known past of the target: give [data.forecast]" in found


def test_a_forecast_is_trained_and_each_test_row_predicted(shops: Path, home: Path) -> None:
    tiny.run("train", "shops", NHITS, "train.epochs=3")
    submission = pl.read_csv(home / "runs" / "shops" / "latest" / "submission.csv")
    assert submission["row"].to_list() == pl.read_csv(shops / "sample_submission.csv")["row"].to_list()
    assert submission["sales"].is_finite().all() and submission["sales"].n_unique() > 6  # not one for each shop
