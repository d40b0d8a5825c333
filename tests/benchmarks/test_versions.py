"""Two versions beside each other: what a command costs, which tests are the same, what the table says of pairs."""

from __future__ import annotations

import json
import mmap
import os
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # benchmarks/ is no package that is installed
from benchmarks import against
from benchmarks.pages import replaced
from benchmarks.versions import checkouts, own_tests, pairs, process_costs, recurrent_epoch, tables
from benchmarks.versions.jobs import JOBS, Bench, Command, Job, Run
from benchmarks.versions.pairs import Compared

CHILD = """
import subprocess, sys, time
burn = "import time; until = time.process_time() + 0.05\\nwhile time.process_time() < until: pass"
workers = [subprocess.Popen([sys.executable, "-S", "-c", burn]) for _ in range(2)]
[each.wait() for each in workers]
print("said"); print("complained", file=sys.stderr); sys.exit(7)
"""


def test_the_cost_of_a_command_is_that_of_all_its_processes(tmp_path: Path) -> None:
    cost = process_costs.run([sys.executable, "-S", "-c", CHILD], tmp_path, os.environ)
    assert (cost.code, cost.output, cost.errors) == (7, "said\n", "complained\n")
    assert cost.cpu_seconds > 0.1


@pytest.mark.skipif(sys.platform != "linux", reason="memory of all processes is known on Linux only")
def test_memory_is_what_no_file_backs() -> None:
    before = process_costs.own_bytes(os.getpid())
    held = mmap.mmap(-1, 60_000_000, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # the heap may have room from before
    held[::4096] = b"1" * len(range(0, len(held), 4096))
    assert 55e6 < process_costs.own_bytes(os.getpid()) - before < 80e6
    held.close()
    with pytest.raises(FileNotFoundError):
        process_costs.own_bytes(2**22 + 1)  # no process has such a number


def test_a_test_is_found_again_by_file_name_or_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "renamed.txt").write_text("test_old test_new\n")
    monkeypatch.setattr(own_tests, "RENAMED", tmp_path / "renamed.txt")
    before = [("tests/a/test_x.py", name) for name in ("test_same", "test_moved", "test_old", "test_gone", "test_two")]
    now = [("tests/b/test_x.py", "test_same"), ("tests/b/test_y.py", "test_same"), ("tests/b/test_y.py", "test_moved")]
    now += [("tests/b/test_z.py", "test_new"), ("tests/b/test_y.py", "test_two"), ("tests/b/test_z.py", "test_two")]
    found = own_tests.successors(before, now)
    assert {old[1]: new for old, new in found.items()} == {
        "test_same": ("tests/b/test_x.py", "test_same"),
        "test_moved": ("tests/b/test_y.py", "test_moved"),
        "test_old": ("tests/b/test_z.py", "test_new"),
    }
    said = "tests/a/test_x.py::test_one[1]\ntests/a/test_x.py::test_one[2]\ntests/a/test_x.py::test_b\n3 tests\n"
    listed = [("tests/a/test_x.py", "test_one"), ("tests/a/test_x.py", "test_b")]
    assert own_tests.collected(said) == listed
    assert own_tests.node_ids([*listed, *listed]) == "tests/a/test_x.py::test_one\ntests/a/test_x.py::test_b\n"


def test_every_new_name_in_the_list_is_a_test() -> None:
    names = {name for _, name in own_tests.in_files(against.ROOT)}
    lines = [line.split() for line in own_tests.RENAMED.read_text(encoding="utf-8").splitlines()]
    assert lines and {new for _, new in lines} <= names


def run(seconds: float, **details: Any) -> Run:
    return Run(seconds, 2 * seconds, 2**30, details)


RECORD = {"now": "a" * 40, "before": "b" * 40, "processor": "a processor, 2 cores", "load": 0.0, "small": False}


def test_the_table_has_the_ratios_of_pairs_and_is_read_again(tmp_path: Path) -> None:
    scores = {"scores": {"exact rows in place": [1.0, 3.0, 2.0]}}, {"scores": {"exact rows in place": [0.5, 3.0, 1.75]}}
    runs = {
        "before": [run(10.0, **scores[0]), run(20.0), run(10.0)],
        "now": [run(2.0, **scores[1]), run(6.0), run(5.0)],
    }
    found = Compared("train", "a job", "0.45", "seconds", runs)
    assert tables.ratios(found) == [0.2, 0.3, 0.5]
    tables.write(tmp_path / "runs" / "table", RECORD, [found])
    line = (tmp_path / "runs" / "table.md").read_text().splitlines()[-1]
    assert line.startswith(
        "| a job | 3 | 0.30 (0.20 to 0.50) | 0.45 | 10 → 5 | 20 → 10 | 1 → 1 | score, exact rows in place"
    )
    assert "2 → 1.75, by fold -0.25 (-0.5 to +0)" in line
    assert tables.read(tmp_path / "runs" / "table", RECORD) == [found]
    assert tables.read(tmp_path / "runs" / "table", {**RECORD, "now": "c" * 40}) == []
    assert json.loads((tmp_path / "runs" / "table.json").read_text())["jobs"][0]["ratios"] == [0.2, 0.3, 0.5]


class Sleep(Job):
    """Prints which side it is."""

    title, at_most = "a job", "1"

    def command(self, side: checkouts.Side) -> Command:
        words = [sys.executable, "-S", "-c", f"open('order', 'a').write('{side.name[0]}')"]
        return Command(words, side.shared)


def test_sides_take_turns_and_a_failure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = {name: checkouts.Side(name, "a" * 40, tmp_path / name, tmp_path) for name in ("now", "before")}
    bench = Bench(**sides, data=None, small=True)
    found = pairs.compare("sleep", Sleep(bench), 3, lambda text: None)
    assert (tmp_path / "order").read_text() == "bnnbbn"
    assert {side: len(runs) for side, runs in found.runs.items()} == {"before": 3, "now": 3}
    fails = Command([sys.executable, "-S", "-c", "raise SystemExit('no')"], tmp_path)
    monkeypatch.setattr(Sleep, "command", lambda self, side: fails)
    with pytest.raises(RuntimeError, match="exit code 1:\nno"):
        pairs.compare("sleep", Sleep(bench), 1, lambda text: None)


def test_what_cannot_be_compared_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert against.main(["no-such-commit"]) == 2
    assert "is no commit of" in capsys.readouterr().err
    for words, says in ((["HEAD", "nothing"], "NAME must be one of"), (["HEAD", "--page", "--small"], "no figures")):
        with pytest.raises(SystemExit):
            against.main(words)
        assert says in capsys.readouterr().err


def test_a_clone_is_led_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FOLDLINE_HOME", "VIRTUAL_ENV", "RAY_ADDRESS", "NUMBA_CACHE_DIR"):
        monkeypatch.setenv(name, "elsewhere")
    assert "elsewhere" not in checkouts.environment().values()


def test_the_page_has_every_job_and_its_marks() -> None:
    page = against.PAGE.read_text(encoding="utf-8")
    assert "a new table" in replaced(page, against.PART, "a new table")
    for name, job in JOBS.items():
        (line,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert line.endswith(f"| {job.at_most} |")


@pytest.mark.slow
def test_small_recurrent_networks_train(capsys: pytest.CaptureFixture[str]) -> None:
    recurrent_epoch.main({"precision": "fp32", "steps": 1})
    assert json.loads(capsys.readouterr().out).keys() == recurrent_epoch.SMALL.keys()
