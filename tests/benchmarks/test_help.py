"""Every benchmark starts, and says what it measures: ./run.sh bench NAME --help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from foldline.cli import develop

BENCHMARKS = develop.benchmarks(Path(__file__).resolve().parents[2])


def test_parts_of_a_benchmark_are_none() -> None:
    assert {"train", "gallery"} <= set(BENCHMARKS) and not {"train_side", "measured", "uea_aeon"} & set(BENCHMARKS)


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_has_help(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-P", str(BENCHMARKS[name]), "--help"]  # as the verb starts it
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("usage:"), done.stderr
