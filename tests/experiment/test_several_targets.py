"""Several targets of several kinds: one experiment a target, one submission, one score, through all verbs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import refusals
import tiny
from tiny_classes import Songs
from tiny_targets import Birds

from foldline.api import trained as trained_module
from foldline.cli.main import main
from foldline.core import files
from foldline.core.errors import Finding
from foldline.evidence import audit
from foldline.experiment import config, scoring, several_targets, stored_experiment
from foldline.experiment.several_targets import StoredTargets
from foldline.output import joined_submission
from foldline.output.kaggle import kernel, upload

RESAMPLES = "foldline.data.metrics.intervals.RESAMPLES"


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder in which the birds are trained, and their data beside it."""
    folder = tmp_path_factory.mktemp("birds")
    with tiny.home_in(folder) as home:
        Birds().install(home, folder / "data")
        tiny.run("train", "birds", "--quiet")
    return folder


@pytest.fixture
def birds(ready: Path, home: Path) -> Path:
    """A copy of it as the home folder."""
    shutil.rmtree(home)
    shutil.copytree(ready / "home", home, symlinks=True)
    latest = home / "runs" / "birds" / "latest"
    files.replace_symlink(latest, latest.parent / latest.readlink().name)
    return home


def stored(name: str = "birds") -> StoredTargets:
    found = several_targets.read(name)
    assert isinstance(found, StoredTargets)
    return found


