"""What tests of layouts share: benchmarks/, which is no installed package, and the files a layout is checked on."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.gallery import generate


@pytest.fixture(scope="module")
def competition(request: pytest.FixtureRequest) -> str:
    """The competition that a file of tests is of, by the file's name: test_jane_street_layout.py has jane-street."""
    return request.path.stem.removeprefix("test_").removesuffix("_layout").replace("_", "-")


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return what writes a competition's files, once for all tests of this process: who changes them changes them back.

    Takes the competition's name, and whether its labels are to be dealt out again.
    """

    @functools.cache
    def folder_of(name: str, shuffled: bool) -> Path:
        return generate(name, tmp_path_factory.mktemp(name), shuffled)

    return lambda name, shuffled=False: folder_of(name, shuffled)


@pytest.fixture(scope="module")
def folder(competition: str, generated: Callable[..., Path]) -> Path:
    """Its small version."""
    return generated(competition)


@pytest.fixture(params=["as they are", "labels shuffled"])
def files(request: pytest.FixtureRequest, competition: str, generated: Callable[..., Path]) -> Path:
    """Its files, and once more with the labels dealt out again."""
    return generated(competition, shuffled=request.param == "labels shuffled")
