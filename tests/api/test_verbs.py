"""The verbs besides `train` and `blend` from Python: frames and paths of what the command line writes, in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ablations
import polars as pl
import pytest
import searches

import foldline as fl
from foldline.cli.main import main
from foldline.core import artefacts, files
from foldline.evidence import audit
from foldline.evidence.audit.audit_check import AuditCheck, CheckResult
from foldline.evidence.study import step_cost
from ventilator.decoder import file_decoding
from ventilator.estimation import file_estimation

TREES = {"model": [{"name": "lightgbm", "rounds": 5, "min_data_in_leaf": 2}]}  # cells that take milliseconds


@pytest.fixture(autouse=True)
def in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed by a call that is quiet; what the command line prints is read by the test."""
    yield  # type: ignore[misc]
    assert capfd.readouterr() == ("", "")


def test_an_ablation(rides: Path, home: Path) -> None:
    ablations.install(home, 'base = "rides.toml"\n[[variant]]\nname = "fewer"\nset = ["model.0.rounds=2"]')
    found = fl.ablate("ablate-rides", **TREES, ablate={"seeds": [0], "bootstrap": 100}, quiet=True)
    stored = artefacts.read_json(found.folder / "ablation.json")
    (variant,) = stored["variants"]
    assert found.variants.rows(named=True) == [
        {
            "name": "fewer",
            "changes": "model.0.rounds=2",
            **{name: variant[name] for name in ("verdict", "effect", "standard_error", "p", "p_holm")},
            **dict(zip(("low", "high"), variant["bootstrap"], strict=True)),
        }
    ]
    assert found.score == stored["baseline"]["score"] and found.verdicts == {"fewer": variant["verdict"]}
    assert not found.failed and "fewer" in found.report.html() and found.name == "ablate-rides"


def test_a_search(rides: Path, home: Path) -> None:
    searches.install(home)
    tables = {**TREES, "folds": {"k": 4}, "tune": {"trials": 2, "check_seeds": [0]}}
    found = fl.tune("search", **tables, quiet=True)
    stored = searches.found(home)
    assert found.trials.rows(named=True) == stored["trials"] and found.best == stored["best"]
    assert found.gain == (None if stored["check"] is None else stored["check"]["gain"]["mean"])
    assert found.best_config.read_text().startswith(f"# {found.verdict}\n") and found.report.path.exists()
    again = fl.tune("search", **tables, quiet=True)  # the same study: nothing is left to try
    assert again.trials.equals(found.trials) and again.folder == found.folder


def test_a_study(rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_cost, "measured", step_cost.measure)  # in this process: a fresh one takes seconds
    system = {"multiple": 2, "model": {"name": "hybrid", "blocks": [{"kind": "lstm"}]}}
    tables = {
        "name": "study-tables",
        "base": "rides",
        "study": {"parameters": 900, "tolerance": 0.2, "seeds": [0], "steps": [4], "batch": 2, "bootstrap": 100},
        "system": [
            {"name": "one", **system},
            {"name": "other", "model": {"name": "hybrid", "blocks": [{"kind": "conv"}]}},
        ],
    }
    found = fl.study(tables, train={"epochs": 1}, quiet=True)
    stored = artefacts.read_json(found.folder / "study.json")
    columns = ["name", "width", "parameters", "score", "verdict"]
    assert found.systems.select(columns).rows(named=True) == [
        {name: each[name] for name in columns} for each in stored["systems"]
    ]
    assert found.systems["step_s"].to_list() == [each["step"]["step_s"] for each in stored["systems"]]
    assert stored["command"] == "foldline.study(...) in Python, of tables called study-tables"
    assert not found.failed and found.report.path == found.folder / "study.html"


