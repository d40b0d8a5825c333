"""Every benchmark starts, and says what it measures: ./run.sh bench NAME --help."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from foldline.cli import develop

BENCHMARKS = develop.benchmarks(Path(__file__).resolve().parents[2])
ALL = """
import json, os, runpy, sys, traceback
import foldline.cli.train, lightgbm, polars, torch, torch._dynamo  # what takes seconds; each benchmark finds it there

out, benchmarks = sys.argv[1], json.loads(sys.argv[2])
for name, path in benchmarks.items():
    if os.fork() == 0:
        with open(os.path.join(out, name), "w") as to:
            os.dup2(to.fileno(), 1)
            os.dup2(to.fileno(), 2)
        sys.argv, code = [path, "--help"], 3  # where it goes on behind its help
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)  # torch's way out takes a second
    with open(os.path.join(out, f"{name}.code"), "w") as to:
        to.write(str(os.waitstatus_to_exitcode(os.wait()[1])))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what each benchmark says: forks of one Python that is started as the verb starts one."""
    out = tmp_path_factory.mktemp("help")
    names = json.dumps({name: str(path) for name, path in BENCHMARKS.items()})
    subprocess.run([sys.executable, "-P", "-c", ALL, str(out), names], cwd=out, check=True)
    return out


def test_parts_of_a_benchmark_are_none() -> None:
    assert {"train", "gallery"} <= set(BENCHMARKS) and not {"train_side", "measured", "uea_aeon"} & set(BENCHMARKS)


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_has_help(name: str, said: Path) -> None:
    text = (said / name).read_text()
    assert text.startswith("usage:") and (said / f"{name}.code").read_text() == "0", text
