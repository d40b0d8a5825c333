"""Without credentials, without the package, without a submission: what is missing is named, and nothing is sent."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import tiny

from foldline.cli.main import main
from foldline.output.kaggle import credentials

KEY = "not-to-be-shown"


@pytest.fixture
def nobody(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without any credentials; the user's home folder."""
    for name in ("API_TOKEN", "USERNAME", "KEY", "CONFIG_DIR"):
        monkeypatch.delenv(f"KAGGLE_{name}", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    user = tmp_path / "user"
    (user / ".kaggle").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(user))
    return user


def test_every_place_is_found_in_the_packages_order(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = nobody / ".kaggle"
    assert credentials.found() == ""
    (folder / "credentials.json").write_text(json.dumps({"refresh_token": KEY}))
    assert credentials.found() == "~/.kaggle/credentials.json"
    (folder / "kaggle.json").write_text(json.dumps({"username": "rider", "key": KEY}))
    assert (credentials.found(), credentials.username()) == (str(folder / "kaggle.json"), "rider")
    monkeypatch.setenv("KAGGLE_USERNAME", "racer")
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    assert (credentials.found(), credentials.username()) == ("KAGGLE_USERNAME and KAGGLE_KEY", "racer")
    (folder / "access_token").write_text(f"{KEY}\n")
    assert credentials.found() == "~/.kaggle/access_token"
    monkeypatch.setenv("KAGGLE_API_TOKEN", KEY)
    assert credentials.found() == "KAGGLE_API_TOKEN"


def test_kaggle_json_lies_where_the_variables_say(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert credentials.key_file() == nobody / ".kaggle" / "kaggle.json"
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", "/elsewhere")
    assert credentials.key_file() == Path("/elsewhere/kaggle.json")


@pytest.mark.parametrize("words", [["download"], ["submit", "rides", "data.source=rides", "--competition", "x"]])
@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "neither KAGGLE_API_TOKEN nor KAGGLE_USERNAME and KAGGLE_KEY is set"),
        ({"KAGGLE_USERNAME": "rider"}, "KAGGLE_USERNAME is set and KAGGLE_KEY is not"),
        ({"KAGGLE_KEY": KEY}, "KAGGLE_KEY is set and KAGGLE_USERNAME is not"),
        ({"kaggle.json": f'{{"key": "{KEY}"}}'}, "kaggle.json is no JSON file with username and key"),
    ],
)
def test_what_is_missing_is_named(
    words: list[str],
    given: dict[str, str],
    missing: str,
    nobody: Path,
    submittable: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in given.items():
        if name.endswith(".json"):
            (nobody / ".kaggle" / name).write_text(value)
        else:
            monkeypatch.setenv(name, value)
    assert main(words) == 2
    shown = capsys.readouterr()
    assert missing in shown.err and credentials.TOKENS in shown.err
    assert KEY not in shown.out + shown.err


def test_a_missing_package_is_named(
    nobody: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", KEY)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["download", "x"]) == 2
    assert "FOLDLINE_EXTRAS=kaggle ./run.sh doctor" in capsys.readouterr().err


@pytest.fixture
def submittable(trained: Path, trained_once: Path) -> Path:
    """The trained rides' submission and its ledger."""
    shutil.copytree(trained_once / "home" / "submissions", trained / "submissions")
    return next((trained / "submissions").glob("*.csv"))


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["submit", *words]) == 2
    return capsys.readouterr().err


def test_a_dry_run_is_the_gate_alone(nobody: Path, submittable: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run("submit", "rides", "data.source=rides", "--dry-run", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert answer["passed"] and Path(answer["submission"]).name == "submission.csv"


def test_only_what_the_ledger_knows_is_sent(
    nobody: Path, submittable: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = trained / "submissions" / "edited.csv"
    other.write_bytes((trained / "runs" / "rides" / "latest" / "submission.csv").read_bytes() + b"1,2\n")
    assert "only files that train, blend or infer wrote" in refusal(capsys, str(other))
    assert "is not there. Give a file" in refusal(capsys, "nowhere.csv")
    assert "Run `./run.sh train baseline` first" in refusal(capsys, "baseline")
    assert "only data.source=DIR and competition=NAME can be given" in refusal(capsys, "rides", "train.epochs=1")
    assert "The competition must be named" in refusal(capsys, "rides", "data.source=rides")


def test_simulated_series_are_not_submitted(
    nobody: Path, submittable: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.move(trained / "submissions" / "ledger.csv", trained / "runs" / "ledger.csv")
    assert "predicts simulated series" in refusal(capsys, "rides")
