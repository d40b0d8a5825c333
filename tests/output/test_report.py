"""The report: made again from stored cells it is the same page, its numbers are right, and any competition fits it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import tiny

from foldline.cli import report as verb
from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data.metrics import METRICS, metric
from foldline.data.roles import DataConfig
from foldline.data.table import Table
from foldline.experiment import stored_experiment
from foldline.output import report
from foldline.output.report import Provenance, ReportData, examples_section, score_section
from foldline.output.report.report_data import SUBMITTED, TimeAxis


def report_data(name: str = "rides") -> ReportData:
    """What the report of the latest experiment shows."""
    stored = stored_experiment.read(name)
    return verb.gather(stored, stored.config, Terminal(quiet=True))


def again(name: str = "rides", *overrides: str) -> str:
    """The page, made again by the verb."""
    assert verb.run(Arguments("report", [name], list(overrides)), Terminal(quiet=True)) == 0
    return (stored_experiment.read(name).folder / "report.html").read_text()


def sections(text: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", text)


def test_it_is_made_again_from_stored_cells(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = (trained / "runs" / "rides" / "latest" / "report.html").read_text()
    cells = tiny.tree(trained / "runs" / "cells")
    text = again()
    assert capsys.readouterr().out == "report: home/runs/rides/latest/report.html\n"
    assert tiny.tree(trained / "runs" / "cells") == cells and again() == text
    for title in ("Scores", "Best, median and worst", "Errors", "Slices", "Learning curves", "Blend"):
        part = rf"<section id='{re.sub('[^a-z]+', '-', title.lower())}'>.*?</section>"
        assert re.findall(part, text, re.DOTALL) == re.findall(part, first, re.DOTALL) != []


def test_slices_are_those_of_the_slow_way(trained: Path) -> None:
    found = report_data()
    table = tiny.frames()["train"].with_columns(
        error=pl.Series(np.abs(found.result.blended - found.truth)[:, 0]),
        fold=pl.Series(np.repeat(found.fold, 10)),
    )
    table = table.filter(pl.col("coasting") == 0)
    rows = re.findall(r"<tr>(<td>.*?)</tr>", score_section.by_slice(found))
    cells = {row[0]: row[1:] for row in (re.findall(r"<td>(.*?)</td>", row) for row in rows)}
    for bike in (20, 28):
        mine = table.filter(pl.col("bike") == bike)
        folds = [mine.filter(pl.col("fold") == number)["error"].mean() for number in (0, 1)]
        assert cells[f"bike: {bike}"][1] == f"{mine['error'].mean():.4f}"
        assert cells[f"bike: {bike}"][4:] == [f"{value:.4f}" for value in folds]
    late = table.filter(pl.int_range(pl.len()).over("ride") >= 6)["error"].mean()  # 8 scored steps: 3 + 3 + 2
    assert cells["phase: last third"][0] == "25.0%" and cells["phase: last third"][1] == f"{late:.4f}"


def test_errors_of_series_are_means_over_their_scored_steps(trained: Path) -> None:
    found = report_data()
    errors = np.abs(found.predictions["hybrid"] - found.truth).reshape(12, 10)[:, :8]  # the last two are coasting
    np.testing.assert_allclose(found.series_error(found.predictions["hybrid"]), errors.mean(axis=1))
    assert list(found.predictions) == ["hybrid", "lightgbm", SUBMITTED]
    rows = replace(found.result.rows, metric=METRICS["rmse"])
    rooted = replace(found, result=replace(found.result, rows=rows))
    squares = errors**2
    np.testing.assert_allclose(rooted.series_error(found.predictions["hybrid"]), np.sqrt(squares.mean(axis=1)))
    np.testing.assert_allclose(rooted.step_error(found.predictions["hybrid"])[:8], np.sqrt(squares.mean(axis=0)))


def test_expected_errors_are_compared_with_errors(trained: Path) -> None:
    tiny.run("train", "rides", "model.0.head={kind = 'laplace'}")
    text = (trained / "runs" / "rides" / "latest" / "report.html").read_text()
    found = report_data()
    expected = found.spreads["hybrid"][found.train.scored].mean()
    actual = np.abs(found.predictions["hybrid"] - found.truth)[found.train.scored].mean()
    row = f"<td>hybrid</td><td>{expected:.4f}</td><td>{actual:.4f}</td><td>{actual / expected:.2f}</td>"
    assert "Calibration" in sections(text) and row in text and "hybrid: expected error" in text


PLAIN = """
[data]
id = "row"
key = "ride"
order = "second"
inputs = ["power"]
target = ["speed", "height"]
metric = "rmse"
source = "{source}"

[features]
families = ["raw", "time"]

