"""Every benchmark starts, and says what it measures: ./run.sh bench NAME --help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
NAMES = sorted(path.stem for path in BENCHMARKS.glob("*.py") if f"./run.sh bench {path.stem}" in path.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_benchmark_has_help(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-P", str(BENCHMARKS / f"{name}.py"), "--help"]  # as the verb starts it
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("usage:"), done.stderr
