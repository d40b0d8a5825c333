"""`test --machines`: libraries obey, outcomes are read from pytest's report, and a failure anywhere is exit code 1."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from foldline.cli import machines
from foldline.cli.main import main
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import UserError

FAILS_ON_FOUR_THREADS = """
import os
import pytest

def test_of_threads():
    assert os.environ["FOLDLINE_TEST_THREADS"] == os.environ["OMP_NUM_THREADS"] == "1"

def test_that_passes():
    pass

@pytest.mark.skip(reason="no")
def test_that_is_skipped():
    raise AssertionError

@pytest.fixture
def broken():
    assert os.environ["FOLDLINE_TEST_THREADS"] == "1"

def test_of_a_fixture(broken):
    pass
"""


def test_three_instruction_sets_on_x86_64_and_one_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert list(machines.known_machines(tmp_path)) == ["native-1", "native-4"]
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    known = machines.known_machines(tmp_path)
    assert list(known) == [f"{name}-{count}" for name in ("native", "avx2", "lowest") for count in (1, 4)]
    assert known["native-4"].environment == machines.of_threads(4)
    assert known["avx2-1"].environment["NUMBA_CACHE_DIR"] != known["lowest-1"].environment["NUMBA_CACHE_DIR"]


def test_libraries_obey(tmp_path: Path) -> None:
    """What they say themselves, once they have computed something."""
    known = machines.known_machines(tmp_path)
    seen = machines.libraries(known.get("lowest-1", known["native-1"]).environment)
    assert set(seen) == set(machines.LIBRARIES)
    if "lowest-1" in known:
        assert seen["torch"] == "DEFAULT" and seen["numpy"] == "baseline" and seen["pyarrow"] == "none"
        assert seen["numba"] == "xmm" and seen["oneDNN"] in ("Intel SSE4.1", "not there")
        assert seen["MKL"] in ("COMPATIBLE", "not there")


def test_libraries_that_do_not_start_are_named() -> None:
    with pytest.raises(UserError, match=r"do not start with .*NPY_DISABLE_CPU_FEATURES"):
        machines.libraries({"NPY_DISABLE_CPU_FEATURES": "X86_V2,SSE2,SSE,NEON,ASIMD"})  # its baseline can't be disabled


def test_a_failure_on_one_machine_is_named_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test_it.py").write_text(FAILS_ON_FOUR_THREADS)
    monkeypatch.setattr(machines, "libraries", lambda _: dict.fromkeys(machines.LIBRARIES, "?"))
    words = ["-q", "-p", "no:cacheprovider"]
    assert machines.run("--machines=native-1,native-4", words, tmp_path, Terminal()) == 1
    out = capfd.readouterr().out
    assert out.count("failed on native-4: test_it.py::") == 2 and "failed on native-1" not in out
    assert "test_it.py::test_of_a_fixture" in out and out.splitlines()[-1] == "test: failed on native-4"
    assert machines.run("--machines=native-1", words, tmp_path, Terminal()) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "test: passed on all 1 machines"
    assert machines.run("--machines=native-1", [*words, "-k", "nothing"], tmp_path, Terminal()) == 1  # no test at all


def test_counts_are_those_of_the_report(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite><testcase classname="tests.a.test_a" name="one"/>'
        '<testcase classname="tests.a.test_a" name="two"><failure/></testcase>'
        '<testcase classname="tests.a.test_a" name="three"><error/></testcase>'
        '<testcase classname="tests.a.test_a" name="four"><skipped/></testcase></testsuite></testsuites>'
    )
    failed = ("tests/a/test_a.py::two", "tests/a/test_a.py::three")
    assert machines.outcome_of(report, 1) == machines.Outcome(passed=1, skipped=1, failed=failed, code=1)
    assert machines.outcome_of(tmp_path / "none.xml", 4) == machines.Outcome(code=4)


def test_an_unknown_machine_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--machines=native-3"]) == 2
    assert "unknown machine 'native-3'. Did you mean 'native-4'?" in capsys.readouterr().err


def test_an_installed_package_has_no_tests_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "PACKAGE", tmp_path / "lib" / "site-packages" / "foldline")
    for verb in ("test", "lint", "bench", "reference"):
        assert main([verb]) == 2
        assert f"`{verb}` needs a checkout of the repository" in capsys.readouterr().err