[folds]
kind = "group"
k = 2
"""
PLAIN += tiny.LIGHTGBM + tiny.SERIAL


def test_it_needs_neither_statics_nor_unscored_steps_nor_one_target(home: Path, tmp_path: Path) -> None:
    tables = tiny.frames()
    train = (
        tables["train"].drop("coasting", "bike").filter(pl.int_range(pl.len()).over("ride") < 4 + pl.col("ride") % 4)
    )
    train = train.with_columns(height=pl.col("power") ** 2)
    test = tables["test"].drop("coasting", "bike")
    source = tiny.write(tmp_path / "plain", {"train": train, "test": test})
    (home / "configs" / "plain.toml").write_text(PLAIN.format(source=source))
    tiny.run("train", "plain")
    text = again("plain")
    assert not {"Calibration", "Read back exactly"} & set(sections(text)) and "No model here is trained" in text
    assert text.count(">speed</text>") == text.count(">height</text>") == 6  # a chart a target in each of six panels
    assert not any(title.startswith("Error by") for title in sections(text)) and "nan" not in text.split("</style>")[1]
    found = report_data("plain")
    errors = (found.result.blended - found.truth)[found.train.scored]  # (R, 2)
    each = [f"<td>{value:.4f}</td>" for value in (*np.sqrt((errors**2).mean(axis=0)), np.sqrt((errors**2).mean()))]
    assert "<th>speed</th><th>height</th><th>all rows</th>" in text and f"{''.join(each)}</tr>" in text
    assert "speed and height: each target alone" in text and "scored on series that its models have not seen" in text


def test_it_mentions_only_steps_that_were_done(trained: Path) -> None:
    text = (trained / "runs" / "rides" / "latest" / "report.html").read_text()
    assert "; the blend was fitted on the other folds" in text
    for what in ("the grid", "and grid", "exact rows", "by the models", "read back"):
        assert what not in text
    assert "scored on series that its models have not seen" not in text  # there are two


def test_the_longest_time_of_a_step_is_kept(trained: Path, tmp_path: Path) -> None:
    found, seconds = report_data(), {"features": 90.0, "decoding": 1.0}
    long = Provenance(command="./run.sh train <rides>", environment={"python": "3"}, seconds=seconds)
    report.write(tmp_path, replace(found, provenance=long))
    page = report.write(tmp_path, replace(found, provenance=replace(long, seconds={"features": 0.0, "blending": 2.0})))
    kept = report.read_provenance(tmp_path)
    assert kept is not None and dict(kept.seconds) == {"features": 90.0, "decoding": 1.0, "blending": 2.0}
    text = page.read_text()
    assert "<span title='features'>features</span>" in text and "./run.sh train &lt;rides&gt;</pre>" in text


def test_the_tracking_summary_has_every_score_the_blend_and_the_pictures(trained: Path) -> None:
    found = report_data()
    summary = report.tracking_summary(found, {"submission": trained / "runs" / "rides" / "latest" / "submission.csv"})
    assert summary.values["score"] == found.result.score == summary.values["scores/blend (hill-climb)/all"]
    assert summary.values["scores/hybrid/fold 1"] == found.result.scores["hybrid"][1]
    assert sum(value for name, value in summary.values.items() if name.startswith("blend/")) == pytest.approx(1)
    by_bike = [summary.values[f"slices/bike/{bike}"] for bike in (20, 28)]
    assert np.mean(by_bike) == pytest.approx(found.result.score)  # as many values of either
    assert summary.config["data"]["key"] == "ride" and list(summary.artifacts) == ["submission"]
    pictures = [name for name in summary.pages if name.startswith("pictures/")]
    assert pictures == ["pictures/best, median and worst", "pictures/errors", "pictures/learning curves"]
    assert summary.pages["report"] == report.html(found)


def test_other_data_is_refused(trained: Path, tmp_path: Path) -> None:
    other = tiny.write(tmp_path / "other", tiny.frames(train_series=14))
    with pytest.raises(UserError, match=r"other/train.csv is not the table that 'rides' was trained on"):
        again("rides", f"data.source={other}")
    with pytest.raises(UserError, match=r"only data.source=DIR can be given"):
        again("rides", "train.epochs=3")


def test_a_member_from_outside_is_shown_without_its_files(trained: Path) -> None:
    tables = tiny.frames()
    tables["train"].select("row", "speed").write_csv("oof.csv")
    tables["test"].select("row", speed=pl.col("power")).write_csv("test.csv")
    tiny.run("train", "rides", 'blend.outside=[{name = "friend", oof = "oof.csv", test = "test.csv"}]')
    first = (trained / "runs" / "rides" / "latest" / "report.html").read_text()
    for path in ("oof.csv", "test.csv"):
        Path(path).unlink()
    text = again()
    assert re.findall(r"<section id='scores'>.*?</section>", text, re.DOTALL)[0] in first and "friend" in text
    next((trained / "runs" / "outside").glob("*/out_of_fold.npy")).unlink()
    with pytest.raises(UserError, match=r"out-of-fold predictions of 'friend', which came from outside, are gone"):
        again()


def test_pre_training_is_shown_again(trained: Path, tmp_path: Path) -> None:
    series = tiny.rides(701, 8, 10, seed=5)
    elsewhere = tiny.write(tmp_path / "elsewhere", {"train": series})
    small = 'name = "hybrid", width = 4, blocks = [{kind = "bilstm"}]'
    tiny.run("train", "rides", f'model=[{{{small}, pretrain = {{source = "{elsewhere}"}}}}]')
    first = (trained / "runs" / "rides" / "latest" / "report.html").read_text()
    text = again()
    assert "hybrid, pre-training" in text
    for title in ("learning-curves", "cells"):
        part = rf"<section id='{title}'>.*?</section>"
        assert re.findall(part, text, re.DOTALL) == re.findall(part, first, re.DOTALL) != []


def test_data_that_moved_is_found(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "rides").rename(tmp_path / "moved")
    assert "Scores" in sections(again("rides", f"data.source={tmp_path / 'moved'}"))


def test_a_matrix_names_one_side_of_numbers_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """A static column of numbers has one code for all its values, which is no missing value."""
    counts = np.ones((2, 3, 2))
    report = SimpleNamespace(
        config=SimpleNamespace(data=SimpleNamespace(static=("bike", "weight"))),
        competition=SimpleNamespace(levels={"bike": (20, 28.5), "weight": ()}),
        train=SimpleNamespace(static=np.array([[2, 0], [0, 0]])),
        loss_table=SimpleNamespace(weights=counts),
        slice_metric=metric("mae"),
    )
    monkeypatch.setattr(score_section, "_sums", lambda report, values: counts)
    page = score_section._matrix(report, np.zeros((2, 1)))  # type: ignore[arg-type]
    assert "weight any" in page and "bike missing" in page and "bike 28.5" in page


@pytest.mark.parametrize(
    ("step", "unit", "seconds"), [(86400.0, "days", 86400), (86400.0 / 4, "hours", 3600), (0.1, "seconds", 1)]
)
def test_dates_are_drawn_in_a_unit_that_series_are_a_few_of(step: float, unit: str, seconds: int) -> None:
    """Two series of five and of two steps; numbers are drawn as they are."""
    data = DataConfig(id="row", key="ride", order="day", inputs=("x",), target=("y",))
    frame = pl.DataFrame({"ride": ["a"] * 5 + ["b"] * 2, "day": [step * n for n in (0, 1, 2, 3, 4, 9, 10)]})
    table = Table(Path("rides.csv"), data, frame, np.array([5, 2]), of_dates=True)
    assert TimeAxis.of(table) == (f"day, {unit} from the start", seconds, True)
    assert TimeAxis.of(replace(table, of_dates=False)) == ("day", 1.0, False)


def test_times_that_begin_far_from_0_are_drawn_from_the_start_of_each_series() -> None:
    """Seconds of Unix: five steps of a day, and two steps of the year before."""
    data = DataConfig(id="row", key="ride", order="at", inputs=("x",), target=("y",))
    at = [1.6e9 + 10 * n for n in range(5)] + [1.5e9, 1.5e9 + 10]
    table = Table(Path("rides.csv"), data, pl.DataFrame({"ride": [*"aaaaabb"], "at": at}), np.array([5, 2]))
    axis = TimeAxis.of(table)
    assert axis == ("at, from the start", 1.0, True)
    assert axis.of_rows(table).tolist() == [0, 10, 20, 30, 40, 0, 10]
    assert axis.of_series(table, 5, slice(6, 7)).tolist() == [10]
    near = replace(table, frame=table.frame.with_columns(pl.Series("at", [1.0, 2, 3, 4, 5, 11, 12])))
    axis = TimeAxis.of(near)
    assert axis == ("at", 1.0, False) and axis.of_series(near, 5, slice(5, 7)).tolist() == [11, 12]
    assert TimeAxis.of(replace(near, since_start=True)).from_start  # whole numbers that float64 does not hold


def test_without_inputs_there_is_no_chart_of_them(trained: Path) -> None:
    data = report_data()
    bare = replace(data, config=replace(data.config, data=replace(data.config.data, inputs=(), observed=2)))
    with_inputs, without = (examples_section.examples(each) for each in (data, bare))
    assert with_inputs.count("<svg") == 2 * without.count("<svg") > 0
    assert "Below: the inputs" in with_inputs and "Below" not in without
    assert with_inputs.count(">second<") == without.count(">second<") > 0, "each example says what its axis is"
