"""`doctor` lists what is there, names where credentials are, and shows none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy
import pytest
import tiny

from foldline.cli import doctor

ROOT = Path(__file__).resolve().parents[2]


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    tiny.run("doctor", "--json")
    facts: dict[str, str] = json.loads(capsys.readouterr().out)
    return facts


@pytest.fixture
def machine(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with pyproject.toml, and a user without credentials."""
    shutil.copy(ROOT / "pyproject.toml", home)
    for name in ("API_TOKEN", "USERNAME", "KEY", "CONFIG_DIR"):
        monkeypatch.delenv(f"KAGGLE_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return home


def test_versions_modes_and_missing_packages_are_listed(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = shown(capsys)
    assert facts["numpy"] == numpy.__version__ and facts["lacking"] == "nothing"
    assert facts["wandb mode"] == "offline" and facts["kaggle credentials"].startswith("none (KAGGLE_API_TOKEN")
    assert facts["ledger"] == "0 submissions" and "GiB free" in facts["disk"]


def test_a_ledger_that_cannot_be_read_hides_nothing_else(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (machine / "submissions").mkdir()
    (machine / "submissions" / "ledger.csv").write_text("sha256;made;config\n")
    facts = shown(capsys)
    assert "must have the columns" in facts["ledger"] and facts["numpy"] == numpy.__version__


def test_credentials_are_named_and_never_shown(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAGGLE_USERNAME", "rider")
    monkeypatch.setenv("KAGGLE_KEY", "not-to-be-shown")
    monkeypatch.setenv("WANDB_API_KEY", "not-to-be-shown")
    facts = shown(capsys)
    assert facts["kaggle credentials"] == "KAGGLE_USERNAME and KAGGLE_KEY" and facts["wandb mode"] == "online"
    assert "not-to-be-shown" not in json.dumps(facts)


def test_the_driver_is_what_nvidia_smi_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor._driver() == ""
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 580.65.06\necho 580.65.06\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert doctor._driver() == "580.65.06"
