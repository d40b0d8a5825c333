"""The audit as a verb: runs without leaks are clean, a leak is named and fails, and which files are written."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import audits
import numpy as np
import polars as pl
import pytest
import tiny
import tiny_windows
from quickstart import SMOKE
from tiny_classes import Songs

from foldline.cli.main import main
from foldline.core import files
from foldline.core.errors import UserError
from foldline.evidence import audit
from foldline.evidence.audit import small_run
from foldline.evidence.audit.audit_check import AuditCheck, CheckResult
from foldline.evidence.audit.audit_context import AuditContext
from foldline.experiment import config
from foldline.models import MODELS

REAL = Path(
    os.environ.get("FOLDLINE_REAL_DATA", Path(__file__).resolve().parents[3] / "shared" / "data" / "ventilator")
)
THOROUGH = [  # every part of a recipe that could leak: a teacher, a watched score, a choice of blends
    "train.watch={share = 0.3, best = true}",
    "blend.method=auto",
    'model=[{name = "hybrid", width = 4}, {name = "lightgbm", rounds = 5, min_data_in_leaf = 2}, '
    '{name = "hybrid", width = 4, label = "student", teacher = {of = ["hybrid"]}}]',
]


def verdicts(scratch: Path, name: str, *overrides: str, only: tuple[str, ...] = ()) -> dict[str, CheckResult]:
    """AuditCheck -> outcome, of all or of some, without the verb around them."""
    context = AuditContext.of(config.load(Path(name), list(overrides)), scratch)
    chosen = [check for check in audit.CHECKS if not only or check.name in only]
    return {check.name: audit.attempt(check, context) for check in chosen}


def leaks(found: dict[str, CheckResult]) -> dict[str, str]:
    return {name: outcome.detail for name, outcome in found.items() if outcome.verdict == "LEAK"}


def test_a_small_run_that_is_refused_is_refused_again(audited: Path, tmp_path: Path) -> None:
    """By each check that needs it: they share its folder."""
    tables, chosen = audits.tables(), config.load(Path("rides"))
    for _ in range(2):
        with pytest.raises(UserError, match=r"lacks a column that .data. names"):
            small_run.run(chosen, tables["train"].drop("power"), tables["test"], tmp_path / "small")


CODE = """
import polars as pl
from foldline.data.reshape import scan

def tables(folder):
    return {part: scan(folder / f"{part}_rides.csv") for part in ("train", "test")}

def features(columns):
    return [(pl.col("power") * 2).alias("twice")]
"""


def test_files_that_are_made_and_joined_are_audited_as_they_came_out(home: Path, tmp_path: Path) -> None:
    """Small runs read plain files: neither tables() nor joins, which need the competition's own."""
    made = audits.tables()
    bikes = pl.concat([table.select("ride", "bike") for name, table in made.items() if "bike" in table.columns])
    audits.rides(home, {f"{name}_rides": table.drop("bike", strict=False) for name, table in made.items()})
    bikes.unique(maintain_order=True).write_csv(home.parent / "audited" / "bikes.csv")
    (home / "configs" / "competition.py").write_text(CODE)
    chosen = ['data.code="competition.py"', 'data.join=[{file = "bikes.csv", on = "ride"}]']
    chosen += ['features.families=["raw", "static", "competition"]', 'model=[{name = "lightgbm", rounds = 2}]']
    found = verdicts(tmp_path / "scratch", "rides", *chosen, only=("test rows",))
    assert {outcome.verdict for outcome in found.values()} == {"clean"}, found


# ---------------------------------------------------------------- clean runs


def test_a_known_start_of_the_target_is_an_input_not_a_leak(home: Path) -> None:
    """data.observed: cells may follow the first targets of a held-out series, as those of a test series are known."""
    made = audits.tables()
    speeds = tiny.rides(501, audits.TEST_SERIES, audits.STEPS, seed=1)["speed"]
    start = pl.int_range(pl.len()).over("ride") < 3
    made["test"] = made["test"].with_columns(speed=pl.when(start).then(speeds))
    audits.rides(home, made)
    config_file = home / "configs" / "rides.toml"
    config_file.write_text(config_file.read_text().replace("[features]", "observed = 3\n[features]", 1))
    for name in ("held-out targets", "shuffled targets"):
        assert audits.found(name).verdict == "clean"


