"""`study` on the rides: width search, cells and verdicts of an ablation, cost of a step, the page."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from lab import small_store

from foldline.cli.main import main
from foldline.core import artefacts, files
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.evidence.study import step_cost, study_file, study_preparation, truncation, width_search
from foldline.evidence.study.step_cost import Cost, MeasuredModel
from foldline.evidence.study.study_preparation import SizedSystem
from foldline.evidence.study.study_results import SystemResult
from foldline.experiment import config, runs_index
from foldline.fit.patches import PatchesConfig
from foldline.fit.window_config import TrainingWindowsConfig
from foldline.output.live.watched_run import Reader

FILE = """
base = "rides.toml"
set = ["folds.k=3"]

[study]
parameters = 900
tolerance = 0.2
seeds = [0, 1]
bootstrap = 200
steps = [8, 16]
batch = 2

[[system]]
name = "LSTM"
multiple = 2
model = {name = "hybrid", blocks = [{kind = "lstm"}]}

[[system]]
name = "convolution & <more>"
model = {name = "hybrid", blocks = [{kind = "conv", kernel = 3}]}

[[system]]
name = "DeepAR"
multiple = 2
model = {name = "deepar", layers = 1, embed = 0}
"""


def install(home: Path, text: str = FILE) -> None:
    (home / "configs" / "study-rides.toml").write_text(text)


def square(width: int) -> int:
    return width**2


def test_the_nearer_of_the_two_widths_around_the_goal_is_taken() -> None:
    assert width_search.solve(square, 10_000, 1, 0.05) == (100, 10_000)
    assert width_search.solve(square, 10_120, 1, 0.05) == (101, 10_201)
    assert width_search.solve(square, 10_000, 8, 0.1) == (96, 9_216)
    assert width_search.solve(square, 1, 1, 0.05) == (1, 1)


def test_the_width_is_found_in_few_steps() -> None:
    tried: list[int] = []

    def count(width: int) -> int:
        tried.append(width)
        return width**2

    width_search.solve(count, 10**6, 1, 0.05)
    assert len(tried) < 30


def test_a_goal_that_no_width_meets_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"must have 10,000 parameters ± 5%, but has 9,216 at width 96 and 16,384 at wi"
    ):
        width_search.solve(square, 10_000, 32, 0.05)
    with pytest.raises(UserError, match="do not follow its width"):
        width_search.solve(lambda width: 5, 10_000, 1, 0.05)


def test_parameters_are_those_that_are_trained() -> None:
    path_free = config.from_tables(
        "x",
        {
            "data": {"id": "i", "key": "k", "order": "t", "target": ["y"], "inputs": ["x"]},
            "model": [{"name": "hybrid", "width": 2, "blocks": [{"kind": "conv", "kernel": 1}]}],
        },
        "here",
    )
    entry, conv, norms, head = 3 * 2 + 2, 2 * (2 * 2 + 2), 2 * 2 * 2, 2 * 2 + 2
    assert width_search.parameters(path_free.models[0], small_store()) == entry + conv + norms + head


def test_costs_come_for_each_number_of_steps_and_memory_grows(home: Path, rides: Path) -> None:
    install(home)
    plan = study_file.load(Path("study-rides"), [])
    subject = MeasuredModel.of(plan.config_of(plan.systems[0], 32).models[0], small_store())
    short, long = step_cost.measured(subject, 16, [16, 512])
    assert (short.steps, long.steps, short.batch) == (16, 512, 16)
    assert short.step_s > 0 and 0 <= short.peak_bytes < long.peak_bytes


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home folder of a study of the rides that has run once."""
    with tiny.home_of_rides(tmp_path_factory.mktemp("studied")) as home:
        install(home)
        tiny.run("study", "study-rides", "study.growth=true")
    return home


def found(home: Path) -> dict[str, Any]:
    return artefacts.read_json(home / "runs" / "study-rides" / "latest" / "study.json")


