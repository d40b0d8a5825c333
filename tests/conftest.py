"""What tests of the engine share: a home folder of their own, and a tiny competition in it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
import torch

from foldline.data.metrics import intervals

REPOSITORY = Path(__file__).resolve().parents[1]
IN_FILES = {"slow", "learned", "gallery"}  # marks that stand in the file of their tests


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out a file in which no mark stands that `-m` asks for: each worker imports and expands the others.

    Marks of helpers stand in no file of tests: IN_FILES are those that none has.
    """
    asked = IN_FILES & set(config.getoption("markexpr").split(" and "))
    if not asked or not collection_path.name.startswith("test_"):
        return None
    text = collection_path.read_text(encoding="utf-8")
    return any(f"mark.{mark}" not in text for mark in asked) or None


@pytest.fixture(autouse=True, scope="session")
def torch_threads() -> None:
    """One thread: small tensors on several cores mostly wait for each other. `test --machines` sets another number."""
    torch.set_num_threads(int(os.environ.get("FOLDLINE_TEST_THREADS", "1")))


@pytest.fixture
def sigint() -> Iterator[None]:
    """SIGINT interrupts, as in a terminal, in this process and in those that it starts.

    A suite that is started with `&` from a script inherits SIGINT ignored: no process of it could be interrupted.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty FOLDLINE_HOME with the repository's configs; the tests' own folder is the current one.

    Without the gallery's: copying and deleting its 55 files took longer than most of the tests that never read them.
    """
    folder = tmp_path / "home"
    shutil.copytree(REPOSITORY / "configs", folder / "configs", ignore=shutil.ignore_patterns("gallery"))
    monkeypatch.setenv("FOLDLINE_HOME", str(folder))
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bootstrap intervals of scores by the fewest resamples, for runs whose intervals nobody looks at."""
    monkeypatch.setattr(intervals, "LARGEST_COST", 0)


@pytest.fixture
def rides(home: Path, tmp_path: Path) -> Path:
    """The tiny competition's folder; its config is `rides`."""
    source = tiny.write(tmp_path / "rides", tiny.frames())
    tiny.install(home, source)
    return source


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `home` and `rides`, trained once for all tests of a session; nobody writes into it."""
    folder = tmp_path_factory.mktemp("trained")
    with tiny.home_of_rides(folder):
        tiny.run("train", "rides")
    return folder


@pytest.fixture
def trained(trained_once: Path, rides: Path, home: Path) -> Path:
    """A home folder in which `rides` is trained already: a copy, to be changed at will."""
    shutil.copytree(trained_once / "home" / "runs", home / "runs", symlinks=True)
    shutil.copytree(trained_once / "home" / "folds", home / "folds")
    return home
