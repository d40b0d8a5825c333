"""Real set-ups, with the network: two of a copy of this checkout are killed, then one imports torch."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from checkout import REPOSITORY, STUB_MAIN

NOT_OURS = ("VIRTUAL_ENV", "CONDA_PREFIX", "FOLDLINE_PYTHON", "FOLDLINE_EXTRAS", "FOLDLINE_HOME")
PARTS = ("run.sh", "constraints.txt", "pyproject.toml", "README.md", "configs", "src", "features", "models")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    root = tmp_path / "check out"
    root.mkdir()
    for part in PARTS:
        put = shutil.copytree if (REPOSITORY / part).is_dir() else shutil.copy2
        put(REPOSITORY / part, root / part)
    (root / "src" / "foldline" / "__main__.py").write_text("import torch, ventilator\n" + STUB_MAIN)
    return root


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_twice_and_then_whole(copy: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    for seconds in (1.0, 3.5):
        process = subprocess.Popen([copy / "run.sh"], env=env, start_new_session=True, stdin=subprocess.DEVNULL)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = subprocess.run([copy / "run.sh", "x"], env=env, text=True, capture_output=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert f'"prefix": "{copy}/.venv"' in done.stdout
    pytest_there = subprocess.run([copy / ".venv/bin/python", "-m", "pytest", "--version"], capture_output=True)
    assert pytest_there.returncode == 0
