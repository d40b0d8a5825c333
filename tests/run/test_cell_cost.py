"""What cells cost: turns are counted and what is between them is not; facts beside a cell that nothing depends on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
from lab import exhaust, jobs, needing, silent

from foldline.experiment import verification
from foldline.run import cell_cost, cell_training
from foldline.run.cell_cost import COLUMNS, COST, Cost, Meter, Spent
from foldline.run.schedule import Schedule


def cost(node: str = "one", device: str = "CPU", **changed: Any) -> Cost:
    known = {"waited_s": 6.0, "wall_s": 60.0, "core_s": 90.0, "gpu_s": 0.0, "memory": 1, "gpu_memory": 0}
    return Cost(node=node, device=device, **{**known, **changed})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Clocks that go when a test says so."""
    now = {"time": 1000.0, "perf_counter": 50.0, "process_time": 7.0}
    for name in now:
        monkeypatch.setattr(time, name, lambda name=name: now[name])
    return now


def test_a_cells_turns_are_counted_and_not_what_others_do_between_them(clock: dict[str, float]) -> None:
    def steps() -> Iterator[None]:
        for _ in range(3):
            clock["perf_counter"] += 2.0
            clock["process_time"] += 3.0
            yield

    meter = Meter("cpu", since=990.0)
    for _ in meter.turns(steps()):
        clock["perf_counter"] += 100.0
        clock["process_time"] += 100.0
    found = meter.cost()
    assert (found.waited_s, found.wall_s, found.core_s, found.gpu_s) == (10.0, 306.0, 9.0, 0.0)
    assert found.memory > 1 << 20 and found.node and found.device
    on_gpu = Meter("mps", since=1001.0)  # another node's clock is ahead
    exhaust(on_gpu.turns(steps()))
    assert (on_gpu.cost().waited_s, on_gpu.cost().gpu_s) == (0.0, 6.0)


def test_a_job_says_since_when_it_could_begin(clock: dict[str, float]) -> None:
    schedule = Schedule([needing("last", "first"), needing("first"), needing("other")])
    clock["time"] = 1005.0
    first, other = schedule.ready(), schedule.ready()
    assert first is not None and other is not None and schedule.ready() is None
    clock["time"] = 1020.0
    schedule.done(first)
    clock["time"] = 1030.0
    last = schedule.ready()
    assert last is not None
    assert [(job.key, job.since) for job in (first, other, last)] == [("first", 1000), ("other", 1000), ("last", 1020)]


def test_costs_are_added_up_for_each_device() -> None:
    costs = [cost(), cost("two", "GPU 1, B", gpu_s=30.0), cost(waited_s=0.0), cost("two", "GPU 0, A", gpu_s=60.0)]
    assert [dict(zip(COLUMNS, each.row, strict=True)) for each in cell_cost.by_device(costs)] == [
        dict(zip(COLUMNS, row, strict=True))
        for row in (
            ("one", "CPU", "2", "0.1", "3.0", "0.0"),
            ("two", "GPU 0, A", "1", "0.1", "1.5", "1.0"),
            ("two", "GPU 1, B", "1", "0.1", "1.5", "0.5"),
        )
    ]
    assert str(Spent.of(costs)) == "4 cells on 2 nodes: 6.0 min of cores, 90 s of GPUs, a cell waited 4.5 s on average"
    assert str(Spent.of(costs[:1])) == "1 cell on 1 node: 90 s of cores, a cell waited 6 s on average"  # no GPU there


def test_a_gpu_has_the_number_that_it_has_on_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.current_device", lambda: 0)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda number: f"Card {number}")
    for visible, named in (("", "GPU 0, Card 0"), ("5, 6", "GPU 5, Card 0")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert cell_cost._name_of.__wrapped__("cuda") == named
    assert cell_cost._name_of("cpu")


def test_a_cell_without_its_cost_is_whole(rides: Path, home: Path) -> None:
    job = jobs()[0]
    exhaust(cell_training.run(job, silent))
    found = cell_cost.cost_of(job.key)
    assert found is not None and found.core_s > 0 and found.wall_s > 0 and found.gpu_s == found.waited_s == 0
    path = job.cell.folder / COST
    for text in (path.read_text().replace("node", "mode"), '{"node": "a"}', "{"):
        path.write_text(text)
        assert cell_cost.costs_of([job.key, "gone"]) == []
    assert job.cell.done and job.finished and not verification.verify(lambda *_: None).damaged
    path.unlink()
    assert job.cell.done and job.finished


@pytest.mark.parametrize(
    "executor",
    [
        ["executor.together=2"],
        pytest.param(["executor.kind=process", "executor.workers=2"], marks=pytest.mark.slow),  # workers begin slowly
    ],
)
def test_a_run_the_board_and_the_report_show_what_cells_cost(
    executor: list[str], rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.run("train", "rides", *executor)
    assert "4 cells on 1 node: " in capsys.readouterr().out
    (fleet,) = tiny.as_json(capsys, "board")["fleet"]
    assert fleet["cells"] == 4 and fleet["core_s"] > 0 and fleet["gpu_s"] == 0 and fleet["waited_s"] > 0
    tiny.run("board")
    table = capsys.readouterr().out.partition("where their cells ran")[2]
    assert fleet["nodes"][0] in table
    page = (home / "runs" / "rides" / "latest" / "report.html").read_text()
    section = page.partition("<section id='machines'>")[2].partition("</section>")[0]
    assert section.count("<tr>") == 2 + 5 and "hybrid fold 0 seed 0" in section
    assert json.loads(next((home / "runs" / "cells").glob(f"*/{COST}")).read_text())["node"] in section
