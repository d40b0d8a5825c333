"""What tests of layouts share: benchmarks/, which is no installed package, and the files a layout is checked on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.gallery import generate


@pytest.fixture(scope="module")
def competition(request: pytest.FixtureRequest) -> str:
    """The competition that a file of tests is of, by the file's name: test_jane_street_layout.py has jane-street."""
    return request.path.stem.removeprefix("test_").removesuffix("_layout").replace("_", "-")


@pytest.fixture(scope="module")
def folder(competition: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its small version, for all tests of the file: who changes it changes it back."""
    return generate(competition, tmp_path_factory.mktemp(competition))


@pytest.fixture(params=["as they are", "labels shuffled"])
def files(request: pytest.FixtureRequest, competition: str, folder: Path, tmp_path: Path) -> Path:
    """Its files, and once more with the labels dealt out again."""
    return folder if request.param == "as they are" else generate(competition, tmp_path, shuffled=True)
