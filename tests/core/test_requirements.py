"""The requirement reader: bounds by hand, its own environment, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from foldline.core import requirements

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("requirement", "have", "enough"),
    [
        ("torch>=2.6,<3", "2.13.0+cpu", True),
        ("torch>=2.6,<3", "2.6", True),
        ("torch>=2.6,<3", "2.5.1", False),
        ("torch>=2.6,<3", "3.0.0", False),
        ("torch>=2.6", "10.0", True),
        ("numpy", "0.1", True),
        ("numpy==2.4", "2.4.0", True),
        ("numpy!=2.4", "2.4.0", False),
        ("numpy > 2.4", "2.4.1", True),
        ("numpy<=2.4", "2.4.1", False),
        ("ruff>=0.8", None, False),
    ],
)
def test_bounds(monkeypatch: pytest.MonkeyPatch, requirement: str, have: str | None, enough: bool) -> None:
    monkeypatch.setattr(requirements, "installed", lambda name: have)
    expected = [] if enough else [f"{requirement} ({have or 'not installed'})"]
    assert requirements.lacking([requirement]) == expected


def test_extras_are_added(tmp_path: Path) -> None:
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text('[project]\ndependencies = ["a>=1"]\noptional-dependencies.dev = ["b>=2"]\n')
    assert requirements.declared(pyproject) == ["a>=1"]
    assert requirements.declared(pyproject, ["dev"]) == ["a>=1", "b>=2"]
    with pytest.raises(ValueError, match=r"one of \['dev'\], but got 'gpu'"):
        requirements.declared(pyproject, ["gpu"])


def test_its_own_are_those_of_the_checkout_or_of_the_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert requirements.own() == requirements.declared(REPOSITORY / "pyproject.toml")
    monkeypatch.setattr(requirements, "__file__", str(tmp_path / "site-packages/foldline/core/requirements.py"))
    stored = ["torch<3,>=2.6", "rich>=13.7", "ray>=2.40; extra == 'ray'"]  # as wheels store them
    monkeypatch.setattr(requirements, "requires", lambda name: stored if name == "foldline" else None)
    assert requirements.own() == stored[:2] and requirements.lacking(requirements.own()) == []


@pytest.mark.parametrize("requirement", ["a @ file:///x", "a[b]>=1", "a~=1.0", "a>=1; python_version<'3'"])
def test_what_it_cannot_read_it_refuses(requirement: str) -> None:
    with pytest.raises(ValueError, match="plain bounds"):
        requirements.lacking([requirement])


def test_this_repositorys_file_is_readable_and_met_here() -> None:
    script = REPOSITORY / "src/foldline/core/requirements.py"
    done = subprocess.run([sys.executable, "-P", script, REPOSITORY / "pyproject.toml"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