def test_all_systems_have_the_wanted_size_and_cells_on_every_fold_and_seed(studied: Path) -> None:
    value = found(studied)
    assert value["command"] == "./run.sh study study-rides study.growth=true"
    assert [each["name"] for each in value["systems"]] == ["LSTM", "convolution & <more>", "DeepAR"]
    for each in value["systems"]:
        assert 720 <= each["parameters"] <= 1080
        assert np.array(each["scores"]).shape == (3, 2) and each["score"] == pytest.approx(np.mean(each["scores"]))
        assert [point["steps"] for point in each["growth"]] == [8, 16] and each["step"]["steps"] == 10
    cells = {path.parent.name for path in (studied / "runs" / "cells").glob("*/done.json")}
    assert len(cells) == 3 * 3 * 2 and cells == runs_index.noted_cells(studied / "runs" / "study-rides" / "latest")


def test_live_shows_a_finished_study_as_finished_with_its_page(studied: Path) -> None:
    run = Reader("study-rides", studied / "runs").read()
    assert run.progress is not None and run.progress.verb == "study"
    assert run.stage == "finished" and run.page is not None and run.page.name == "study.html"
    folders = [path for path in (studied / "runs" / "study-rides").iterdir() if path.is_dir()]
    assert all((folder / "study.json").is_file() for folder in folders)