def test_time_folds_by_dates_of_the_order_itself_are_clean(home: Path, tmp_path: Path) -> None:
    made = audits.tables()
    for name, year in (("train", 2023), ("test", 2025)):
        hours = pl.datetime(year, 1, 1) + pl.duration(hours=6 * pl.int_range(pl.len()))
        made[name] = made[name].with_columns(second=hours.dt.strftime("%Y-%m-%d %H:%M:%S"))
    audits.rides(home, made)
    checks = ("folds: order of time", "held-out rows", "nested blend")
    found = verdicts(tmp_path / "scratch", "rides", 'folds={kind = "time", k = 2, gap = 3}', only=checks)
    assert {outcome.verdict for outcome in found.values()} == {"clean"}, found


def test_time_folds_of_windows_of_one_series_are_clean(home: Path, tmp_path: Path) -> None:
    """They share rows with their neighbours, but not across an origin: all are of one group, which is on both sides."""
    tables = {**tiny_windows.frames(), "train": tiny_windows.recording("bridge", 80, seed=3)}
    tiny_windows.install(home, tmp_path / "bridge", tables)
    checks = ("folds: order of time", "folds: whole groups", "inner split", "held-out rows")
    words = ['folds={kind = "time", k = 2}', "train.watch={share = 0.3, best = true}", "train.device=cpu"]
    found = verdicts(tmp_path / "scratch", "bridge", *words, only=checks)
    assert {outcome.verdict for outcome in found.values()} == {"clean"}, found


