"""Every layout of a submission, from `train` to `score`: the same predictions as in rows by id, each in its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny

from foldline.cli.main import main
from foldline.data import folds, loading
from foldline.ensemble import OutsideConfig, outside_members
from foldline.evidence.audit.audit_context import AuditContext
from foldline.experiment import config as configs
from foldline.output.kaggle import upload

Answers = dict[tuple[int, int], float]  # (ride, step) -> speed
SERIES, STEPS, SCORED = range(501, 505), range(10), range(8)
MODEL = 'model=[{name = "lightgbm", rounds = 5, min_data_in_leaf = 2}]'
TWO = MODEL.replace("}]", '}, {name = "lightgbm", rounds = 1, min_data_in_leaf = 2}]')


def by_template() -> tuple[str, pl.DataFrame]:
    return 'id = "id"\nid_template = "{ride}_{step}"', long("id", lambda ride, step: f"{ride}_{step}", STEPS, "speed")


def scored_only() -> tuple[str, pl.DataFrame]:
    return by_template()[0], long("id", lambda ride, step: f"{ride}_{step}", SCORED, "speed")


def by_key_file() -> tuple[str, pl.DataFrame]:
    more = 'id = "Id"\nid_template = "{ride}_{second}"\nid_file = "keys"\ncolumn_template = "Visits"'
    return more, long("Id", short, STEPS, "Visits")


def with_target_in_the_id() -> tuple[str, pl.DataFrame]:
    more = 'id = "Id"\nid_template = "{ride}_{target}_{step}"\ncolumn_template = "value"'
    return more, long("Id", lambda ride, step: f"{ride}_speed_{step}", STEPS, "value")


def wide() -> tuple[str, pl.DataFrame]:
    columns: dict[str, list[Any]] = {"ride": list(SERIES)[::-1], **{f"F{step + 1}": [0.0] * 4 for step in SCORED}}
    return 'id = "ride"\ncolumn_template = "F{step + 1}"', pl.DataFrame(columns)


LAYOUTS = [by_template, scored_only, by_key_file, with_target_in_the_id, wide]


def short(ride: int, step: int) -> str:
    return f"k{(ride * 37 + step * 11) % 1000}"


def long(row_id: str, name: Callable[[int, int], str], steps: range, column: str) -> pl.DataFrame:
    """A sample with a row an answer, not in the order of the test file."""
    ids = [name(ride, step) for step in reversed(steps) for ride in SERIES]
    return pl.DataFrame({row_id: ids, column: [0.0] * len(ids)})


def answers(path: Path) -> Answers:
    """Look each answer up in a submission of any of the layouts."""
    frame = pl.read_csv(path)
    pairs = [(ride, step) for ride in SERIES for step in STEPS]
    if frame.columns[0] == "ride":
        rows = {row["ride"]: row for row in frame.iter_rows(named=True)}
        return {(ride, step): rows[ride][f"F{step + 1}"] for ride, step in pairs if step in SCORED}
    values = dict(frame.iter_rows())
    names = [(f"{ride}_{step}", f"{ride}_speed_{step}", short(ride, step)) for ride, step in pairs]
    found = [next((values[name] for name in known if name in values), None) for known in names]
    return {pair: value for pair, value in zip(pairs, found, strict=True) if value is not None}


def install(home: Path, source: Path, more: str, sample: pl.DataFrame, name: str) -> None:
    tables = tiny.frames()
    pairs = [(ride, step) for ride in SERIES for step in STEPS]
    keys = pl.DataFrame({"page": [f"{r}_{s * 0.5:g}" for r, s in pairs], "Id": [short(r, s) for r, s in pairs]})
    without = {stem: tables[stem].drop("row") for stem in ("train", "test")}
    tiny.write(source, {**without, "sample_submission": sample, "keys": keys})
    path = tiny.install(home, source, name)
    path.write_text(path.read_text().replace('id = "row"', more))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_verbs_know_the_layout(
    layout: Callable[[], tuple[str, pl.DataFrame]], home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.install(home, tiny.write(tmp_path / "plain", tiny.frames()), "plain")
    tiny.run("train", "plain", MODEL)
    rows = dict(pl.read_csv(home / "runs/plain/latest/submission.csv").iter_rows())
    more, sample = layout()
    install(home, tmp_path / "other", more, sample, "other")
    tiny.run("train", "other", MODEL, "--dry-run")
    tiny.run("train", "other", MODEL)
    made = home / "runs/other/latest/submission.csv"
    assert pl.read_csv(made).columns == sample.columns
    assert pl.read_csv(made)[sample.columns[0]].to_list() == sample[sample.columns[0]].to_list()
    found = answers(made)
    assert found == {pair: rows[501000 + (pair[0] - 501) * 10 + pair[1]] for pair in found}
    assert len(found) == sample.height * (sample.width - 1)
    tiny.run("infer", "other")
    assert (next(made.parent.resolve().glob("infer-*.csv"))).read_bytes() == made.read_bytes()
    tiny.run("submit", "other", "--dry-run")
    truth = tiny.rides(501, 4, 10, seed=1).drop("row")
    truth.write_csv(tmp_path / "truth.csv")
    capsys.readouterr()
    tiny.run("score", str(made), str(tmp_path / "truth.csv"), "other", "--json")
    (scored,) = json.loads(capsys.readouterr().out)["scores"]
    speed = dict(zip(((r, s) for r in SERIES for s in STEPS), truth["speed"].to_list(), strict=True))
    errors = [abs(value - speed[pair]) for pair, value in answers(made).items() if pair[1] in SCORED]
    assert scored["rows"] == len(errors) == 32 and scored["score"] == pytest.approx(np.mean(errors), rel=1e-12)


def test_a_blend_and_a_bundle_know_the_layout(home: Path, tmp_path: Path) -> None:
    install(home, tmp_path / "other", *wide(), "other")
    tiny.run("blend", "other", TWO)
    made = home / "runs/other/latest/submission.csv"
    assert len(answers(made)) == 32 and pl.read_csv(made)["ride"].to_list() == list(SERIES)[::-1]
    tiny.run("bundle", "other")
    (record,) = made.parent.resolve().glob("bundle/dataset/runs/other/*/config.toml")
    assert 'column_template = "F{step + 1}"' in record.read_text()


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (wide()[1].with_columns(F99=0.0), "has 'F99', which no answer of"),
        (wide()[1].with_columns(ride=pl.col("ride") + 1), "names 1 that are not there (first: ride 505)"),
        (wide()[1].drop("F3"), "has no column F3 for ride 501"),
    ],
)
def test_a_sample_that_does_not_fit_is_refused_before_training(
    sample: pl.DataFrame, words: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(home, tmp_path / "other", wide()[0], sample, "other")
    before = tiny.tree(home)
    assert main(["train", "other", MODEL]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and tiny.tree(home) == before


@pytest.mark.parametrize("layout", [by_template, wide])
def test_an_audit_makes_its_small_runs(
    layout: Callable[[], tuple[str, pl.DataFrame]], home: Path, tmp_path: Path
) -> None:
    install(home, tmp_path / "other", *layout(), "other")
    context = AuditContext.of(configs.load(Path("other"), [MODEL]), tmp_path / "scratch")
    assert context.baseline.cells(0) and context.variant("again", 0).cells(0)


def test_members_from_outside_are_laid_out_as_a_submission(home: Path, tmp_path: Path) -> None:
    """Both files: a series a row and a step a column, with the fold of each series."""
    install(home, tmp_path / "other", *wide(), "other")
    config = configs.load(Path("other"), [])
    competition = loading.load(config.data)
    ours, _ = folds.obtain(config.folds, config.name, competition.train, save=False)
    keys = competition.train.keys.to_list()
    for name, rides in (("oof", keys[::-1]), ("test", list(SERIES))):
        columns = {f"F{step + 1}": [ride + step / 16 for ride in rides] for step in STEPS}
        of_fold = {"part": ours.assignment[::-1].tolist()} if name == "oof" else {}
        pl.DataFrame({"ride": rides, **columns, **of_fold}).write_csv(tmp_path / f"{name}.csv")
    outside = OutsideConfig(name="x", oof=str(tmp_path / "oof.csv"), test=str(tmp_path / "test.csv"), fold="part")
    member = outside_members.load(outside, competition, ours)
    assert member.rows is not None
    assert member.rows[:, 0].tolist() == [ride + step / 16 for ride in keys for step in STEPS]


def test_a_refused_submission_is_not_submitted(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its run is marked on the board, and the key that the refusal names lets it pass."""
    tiny.install(home, tiny.write(tmp_path / "rides", tiny.frames()))
    flat = 'model=[{name = "lightgbm", rounds = 1, min_data_in_leaf = 5000}]'
    assert main(["train", "rides", flat]) == 1
    error = capsys.readouterr().err
    assert "must not be constant" in error and "post.check_range = false lets it pass" in error
    with pytest.raises(Exception, match="only files that train, blend or infer wrote and that have passed the gate"):
        upload.find("rides")
    tiny.run("board")
    out = capsys.readouterr().out
    assert "✗ its submission was refused" in out and "whose submission was refused" in out
    tiny.run("train", "rides", flat, "post.check_range=false")
    tiny.run("board", "--json")
    lines = json.loads(capsys.readouterr().out.splitlines()[-1])["groups"][0]["lines"]
    assert sorted(line["refused"] for line in lines) == [False, True]


@pytest.mark.parametrize("speed", [5.123456789, 0.0])
def test_a_target_that_is_constant_in_training_ends_well(speed: float, home: Path, tmp_path: Path) -> None:
    tables = tiny.frames()
    tables["train"] = tables["train"].with_columns(speed=pl.lit(speed))
    tiny.install(home, tiny.write(tmp_path / "rides", tables))
    tiny.run("train", "rides", MODEL)
