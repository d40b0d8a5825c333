"""`./run.sh blend`: what it leaves, several configs, members from outside, and `infer` afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
from hiding import HIDING
from page_parser import Page
from tiny_classes import Songs

from foldline.cli.main import main
from foldline.core import artefacts
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data import loading
from foldline.evidence.blending import blend_comparison
from foldline.experiment import inference, stored_experiment
from foldline.output import submission_checks
from foldline.output.live.watched_run import Reader
from foldline.run import executors

QUICK = ("blend.trials=5", "blend.rounds=3")


def experiment_json(home: Path, name: str = "rides") -> dict[str, Any]:
    value: dict[str, Any] = json.loads((home / "runs" / name / "latest" / "experiment.json").read_text())
    return value


def found(home: Path, name: str = "rides") -> dict[str, Any]:
    return artefacts.read_json(home / "runs" / name / "latest" / "blend.json")


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    return capsys.readouterr().err


def second_config(home: Path, source: Path, change: str = "", to: str = "") -> None:
    """Another config on the same rides: one LightGBM that sees fewer features."""
    text = tiny.CONFIG.format(source=source)
    begin, end = text.index('[[model]]\nname = "hybrid"'), text.index('[[model]]\nname = "lightgbm"')
    text = (text[:begin] + text[end:]).replace('"raw", "time", "lags", "static"', '"raw", "time"')
    text = text.replace("lags = {lags = [1], leads = [1]}\n", "")
    (home / "configs" / "more.toml").write_text(text.replace(change, to))


def outside_member(home: Path, error: float = 0.01) -> str:
    """Write files of a member from outside that is nearly right; return the argument for it."""
    tables, rng = tiny.frames(), np.random.default_rng(0)
    train = tables["train"]
    noise = rng.normal(scale=error, size=train.height)
    train.select("row", speed=pl.col("speed") + noise).write_csv("oof.csv")
    tables["test"].select("row", speed=pl.col("power") + 0.25).write_csv("test.csv")
    return "outside.friend=oof.csv,test.csv"


def test_every_method_is_compared_and_one_submitted(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tiny.tree(trained / "runs" / "cells")
    tiny.run("blend", "rides", *QUICK)
    out = capsys.readouterr().out
    assert "nothing to train" in out and tiny.tree(trained / "runs" / "cells") == before
    value = found(trained)
    assert [each["method"] for each in value["methods"]][:3] == ["best-member", "mean", "median"]
    assert len(value["methods"]) == 11 and value["blend"] in {each["method"] for each in value["methods"]}
    assert {each["label"] for each in value["members"]} == {"hybrid", "lightgbm"}
    assert all(seconds > 0 for seconds in value["time.predict_1000_series_s"].values())
    assert value["scores"] == dict(experiment_json(trained)["scores"])
    report = (trained / "runs" / "rides" / "latest" / "report.html").read_text()
    assert "./run.sh blend rides" in report and f"{value['score']:.4f}</td></tr>" in report
    assert out.splitlines()[-3:-1] == [
        "page: home/runs/rides/latest/blend.html",
        "report: home/runs/rides/latest/report.html",
    ]
    submitted = tiny.submission(trained)
    tiny.run("infer", "rides")
    assert next((trained / "runs" / "rides" / "latest").glob("infer-*.csv")).read_bytes() == submitted


def test_the_simplest_candidate_beats_nothing_simpler(trained: Path) -> None:
    tiny.run("blend", "rides", *QUICK, "blend.candidates=['median']")
    assert found(trained)["verdict"] == "median: it scores best, and none is simpler"


def test_stacks_have_other_names_than_members(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("blend", "rides", "blend.method=lightgbm", *QUICK)
    out = capsys.readouterr().out
    assert "blend: LightGBM stack, as the config says" in out and "blend (LightGBM stack)" in out
    assert "│ LightGBM stack" in out and "│ ridge stack" in out and "│ ridge " not in out.replace("ridge stack", "")
    assert found(trained)["blend"] == "lightgbm"  # in JSON it is the config's value
    assert "│ weight │" not in out  # a stack of trees has no weights, so there is no column


def test_the_score_of_the_whole_procedure_is_shown_separately(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.run("blend", "rides", *QUICK)
    out, value = capsys.readouterr().out, found(trained)
    assert f"auto {value['score']:.5f}: the mae of the whole procedure" in out
    assert f"optimism {value['optimism']:+.5f}: by so much better is the score" in out
    assert any(name.startswith("blend (auto: ") for name in value["scores"])


def test_a_second_run_finds_the_same(trained: Path) -> None:
    names = ("experiment.json", "config.toml", "submission.csv")
    runs = []
    for _ in range(2):
        tiny.run("blend", "rides", *QUICK)
        latest = trained / "runs" / "rides" / "latest"
        runs.append([(latest / name).read_bytes() for name in names])
    assert runs[0] == runs[1]


def test_a_named_method_is_taken_as_train_takes_it(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("train", "rides", "blend.method=median", *QUICK)
    trained_by, experiment_of = tiny.submission(trained), experiment_json(trained)
    capsys.readouterr()
    tiny.run("blend", "rides", "blend.method=median", *QUICK, "--json")
    answer = json.loads(capsys.readouterr().out)
    assert answer["blend"] == "median" and answer["verdict"].startswith("median, as the config says")
    assert tiny.submission(trained) == trained_by and experiment_json(trained) == experiment_of


def test_auto_chooses_the_simplest_method_that_is_not_beaten(trained: Path) -> None:
    tiny.run("blend", "rides", *QUICK)
    value = found(trained)
    assert (
        experiment_json(trained)["config"]["blend"]["method"] == "auto"
        and value["blend"] == experiment_json(trained)["blend"]["method"]
    )
    near = [
        each["method"] for each in value["methods"] if each["behind"] <= each["error"] and each["method"] != "optuna"
    ]
    assert value["blend"] == near[0]


@pytest.mark.slow
def test_a_stacked_blend_is_inferred_where_training_libraries_are_hidden(trained: Path, tmp_path: Path) -> None:
    tiny.run("blend", "rides", "blend.method=lightgbm", *QUICK)
    assert "tree" in experiment_json(trained)["blend"]["boosters"][0]
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HIDING)
    command = [sys.executable, "-m", "foldline", "infer", "rides"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "hook")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    submission = tmp_path / done.stdout.splitlines()[-1].removeprefix("submission: ")
    assert submission.read_bytes() == tiny.submission(trained)


def test_several_configs_are_blended_and_inferred_each_with_its_own_features(
    trained: Path, rides: Path, tmp_path: Path
) -> None:
    second_config(trained, rides)
    tiny.run("blend", "rides", "more", "blend.method=mean", *QUICK)
    value = experiment_json(trained, "rides+more")
    assert value["blend"]["labels"] == ["rides:hybrid", "rides:lightgbm", "more:lightgbm"]
    assert [part["config"]["features"]["families"][-1] for part in value["parts"]] == ["static", "time"]
    latest = trained / "runs" / "rides+more" / "latest"
    for stored in (trained / "runs" / "cells").glob("*/test-*.npy"):
        stored.unlink()  # so that the weights are really applied
    again = stored_experiment.read("rides+more")
    test, _ = loading.load_test(again.config.data, again.levels)
    task = inference.prepare(again, test, Terminal(quiet=True))
    assert len(task.jobs) == 6 and not any(job.finished for job in task.jobs)
    submitted = pl.read_csv(latest / "submission.csv")["speed"].to_numpy()
    np.testing.assert_allclose(inference.predict(task, Terminal(quiet=True))[:, 0], submitted, rtol=1e-12)


def test_stacked_trees_use_the_spread_if_all_heads_have_one(home: Path, rides: Path) -> None:
    """Two Laplace networks, one of them fitted on all series too: that cell holds nothing out, but predicts."""
    table = '{name = "hybrid", width = 4, head = {kind = "laplace"}, blocks = [{kind = "BLOCK"}], train = {TRAIN}}'
    models = [table.replace("BLOCK", "conv").replace("TRAIN", "full_seeds = [0]"), table.replace("BLOCK", "bilstm")]
    words = ["rides", f"model=[{', '.join(models).replace('TRAIN', '')}]", "train.epochs=1", "blend.method=lightgbm"]
    tiny.run("blend", *words, *QUICK)
    assert experiment_json(home)["blend"]["with_spread"] is True
    again, terminal = stored_experiment.read("rides"), Terminal(quiet=True)
    test, _ = loading.load_test(again.config.data, again.levels)
    predictions = inference.predict(inference.prepare(again, test, terminal), terminal)
    submitted = pl.read_csv(home / "runs" / "rides" / "latest" / "submission.csv")["speed"].to_numpy()
    np.testing.assert_allclose(predictions[:, 0], submitted, rtol=1e-12)


def test_members_without_weight_need_not_predict(trained: Path) -> None:
    tiny.run("blend", "rides", "blend.method=best-member", *QUICK)
    again = stored_experiment.read("rides")
    test, _ = loading.load_test(again.config.data, again.levels)
    task = inference.prepare(again, test, Terminal(quiet=True))
    assert len(task.jobs) == 2 and len({job.cell.model.label for job in task.jobs}) == 1


def test_a_model_that_two_configs_share_counts_once(trained: Path, rides: Path) -> None:
    (trained / "configs" / "again.toml").write_text(tiny.CONFIG.format(source=rides))
    tiny.run("blend", "rides", "again", "blend.method=mean", *QUICK)
    assert experiment_json(trained, "rides+again")["blend"]["labels"] == ["rides:hybrid", "rides:lightgbm"]


def test_configs_that_are_not_trained_yet_are_trained_one_after_the_other_and_live_shows_all_cells(
    home: Path, rides: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second_config(home, rides)
    states, execute = list[list[str]](), executors.execute

    def spied(*given: Any) -> None:
        states.append([cell.state for cell in Reader("rides+more", home / "runs").read().cells])
        execute(*given)

    monkeypatch.setattr(executors, "execute", spied)
    tiny.run("blend", "rides", "more", "blend.method=mean")
    assert (home / "runs" / "rides+more" / "latest" / "blend.html").exists()
    assert states == [["waiting"] * 6, ["done"] * 4 + ["waiting"] * 2]


def test_a_blend_whose_submission_is_refused_has_its_report(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (trained / "runs" / "rides" / "latest" / "report.html").unlink()
    monkeypatch.setattr(submission_checks, "value_problems", lambda *_: ["no"])
    assert main(["blend", "rides", *QUICK]) == 1
    assert "is refused by the submission gate:\n  - no" in capsys.readouterr().err
    assert (trained / "runs" / "rides" / "latest" / "report.html").is_file()


def test_a_dry_run_counts_the_cells_that_are_left(
    trained: Path, rides: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second_config(trained, rides)
    before = tiny.tree(trained / "runs" / "cells")
    tiny.run("blend", "rides", "more", "--dry-run", "--quiet")
    assert "2 cells are left to train or to predict, and then 3 members" in capsys.readouterr().out
    assert tiny.tree(trained / "runs" / "cells") == before and not (trained / "runs" / "rides+more").exists()


@pytest.mark.parametrize(
    ("change", "to", "message"),
    [
        ("k = 2", "k = 3", "rides and more have different folds"),
        ("k = 2", "k = 2\nseed = 1", "rides and more have different folds"),
        ('scored = "coasting == 0"', 'scored = "coasting == 1"', "data.scored is 'coasting == 0' in one and"),
    ],
)
def test_other_folds_and_scored_rows_are_refused(
    change: str, to: str, message: str, trained: Path, rides: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second_config(trained, rides, change, to)
    assert message in refusal(["blend", "rides", "more"], capsys)


def test_other_data_are_refused(trained: Path, rides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = tiny.frames()
    tables["train"] = tables["train"].with_columns(speed=pl.col("speed") + 1.0)
    second_config(trained, tiny.write(rides.parent / "others", tables))
    assert "rides and more have different train data" in refusal(["blend", "rides", "more"], capsys)


def test_other_columns_are_refused(trained: Path, rides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cells of the second would predict a table that the first one does not read: the blend would miss them."""
    second_config(trained, rides, 'static = ["bike"]', "static = []")
    assert "rides and more differ: test rows are read as" in refusal(["blend", "rides", "more"], capsys)


