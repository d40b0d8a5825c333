"""The benchmark of GPUs: whatever a part meets, the others come, and what is known is written after each."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gpu, train_side

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def session(tmp_path: Path) -> gpu.Session:
    return gpu.Session("cpu", True, tmp_path / "out", time.monotonic() + 60, "./run.sh bench gpu")


def written(session: gpu.Session) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((session.out / "gpu.json").read_text())["parts"]
    return found


def test_what_fails_soonest_comes_first() -> None:
    assert list(gpu.PARTS) == ["machine", "tests", "rival", "together", "graphs", "networks", "baseline"]


def test_every_file_with_tests_for_a_gpu_is_run() -> None:
    files = [file for file in (ROOT / "tests").rglob("test_*.py") if "\nfrom devices import " in file.read_text()]
    assert {str(file.relative_to(ROOT)) for file in files} == set(gpu.TESTS)


@pytest.mark.parametrize(
    ("error", "state", "why"),
    [
        (gpu.Skipped("needs 'polars', which is not installed"), "skipped", "needs 'polars', which is not installed"),
        (subprocess.TimeoutExpired("x", 1.0), "out of time", "what was measured by then is kept"),
        (RuntimeError("CUDA error: an illegal | address"), "failed", "RuntimeError: CUDA error: an illegal | address"),
    ],
)
def test_rows_are_kept_and_the_end_of_a_part_is_said(
    error: Exception, state: str, why: str, session: gpu.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(session: gpu.Session, part: gpu.Part) -> None:
        part.rows.append({"network": "a", "ratio": 2.5})
        raise error

    monkeypatch.setitem(gpu.PARTS, "rival", half)
    gpu.run_part(session, "rival")
    (part,) = written(session)
    assert (part["state"], part["why"], part["rows"]) == (state, why, [{"network": "a", "ratio": 2.5}])
    page = (session.out / "gpu.md").read_text()
    assert "## rival" in page and "| a | 2.5 |" in page and f"{state}: " in page


def test_parts_that_no_time_is_left_for_say_so(session: gpu.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    session.ends = time.monotonic() + gpu.LAST_S - 1
    monkeypatch.setitem(gpu.PARTS, "networks", lambda *_: pytest.fail("it was begun"))
    assert gpu.run_part(session, "networks").state == "out of time"


def test_a_package_that_is_missing_is_named_and_a_failure_says_its_end(session: gpu.Session) -> None:
    with pytest.raises(gpu.Skipped, match="needs 'no_such_package', which is not installed"):
        session.run(["-c", "import no_such_package"])
    with pytest.raises(RuntimeError, match="KeyError: 'b'"):
        session.run(["-c", "{}['b']"])
    assert session.run(["-c", "print(1)"]) == "1\n"


def test_without_a_gpu_the_machine_is_named_and_nothing_else_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    none = json.dumps({"torch": "2", "cuda": None, "card": None, "cards": 0})
    monkeypatch.setattr(gpu.Session, "run", lambda *_, **__: none)
    assert gpu.main(["--out", str(tmp_path)]) == 0
    assert "skipped (needs an NVIDIA GPU, and torch finds none" in capsys.readouterr().out
    assert [part["name"] for part in json.loads((tmp_path / "gpu.json").read_text())["parts"]] == ["machine"]


def test_the_parts_that_measure_make_their_tables(session: gpu.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """What each asks benchmarks/train_side.py for is a task of its."""
    session.device, session.small = "cuda", False
    asked: list[train_side.Task] = []

    def measure(self: gpu.Session, **task: Any) -> float:
        asked.append(train_side.Task(**task))
        return 100.0 * asked[-1].together * (3 if asked[-1].graphs else 1)

    def run(self: gpu.Session, command: list[str], **how: Any) -> str:
        return "\n".join(train_side.NETWORKS) if "NETWORKS" in command[-1] else "fp32 tf32 bf16"

    monkeypatch.setattr(gpu.Session, "measure", measure)
    monkeypatch.setattr(gpu.Session, "run", run)
    for name in ("rival", "together", "graphs", "networks"):
        assert gpu.run_part(session, name).state == "done", session.parts[-1].why
    rival, together, graphs, networks = written(session)
    assert [row["ratio"] for row in rival["rows"]] == [1.0] * 7 and "the aim is 5" in rival["said"][0]
    assert max(row["ratio"] for row in together["rows"]) == 8.0 and "the aim is 2" in together["said"][0]
    assert {row["ratio"] for row in graphs["rows"]} == {3.0}
    assert {row["network"] for row in networks["rows"]} == set(train_side.NETWORKS)
    assert networks["rows"][0] == {"network": "bi-LSTM 2x64", "fp32": 754.5, "tf32": 754.5, "bf16": 754.5}
    assert {task.network for task in asked} <= set(train_side.NETWORKS)


def test_the_side_that_is_measured_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Both loops, on a CPU, in small: the parts of the engine that they use are as they expect."""
    for side in ("ours", "rival"):
        task = {"side": side, "network": "TCN 64x6", "batch": 2, "steps": 1}
        monkeypatch.setattr(sys, "argv", ["train_side", json.dumps(task)])
        train_side.main()
        assert json.loads(capsys.readouterr().out)["figure"] > 0


@pytest.mark.slow
def test_it_runs_in_small_on_a_cpu(tmp_path: Path) -> None:
    command = [sys.executable, "-P", str(ROOT / "benchmarks" / "gpu.py"), "--device", "cpu", "--small"]
    command += ["--parts", "machine,tests,together,graphs", "--minutes", "14", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    found = {part["name"]: part for part in json.loads((tmp_path / "gpu.json").read_text())["parts"]}
    states = {name: part["state"] for name, part in found.items()}
    assert states.pop("graphs") == "skipped" and set(states.values()) == {"done"}, done.stdout + done.stderr
    assert done.returncode == 0 and (tmp_path / "gpu.md").read_text().startswith("# On a CPU: a trial")
