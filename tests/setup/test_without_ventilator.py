"""The engine needs no ventilator: another competition is trained where that package cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
sys.modules["ventilator"] = None  # whoever imports it gets an ImportError
from foldline.cli.main import main
for verb in ("train", "infer", "report"):
    assert main([verb, "rides"]) == 0, verb
"""


@pytest.mark.slow
def test_a_competition_is_trained_and_predicted(rides: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