def test_an_audit_returns_its_leaks(
    rides: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    outcomes = [CheckResult("LEAK", "it leaks", {"by": 3}), CheckResult("clean", "all is well")]
    checks = [AuditCheck(each.verdict, "", lambda _, each=each: each) for each in outcomes]  # type: ignore[misc]
    monkeypatch.setattr(audit, "CHECKS", checks)
    found = fl.audit("rides", quiet=True)
    assert found.checks.rows() == [("LEAK", "LEAK", "it leaks"), ("clean", "clean", "all is well")]
    assert found.leaks == {"LEAK": "it leaks"} and files.read_json(found.json)[0]["by"] == 3
    assert found.report.path == home / "runs" / "rides" / "audit" / "audit.html" and found.report.path.exists()
    assert capfd.readouterr() == ("", "")
    assert main(["audit", "rides", "--quiet"]) == 1
    assert "1 of 2 checks found a leak:\n  - LEAK: it leaks" in capfd.readouterr().err


def test_a_simulation(home: Path, tmp_path: Path) -> None:
    made = fl.simulate("breaths", breaths=2, test_breaths=6, seed=3, truth=True, quiet=True)
    assert made.train.height == 160 and made.test.height == 480
    assert made.truth is not None and made.truth["id"].equals(made.test["id"])
    assert fl.simulate("breaths", breaths=1, test_breaths=1, force=True, quiet=True).truth is None
    with pytest.raises(fl.Error, match="must be new or hold no CSV file"):
        fl.simulate("breaths", quiet=True)


def test_estimated_rows(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fl.simulate("breaths", breaths=1, test_breaths=2, quiet=True)
    kinds = ["ranked", "chain", "chain"]
    rows = pl.DataFrame({"id": [3, 5, 7], "pressure": [6.1, 7.2, 8.3], "sd": [0.1, 0.0, 0.0], "kind": kinds})
    given: list[object] = []

    def estimate_file(source: Path, out: Path, *, labels: Path | None, progress: object) -> pl.DataFrame:
        given.append((source, out, labels))
        return rows

    monkeypatch.setattr(file_estimation, "estimate_file", estimate_file)  # the real one compiles
    found = fl.estimate("breaths/test.csv", "all.csv", labels="breaths/train.csv", quiet=True)
    assert given == [(Path("breaths/test.csv"), Path("all.csv"), Path("breaths/train.csv"))]
    assert found.rows.equals(rows) and found.kinds.rows() == [("chain", 2), ("ranked", 1)]
    assert found.path == Path("all.csv") and found.warnings == ()
    fl.estimate("breaths/test.csv", "all.csv", quiet=True)
    assert given[-1] == (Path("breaths/test.csv"), Path("all.csv"), None)


def test_arguments_of_other_types_are_refused(home: Path) -> None:
    given: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], str]] = [
        (fl.simulate, ("breaths",), {"breaths": 3.5}, r"breaths must be a whole number, but is 3\.5 \(float\)"),
        (fl.simulate, (None,), {}, "out must be a path, .* but is None"),
        (fl.decode, (pl.DataFrame(), "exact.csv"), {}, "source must be a path, .* but is of type DataFrame"),
        (fl.estimate, ("test.csv", None), {}, "out must be a path, .* but is None"),
        (fl.blend, ("rides",), {"outside": [("a", "b")]}, r"outside must be a table, \{.* but is \[\('a', 'b'\)\]"),
        (fl.blend, ("rides",), {"outside": {"a": ("b", "c")}}, "outside must be a table"),
    ]
    for verb, arguments, options, message in given:
        with pytest.raises(fl.Error, match=message):
            verb(*arguments, **options, quiet=True)


def test_labels_that_are_not_there_are_called_so(home: Path) -> None:
    fl.simulate("breaths", breaths=1, test_breaths=2, quiet=True)
    with pytest.raises(fl.Error, match=r"^labels: there is no nope\.csv"):
        fl.estimate("breaths/test.csv", "all.csv", labels="nope.csv", quiet=True)


def test_decoded_rows(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fl.simulate("breaths", breaths=1, test_breaths=2, quiet=True)
    rows = pl.DataFrame({"id": [3, 5, 7], "pressure": [6.1, 7.2, 8.3], "kind": ["gap", "chain", "chain"]})
    monkeypatch.setattr(file_decoding, "decode_file", lambda source, out, **_: rows)  # the real one compiles
    found = fl.decode("breaths/test.csv", "exact.csv", quiet=True)
    assert found.rows.equals(rows) and found.kinds.rows() == [("chain", 2), ("gap", 1)]
    assert found.path == Path("exact.csv") and found.warnings == ()