def test_an_epochs_seconds_are_its_steps_times_the_fastest(studied: Path) -> None:
    """12 rides, 3 folds: 8 series outside a fold."""
    for each in found(studied)["systems"]:
        steps = -(-8 // each["step"]["batch"])
        assert each["time.epoch_s"] == pytest.approx(steps * each["step"]["step_s"])


def test_growth_exponents_are_slopes_between_the_two_longest_series() -> None:
    """From 8 to 32 steps time grows 8-fold, memory 4-fold: T^1.5 and T^1."""
    costs = [
        Cost(batch=1, steps=steps, step_s=s, peak_bytes=size)
        for steps, s, size in ((4, 9.0, 9), (8, 1.0, 100), (32, 8.0, 400))
    ]
    system = SystemResult(
        system=SizedSystem(name="x", width=1, parameters=1),
        scores=np.zeros((2, 1)),
        comparison=None,
        epoch_s=1.0,
        step=costs[0],
        growth=costs,
        truncation=[],
    )
    assert system.exponents == pytest.approx((1.5, 1.0))


def test_the_first_system_is_compared_with_each_other_one(studied: Path) -> None:
    value = found(studied)
    assert value["systems"][0]["verdict"] == ""
    assert all(each["verdict"] for each in value["systems"][1:])
    effects = [each["effect"] for each in value["evidence"]["variants"]]
    first = value["systems"][0]["score"]
    np.testing.assert_allclose(effects, [each["score"] - first for each in value["systems"][1:]])


def test_the_page_shows_each_system_with_its_evidence_and_growth(studied: Path) -> None:
    page = (studied / "runs" / "study-rides" / "latest" / "study.html").read_text()
    assert "convolution &amp; &lt;more&gt;" in page and "<more>" not in page
    assert all(f"<h2>{title}</h2>" in page for title in ("Scores", "Effects", "Costs", "Growth", "Truncation"))
    assert page.count("time grows as T") == 3 and "./run.sh study study-rides study.growth=true" in page
    assert "http" not in page.replace("http://www.w3.org", "")


@pytest.mark.learned
def test_a_causal_system_is_truncated_and_untruncated_it_is_its_cell(
    studied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOLDLINE_HOME", str(studied))
    monkeypatch.chdir(studied.parent)
    plan = study_file.load(Path("study-rides"), [])
    lstm, *others = study_preparation.prepare(plan, Terminal(quiet=True)).ablation.prepared
    assert truncation.is_causal(lstm.plan[0].model)
    assert not any(truncation.is_causal(other.plan[0].model) for other in others)
    data, train = small_store(), lstm.plan[0].model.train
    in_parts = [{"windows": TrainingWindowsConfig(length=4)}, {"patches": PatchesConfig(rows=2)}]
    assert truncation.applies(data, train)
    assert not any(truncation.applies(data, replace(train, **each)) for each in in_parts)
    points = truncation.curve(lstm)
    assert [point.steps for point in points] == [1, 2, 5, 10]
    assert [asdict(point) for point in points] == found(studied)["systems"][0]["truncation"]
    cell, data = lstm.plan[0], lstm.train
    held = files.read_array(cell.folder / "held_out.npy")
    rows = data.rows(held)
    off = np.abs(files.read_array(cell.folder / "out_of_fold.npy") - data.y[rows])
    assert points[-1].error == pytest.approx(off[data.scored[rows]].mean(), rel=1e-4) and points[-1].distance == 0
    assert all(point.distance > 0 for point in points[:-1])


def test_a_second_run_trains_nothing(
    studied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FOLDLINE_HOME", str(studied))
    monkeypatch.chdir(studied.parent)
    before = tiny.tree(studied / "runs" / "cells")
    tiny.run("study", "study-rides")
    assert tiny.tree(studied / "runs" / "cells") == before
    out = capsys.readouterr().out
    assert "cells: 18, 18 finished, 0 to train" in out and "LSTM: width" in out
    page = (studied / "runs" / "study-rides" / "latest" / "study.html").read_text()
    assert "add study.growth=true" in page


def test_a_study_goes_on_past_a_system_that_fails_and_says_so(
    home: Path, rides: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(home, FILE.replace("kernel = 3}]}", "kernel = 3}], train = {lr = 1e30}}").replace("[0, 1]", "[0]"))
    tiny.run("study", "study-rides", "train.epochs=1")
    out, said = capsys.readouterr()
    assert "'convolution & <more>' failed, the others go on: The " in said
    assert "convolution & <more> failed and is in no comparison: The " in out and "failed" in out
    value = found(home)
    assert [system["name"] for system in value["systems"]] == ["LSTM", "DeepAR"]
    assert "not finite" in value["evidence"]["failed"]["convolution & <more>"]
    shown = (home / "runs" / "study-rides" / "latest" / "study.html").read_text()
    assert "convolution &amp; &lt;more&gt; failed and is in no comparison" in shown and "failed</td>" in shown


def test_a_dry_run_trains_nothing(home: Path, rides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(home)
    assert main(["study", "study-rides", "--dry-run"]) == 0
    assert "18 cells would take about" in capsys.readouterr().out
    assert not list((home / "runs").glob("cells/*"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("parameters = 900", "parameters = 0"), "parameters must be at least 1"),
        (("steps = [8, 16]", "steps = [16, 8]"), "steps must rise"),
        (("seeds = [0, 1]", "seeds = []"), "seeds must be different whole numbers"),
        (('"DeepAR"', '"LSTM"'), "each with a name of its own"),
        (("layers = 1, embed", "width = 8, embed"), "must not give a width"),
        (("layers = 1, embed", "leyers = 1, embed"), "leyers"),
        (('{name = "deepar", layers = 1, embed = 0}', '{name = "lightgbm"}'), "system 'DeepAR'"),
    ],
)
def test_a_study_that_cannot_be_is_refused(home: Path, rides: Path, change: tuple[str, str], message: str) -> None:
    install(home, FILE.replace(*change))
    with pytest.raises(UserError, match=message):
        study_file.load(Path("study-rides"), [])


def test_what_is_no_study_and_what_no_override_may_change_is_refused(home: Path, rides: Path) -> None:
    install(home)
    with pytest.raises(UserError, match=r"is no study: it has no \[\[system\]\]"):
        study_file.load(Path("rides"), [])
    with pytest.raises(UserError, match="change them in its file"):
        study_file.load(Path("study-rides"), ["model.0.width=3"])
    changed = study_file.load(Path("study-rides"), ["study.parameters=700", "train.epochs=1"])
    assert changed.settings.parameters == 700 and changed.base.train.epochs == 1


@pytest.mark.parametrize("name", ["study-attention", "study-sequence", "study-sequence-gpu"])
def test_the_shipped_studies_can_be_read(home: Path, name: str) -> None:
    plan = study_file.load(Path(name), [])
    assert len(plan.systems) == {"study-attention": 5, "study-sequence": 6, "study-sequence-gpu": 20}[name]