def test_one_submission_and_the_weighted_mean_of_scores(birds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tiny.as_json(capsys, "train", "birds")
    scores = {name: target["score"] for name, target in made["targets"].items()}
    assert made["score"] == pytest.approx(0.75 * scores["bird"] + 0.25 * scores["loudness"], abs=1e-15)
    assert made["score"] == stored().score
    written = pl.read_csv(made["submission"])
    sample = Birds().frames()["sample_submission"]
    assert written.columns == sample.columns and written["song"].equals(sample["song"])
    shares = written.select("wren", "robin & co", "tit").to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert written["loudness"].n_unique() > 1
    folder = birds / "runs" / "birds" / "latest"
    own = pl.read_csv(folder / "loudness" / "submission.csv")
    assert own.columns == ["song", "loudness"] and own["loudness"].equals(written["loudness"])
    assert "href='bird/report.html'" in (folder / "report.html").read_text()
    assert (folder / "bird" / "report.html").is_file()


def test_networks_learn_the_other_target_beside_their_own_and_trees_are_what_they_would_be_alone(
    birds: Path, tmp_path: Path
) -> None:
    models = {name: part.config.models for name, part in stored().parts.items()}
    assert [each["target"] for each in models["bird"][0].params["head"]["beside"]] == ["loudness"]
    (beside,) = models["loudness"][0].params["head"]["beside"]
    assert beside == {"target": "bird", "weight": 0.2, "kind": "softmax"}
    Songs("multiclass", targets=("bird",), probabilities=True, metric="log_loss").install(birds, tmp_path / "songs")
    tiny.run("train", "songs", "--quiet")
    (one,), (other,) = (
        [cell for cell in each.plan if cell.model.name == "lightgbm" and cell.fold == 0]
        for each in (stored().parts["bird"], stored_experiment.read("songs"))
    )
    assert {entry for entry in one.depends if one.depends[entry] != other.depends[entry]} <= {"data", "features"}


def test_infer_report_and_board_take_all_targets(birds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    latest, score = birds / "runs" / "birds" / "latest", stored().score
    before = {path.name: path.read_bytes() for path in latest.glob("report.html")}
    pages = {path.parent.name: path.stat().st_size for path in latest.glob("*/report.html")}
    for path in (latest / "report.html", latest / "bird" / "report.html"):
        path.unlink()
    inferred = tiny.as_json(capsys, "infer", "birds")
    assert Path(inferred["submission"]).read_bytes() == (latest / "submission.csv").read_bytes()
    assert tiny.as_json(capsys, "report", "birds")["score"] == score
    assert {path.name: path.read_bytes() for path in latest.glob("report.html")} == before
    assert {path.parent.name: path.stat().st_size for path in latest.glob("*/report.html")} == pages
    (group,) = tiny.as_json(capsys, "board")["groups"]
    assert group["metric"] == "0.75 log_loss + 0.25 mae" and len(group["lines"]) == 1
    assert group["lines"][0]["score"] == score and group["lines"][0]["blend"] == "bird 0.75 + loudness 0.25"
    tiny.as_json(capsys, "clean", "unused", "old")
    assert tiny.as_json(capsys, "train", "birds", "--dry-run")["to_train"] == 0
    tiny.run("doctor", "--verify")
    damaged = latest / "loudness" / "experiment.json"
    damaged.write_text(damaged.read_text().replace("lightgbm", "lightgbn", 1))
    assert main(["doctor", "--verify"]) == 1
    assert "loudness" in refusals.said(capsys, "infer", "birds")


def test_interrupted_between_two_targets_it_records_nothing_and_goes_on_to_the_same_bytes(
    birds: Path, ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = tiny.submission(birds, "birds")
    shutil.rmtree(birds / "runs")
    combine, calls = scoring.combine, []

    def interrupted(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return combine(*arguments)

    monkeypatch.setattr(trained_module.scoring, "combine", interrupted)
    assert main(["train", "birds", "--quiet"]) == 130
    assert not (birds / "runs" / "birds" / "latest").exists()
    monkeypatch.undo()
    monkeypatch.setenv("FOLDLINE_HOME", str(birds))
    tiny.run("train", "birds", "--quiet")
    assert tiny.submission(birds, "birds") == wanted


def test_the_interval_draws_the_same_series_for_all_targets(birds: Path) -> None:
    chosen = config.load_any(Path("birds"))
    assert isinstance(chosen, config.SeveralTargets)
    from foldline.cli import report
    from foldline.core.console import Terminal

    results = [report.gather(each, each.config, Terminal(quiet=True)).result for each in stored().experiments]
    joined = several_targets.JoinedResult(chosen, results)
    rows, values = [each.rows for each in results], [each.blended[each.scored] for each in results]
    rng, found, count = np.random.default_rng(0), [], len(rows[0].y)
    for _ in range(joined.interval.resamples):  # one answer a series: a drawn series is a drawn row of both
        drawn = rng.integers(count, size=count)
        scores = [each.where(drawn).score(value[drawn]) for each, value in zip(rows, values, strict=True)]
        found.append(0.75 * scores[0] + 0.25 * scores[1])
    low, high = np.percentile(found, (2.5, 97.5))
    assert (joined.interval.low, joined.interval.high) == pytest.approx((low, high), abs=1e-12)


def test_a_target_at_every_step_and_labels_beside_numbers(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RESAMPLES, 40)
    frames = Birds("step", labels=True).frames()
    path = Birds("step", labels=True, loudness='metric = "r2"').install(home, tmp_path / "data", frames)
    path.write_text(path.read_text().replace('metric = "mae"\n', "").replace('"log_loss"', '"accuracy"'))
    tiny.run("train", "birds", "--quiet")
    written = pl.read_csv(home / "runs" / "birds" / "latest" / "submission.csv")
    assert written.columns == frames["sample_submission"].columns
    assert written.height == frames["test"].height
    assert set(written["bird"]) <= {"wren", "robin & co", "tit"}


def test_each_target_may_have_rows_of_its_own(home: Path, tmp_path: Path) -> None:
    names = ["wren", "robin & co", "tit", "loudness"]
    frames = Birds().frames()
    songs = frames["test"]["song"].unique(maintain_order=True)
    ids = [f"{song}_{name}" for name in reversed(names) for song in songs]
    sample = pl.DataFrame({"id": ids, "value": [0.25] * len(ids)})
    path = Birds().install(home, tmp_path / "data", {**frames, "sample_submission": sample})
    more = 'id = "id"\nid_template = "{song}_{target}"'
    text = path.read_text().replace('id = "song"', more).replace("[[target]]", '[[target]]\ncolumn_template = "value"')
    path.write_text(text)
    tiny.run("train", "birds", "--quiet")
    written = pl.read_csv(home / "runs" / "birds" / "latest" / "submission.csv")
    assert written["id"].to_list() == ids
    by_id = dict(written.iter_rows())
    assert sum(by_id[f"{songs[0]}_{name}"] for name in names[:3]) == pytest.approx(1, abs=1e-6)


def test_unlabelled_for_one_target_a_series_still_serves_the_other(home: Path, tmp_path: Path) -> None:
    frames = Birds().frames()
    train = frames["train"].with_columns(
        bird=pl.when(pl.col("song").is_in(["s1", "s2"])).then(None).otherwise(pl.col("bird"))
    )
    Birds().install(home, tmp_path / "data", {**frames, "train": train})
    tiny.run("train", "birds", "--quiet")
    folder = home / "runs" / "birds" / "latest"
    counts = {}
    for name, part in stored().parts.items():
        held = [np.load(cell.folder / "held_out.npy") for cell in part.plan if cell.model.name == "lightgbm"]
        counts[name] = len(np.concatenate(held))
    assert counts["loudness"] == 24 and counts["bird"] in (22, 24)
    assert (folder / "submission.csv").is_file()


def test_blend_takes_configs_with_the_same_targets(birds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (birds / "configs" / "birds.toml").read_text()
    (birds / "configs" / "more.toml").write_text(text.replace("rounds = 20", "rounds = 10"))
    made = tiny.as_json(capsys, "blend", "birds", "more")
    assert set(made["targets"]) == {"bird", "loudness"}
    assert set(stored("birds+more").parts["bird"].blend.labels) == {
        "birds.bird:hybrid",
        "birds.bird:lightgbm",
        "more.bird:lightgbm",
    }
    inferred = tiny.as_json(capsys, "infer", "birds+more")
    assert Path(inferred["submission"]).read_bytes() == tiny.submission(birds, "birds+more")
    (birds / "configs" / "other.toml").write_text(text.replace("share = 3", "share = 2"))
    assert "birds and other differ" in refusals.said(capsys, "blend", "birds", "other")
    assert "[[target.blend.outside]]" in refusals.said(capsys, "blend", "birds", "--outside", "x=a.csv,b.csv")


def test_a_bundle_predicts_all_targets(birds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = Path(tiny.as_json(capsys, "bundle", "birds", f"out={tmp_path / 'bundle'}")["bundle"]) / "dataset"
    manifest, elsewhere = files.read_json(packed / kernel.MANIFEST), tmp_path / "elsewhere"
    elsewhere.mkdir()
    kernel.prepare(packed, manifest, elsewhere)
    wanted = tiny.submission(birds, "birds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOLDLINE_HOME", str(elsewhere))
        inferred = tiny.as_json(capsys, "infer", "birds")
    assert Path(inferred["submission"]).read_bytes() == wanted


def test_audit_examines_each_target(birds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [check for check in audit.CHECKS if check.name in ("folds: whole series", "stored cells")]
    monkeypatch.setattr(audit, "CHECKS", tuple(kept))
    tiny.run("audit", "birds")
    found = json.loads((birds / "runs" / "birds" / "audit" / "audit.json").read_text())
    assert [line["check"].split(", ") for line in found] == [
        [target, check.name] for target in ("bird", "loudness") for check in kept
    ]
    assert all(line["verdict"] == "clean" for line in found)


def test_score_and_submit_know_the_targets(birds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = Songs("multiclass", targets=("bird",)).table(501, 6, seed=1)
    loud = Songs("regression", targets=("loudness",)).table(501, 6, seed=1)["loudness"]
    truth.with_columns(loud).unique("song", keep="first", maintain_order=True).write_csv(tmp_path / "truth.csv")
    path = birds / "runs" / "birds" / "latest" / "submission.csv"
    made = tiny.as_json(capsys, "score", str(path), str(tmp_path / "truth.csv"), "birds")
    own = {name: parts[0]["score"] for name, parts in made["targets"].items()}
    assert made["scores"][0]["score"] == pytest.approx(0.75 * own["bird"] + 0.25 * own["loudness"])
    tiny.run("submit", "birds", "--dry-run")
    gates = {name: upload.RecordedTarget.of(path.parent / name).gate("") for name in ("bird", "loudness")}
    joined_submission.check_written(path, gates)
    frame = pl.read_csv(path)
    frame.write_parquet(tmp_path / "right.parquet")
    joined_submission.check_written(tmp_path / "right.parquet", gates)
    for wrong in (pl.concat([frame, frame[:1].with_columns(song=pl.lit("another"))]), frame.reverse()):
        wrong.write_csv(tmp_path / "wrong.csv")
        wrong.write_parquet(tmp_path / "wrong.parquet")
        for ending in ("csv", "parquet"):
            with pytest.raises(Finding, match="must be the sample's 6, in the sample's order"):
                joined_submission.check_written(tmp_path / f"wrong.{ending}", gates)


def test_a_refused_target_refuses_the_submission(
    birds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = birds / "configs" / "birds.toml"
    path.write_text(path.read_text().replace('metric = "mae"', 'metric = "mae"\npost = {clip = [90, 99]}'))
    assert main(["train", "birds", "--quiet"]) == 1
    assert "loudness must not be constant" in " ".join(capsys.readouterr().err.split())
    folder = birds / "runs" / "birds" / "latest"
    assert (folder / "submission.refused").is_file() and (folder / "loudness" / "submission.refused").is_file()
    (group,) = tiny.as_json(capsys, "board")["groups"]
    assert [line["refused"] for line in group["lines"] if line["latest"]] == [True]


def test_verbs_for_one_target_say_which_there_are(birds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "name birds.bird or birds.loudness" in refusals.said(capsys, "folds", "birds")
    assert "./run.sh train birds" in refusals.said(capsys, "train", "birds.bird")
    assert "./run.sh blend birds" in refusals.said(capsys, "blend", "birds.bird")
    assert "one of the targets of 'birds'" in refusals.said(capsys, "infer", "birds.bird")
    assert "unknown target 'birb'" in refusals.said(capsys, "folds", "birds.birb")
    assert config.load(Path("birds.bird")).data.kind == "multiclass"


def test_only_scores_of_the_same_shares_and_options_are_compared(
    birds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (birds / "configs" / "birds.toml").read_text()
    (birds / "configs" / "shares.toml").write_text(text.replace("share = 3", "share = 1"))
    options = 'metric = "log_loss"\nmetric_options = {clip = 0.01}'
    (birds / "configs" / "options.toml").write_text(text.replace('metric = "log_loss"', options))
    for name in ("shares", "options"):
        tiny.run("train", name, "--quiet")
    groups = tiny.as_json(capsys, "board")["groups"]
    assert sorted(group["metric"] for group in groups) == [
        "0.5 log_loss + 0.5 mae",
        "0.75 log_loss + 0.25 mae",
        "0.75 log_loss + 0.25 mae",
    ]