def test_classes_in_another_order_are_refused(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = Songs("binary").install(home, tmp_path / "songs").read_text()
    assert '["calm", "alarm"]' in text
    tiny.configure(home, "more", text.replace('["calm", "alarm"]', '["alarm", "calm"]'))
    said = refusal(["blend", "songs", "more", "--dry-run"], capsys)
    assert "songs and more differ: the classes are calm, alarm in one and alarm, calm in the other" in said


def test_one_member_is_no_blend(trained: Path, rides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second_config(trained, rides)
    assert "A blend needs two members at least, but more has lightgbm only" in refusal(["blend", "more"], capsys)


@pytest.mark.learned
def test_a_member_from_outside_is_weighed_and_stored(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.run("blend", "rides", outside_member(trained), "blend.method=lad", *QUICK)
    assert "nothing shows by which folds oof.csv was held out" in capsys.readouterr().err
    blend = experiment_json(trained)["blend"]
    assert dict(zip(blend["labels"], blend["weights"], strict=True))["friend"] > 0.9
    assert found(trained)["time.predict_1000_series_s"]["friend"] is None
    again, terminal = stored_experiment.read("rides"), Terminal(quiet=True)
    for path in ("oof.csv", "test.csv"):
        Path(path).unlink()
    test, _ = loading.load_test(again.config.data, again.levels)
    predictions = inference.predict(inference.prepare(again, test, terminal), terminal)
    submitted = pl.read_csv(trained / "runs" / "rides" / "latest" / "submission.csv")["speed"].to_numpy()
    np.testing.assert_allclose(predictions[:, 0], submitted, rtol=1e-12)


def test_a_member_from_outside_has_predictions_for_one_test_file(trained: Path, tmp_path: Path) -> None:
    tiny.run("blend", "rides", outside_member(trained), "blend.method=mean", *QUICK)
    other = tiny.write(tmp_path / "new", {"test": tiny.frames(test_series=6)["test"]})
    again, terminal = stored_experiment.read("rides"), Terminal(quiet=True)
    test, _ = loading.load_test(replace(again.config.data, source=str(other)), again.levels)
    with pytest.raises(UserError, match="'friend' came from outside, and there are no predictions of it"):
        inference.predict(inference.prepare(again, test, terminal), terminal)


def test_a_name_that_is_taken_is_refused(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argument = outside_member(trained).replace("friend", "hybrid")
    assert "Members need different names, but hybrid comes twice" in refusal(["blend", "rides", argument], capsys)


OUTSIDE = 'blend.outside=[{name = "friend", oof = "oof.csv", test = "test.csv", fold = "fold"}]'


def changed(path: str, *columns: pl.Expr) -> None:
    """Write a file again with other columns."""
    pl.read_csv(path).with_columns(*columns).write_csv(path)


def with_folds(home: Path) -> None:
    """Add our folds to the outside member's file, named by letters."""
    fold = pl.read_csv(next(home.rglob("*-k2-seed0.csv")), comment_prefix="#")
    rides = tiny.frames()["train"].select("row", "ride").join(fold, on="ride", maintain_order="left")
    changed("oof.csv", rides["fold"].replace_strict({0: "b", 1: "a"}, return_dtype=pl.String))


@pytest.mark.parametrize(
    "words", [["blend", "rides", "outside.friend=oof.csv,test.csv,fold"], ["train", "rides", OUTSIDE]]
)
def test_files_of_a_member_from_outside_may_be_in_any_order(
    words: list[str], trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside_member(trained)
    with_folds(trained)
    tiny.run(*words, "blend.method=mean")
    first, scores = tiny.submission(trained), experiment_json(trained)["scores"]
    assert "friend" in experiment_json(trained)["blend"]["labels"] and "nothing shows" not in capsys.readouterr().err
    for path in ("oof.csv", "test.csv"):
        pl.read_csv(path).sample(fraction=1.0, shuffle=True, seed=3).write_csv(path)
    tiny.run(*words, "blend.method=mean")
    assert tiny.submission(trained) == first and experiment_json(trained)["scores"] == scores


@pytest.mark.parametrize("verb", ["train", "blend"])
@pytest.mark.parametrize(
    ("path", "column", "says"),
    [
        ("oof.csv", pl.col("row") + 1, "oof.csv (member 'friend' from outside) must have each row of"),
        ("test.csv", pl.col("row") + 1, "test.csv (member 'friend' from outside) must have each row of"),
        ("oof.csv", (pl.col("row") % 2).alias("fold"), "oof.csv: its folds are not those of"),
    ],
)
def test_a_member_from_outside_that_is_not_of_our_rows_and_folds_is_refused_before_training(
    verb: str, path: str, column: pl.Expr, says: str, rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.run("folds", "rides")
    outside_member(home)
    with_folds(home)
    changed(path, column)
    capsys.readouterr()
    said = refusal([verb, "rides", OUTSIDE], capsys)
    assert says in said and said.count("\n") == 1
    assert not (home / "runs" / "cells").exists()


@pytest.mark.learned
def test_train_blends_a_member_from_outside_and_infer_uses_it(trained: Path) -> None:
    outside_member(trained)
    with_folds(trained)
    before = tiny.tree(trained / "runs" / "cells")
    tiny.run("train", "rides", OUTSIDE)
    assert tiny.tree(trained / "runs" / "cells") == before
    blend = experiment_json(trained)["blend"]
    assert dict(zip(blend["labels"], blend["weights"], strict=True))["friend"] > 0.9
    assert "friend" in dict(experiment_json(trained)["scores"])
    tiny.run("infer", "rides")
    written = next((trained / "runs" / "rides" / "latest").glob("infer-*.csv"))
    assert written.read_bytes() == tiny.submission(trained)


def test_a_members_own_name_is_refused_before_training(
    rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside_member(home)
    taken = 'blend.outside=[{name = "hybrid", oof = "oof.csv", test = "test.csv"}]'
    assert "Members need different names, but hybrid comes twice" in refusal(["train", "rides", taken], capsys)
    assert not (home / "runs" / "cells").exists()


def test_a_lost_cell_names_the_command_that_makes_it_again(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("blend", "rides", "blend.method=mean", *QUICK)
    next((trained / "runs" / "cells").glob("*/done.json")).unlink()
    assert "needs it. Run `./run.sh blend rides blend.method=mean" in refusal(["infer", "rides"], capsys)


def test_the_page_is_one_file_that_loads_nothing(trained: Path) -> None:
    tiny.run("blend", "rides", 'model.0.label="<b>bold</b>"', "blend.method=mean", *QUICK)
    text = (trained / "runs" / "rides" / "latest" / "blend.html").read_text()
    page = Page(text)
    assert all(link.startswith(("#", "data:")) for link in page.loads) and "@import" not in text
    assert page.headings[:3] == ["rides", "Methods", "Members"] and "<svg" not in text
    assert "<b>bold</b>" not in text and "&lt;b&gt;bold&lt;/b&gt;" in text
    assert "./run.sh blend rides" in text


def test_a_difference_that_rounds_to_zero_has_no_sign() -> None:
    shown = [blend_comparison.signed(value) for value in (-1e-9, 0.0, 0.00113, -0.5)]
    assert shown == ["0.00000", "0.00000", "+0.00113", "-0.50000"]


def test_with_rmse_differences_are_said_to_be_in_squared_errors(
    rides: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.run("blend", "rides", "data.metric=rmse")
    assert "are in the mean squared error, not its root" in capsys.readouterr().out