def test_numbers_that_are_not_finite_are_null_in_its_json(audited: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undefined = AuditCheck("a", "b", lambda _: CheckResult("clean", "c", {"auc": float("nan"), "ends": [1.0, np.inf]}))
    monkeypatch.setattr(audit, "CHECKS", (undefined,))
    tiny.run("audit", "rides")
    text = (audited / "runs" / "rides" / "audit" / "audit.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == [
        {"check": "a", "verdict": "clean", "detail": "c", "auc": None, "ends": [1.0, None]}
    ]


@pytest.mark.learned
def test_rides_without_leaks_are_clean_and_leave_a_page(audited: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("train", "rides")
    before = tiny.tree(audited)
    capsys.readouterr()
    tiny.run("audit", "rides", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert answer["leaks"] == [] and [line["check"] for line in answer["checks"]] == [
        check.name for check in audit.CHECKS
    ]
    assert {line["verdict"] for line in answer["checks"]} == {"clean"}
    folder = audited / "runs" / "rides" / "audit"
    assert files.read_json(folder / "audit.json") == answer["checks"]
    page = (folder / "audit.html").read_text()
    assert page.count("<svg") == 3 and "no leak found" in page
    assert not re.search(r"(src|href)\s*=\s*.https?:", page)  # it loads nothing
    after = tiny.tree(audited)
    assert {name for name in after if name not in before} == {
        f"runs/rides/audit/audit.{end}" for end in ("json", "html")
    }
    assert {name: after[name] for name in before} == before  # the small runs leave no cells


@pytest.mark.learned
def test_a_teacher_early_stopping_and_choice_of_blends_are_clean(audited: Path, tmp_path: Path) -> None:
    watching = ("inner split", "teachers", "held-out targets", "held-out rows", "test rows", "nested blend")
    found = verdicts(tmp_path / "scratch", "rides", *THOROUGH, only=watching)
    assert {outcome.verdict for outcome in found.values()} == {"clean"}
    assert "watched series are not trained on" in found["inner split"].detail
    assert found["teachers"].detail.startswith("teachers: 2, simulators: 0")


def test_few_series_are_not_enough_and_that_is_said(audited: Path, tmp_path: Path) -> None:
    tiny.install(audited, tiny.write(tmp_path / "few", tiny.frames()))
    found = verdicts(tmp_path / "scratch", "rides", only=("shuffled targets", "train against test"))
    for outcome in found.values():
        assert outcome.verdict == "not checked" and "too few" in outcome.detail


@pytest.mark.slow
@pytest.mark.learned
def test_the_quickstart_in_small_is_clean(home: Path, tmp_path: Path) -> None:
    sizes = ["data.simulate.breaths=200", "data.simulate.test_breaths=50", *SMOKE[2:]]
    assert leaks(verdicts(tmp_path / "scratch", "quickstart", *sizes)) == {}


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real data at {REAL} (FOLDLINE_REAL_DATA names their folder)")
@pytest.mark.learned
def test_the_real_sample_is_clean(home: Path, tmp_path: Path) -> None:
    found = verdicts(tmp_path / "scratch", "sample", f"data.source={REAL}")
    assert leaks(found) == {}
    assert [name for name, outcome in found.items() if outcome.verdict != "clean"] == ["stored cells"]


# ---------------------------------------------------------------- a leak, and what can't be checked


def test_a_leaking_run_ends_with_1_and_names_the_leak(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = audits.tables()
    test = tiny.rides(501, audits.TEST_SERIES, audits.STEPS, seed=1)
    shown = {"train": made["train"], "test": test}
    with_copy = {name: table.with_columns(gps=3.6 * table["speed"]) for name, table in shown.items()}
    audits.rides(home, made | with_copy | {"test": with_copy["test"].drop("speed")}, inputs="gps")
    assert main(["audit", "rides", "--quiet"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("audit: 20 checks, 1 leak, 1 could not be checked")
    assert "  - target among inputs: gps is a copy of the target speed" in said.err
    assert "1 leak: target among inputs" in (home / "runs" / "rides" / "audit" / "audit.html").read_text()


def test_the_how_to_page_lists_every_check() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "audit.md").read_text()
    listed = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")]
    assert listed[1:] == [check.name for check in audit.CHECKS]


def test_what_the_engine_refuses_is_not_checked(audited: Path) -> None:
    def refused(_: AuditContext) -> CheckResult:
        raise UserError("that can't be")

    assert audit.attempt(AuditCheck("any", "nothing", refused), audits.context()) == CheckResult(
        "not checked", "the engine refused: that can't be"
    )


def test_bad_data_is_the_users_mistake_as_everywhere(audited: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "rides", "data.source=nowhere"]) == 2
    assert "nowhere does not exist" in capsys.readouterr().err


def test_cells_that_come_out_differently_each_time_are_not_called_leaks(
    audited: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from foldline.fit import boosting_cell

    original, count = boosting_cell.BoostingCell.fit, iter(range(100))
    monkeypatch.setattr(
        boosting_cell.BoostingCell,
        "fit",
        lambda self, data, chosen, _, *more: original(self, data, chosen, next(count), *more),
    )
    outcome = audits.found("held-out targets")
    assert outcome.verdict == "not checked" and "lightgbm fold 0 seed 0 comes out differently" in outcome.detail


# ---------------------------------------------------------------- small runs


def test_a_small_run_has_the_models_of_the_config(home: Path) -> None:
    small = small_run.small(config.load(Path("gold")), 48)
    assert [model.label for model in small.models] == [
        "hybrid",
        "bilstm",
        "student",
    ] and small.folds.k == small_run.FOLDS
    whole = config.load(Path("gold"))
    for model, full in zip(small.models, whole.models, strict=True):
        assert model.params == full.params and model.teacher == full.teacher
        assert model.train.epochs == small_run.EPOCHS and model.train.device_used == "cpu"
        assert model.train.augment == full.train.augment and model.train.schedule == full.train.schedule
    boosted = config.load(Path("quickstart")).models[1]
    assert small_run.small(replace(whole, models=(boosted,)), 48).models[0].params["rounds"] == small_run.ROUNDS


@pytest.mark.parametrize("name", [name for name, part in MODELS.items() if part.config.kind == "series"])
def test_a_small_run_takes_every_model_of_whole_series(name: str, home: Path, tmp_path: Path) -> None:
    Songs("multiclass").install(home, tmp_path / "songs")
    whole = config.load(Path("songs"), [f'model=[{{name = "{name}"}}]'])
    (few,), (full,) = small_run.small(whole, 48).models, whole.models
    smaller = {key for key, value in full.params.items() if few.params[key] != value}
    assert smaller and all(few.params[key] < full.params[key] for key in smaller)


def test_a_small_run_restores_the_home_folder(home: Path) -> None:
    with files.at_home_everywhere(Path("elsewhere")):
        assert files.home() == Path("elsewhere").resolve()
    assert files.home() == home
