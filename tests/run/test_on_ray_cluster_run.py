"""The driver of a run on a cluster: what it does with a task that ends, is lost or fails. Ray is a fake here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from lab import fake, needing

from foldline.core.errors import TryAgain, UserError
from foldline.run.on_ray import cluster_run
from foldline.run.on_ray.nodes import Expected, Needs
from foldline.run.on_ray.worker import Ended

LOST = ("WorkerCrashedError", "NodeDiedError", "LocalRayletDiedError", "OutOfMemoryError", "ObjectLostError")
ONE_CORE = {"Alive": True, "Resources": {"CPU": 1.0}}


@dataclass(eq=False)
class FakeTask:
    """A reference of a task, whose id is the key of its job."""

    key: str
    end: Any

    def task_id(self) -> Any:
        return SimpleNamespace(hex=lambda: self.key)


class FakeRay:
    """As much of Ray as the driver uses: each task has ended at once, as the script of its cell says."""

    def __init__(self, script: dict[str, list[Any]]) -> None:
        self.script, self.given, self.mail = script, list[str](), list[Any]()
        kinds = {name: type(name, (self.RayError,), {}) for name in LOST}
        self.exceptions = SimpleNamespace(RayError=self.RayError, **kinds)
        self.begun = FakeTask("stop", set[str]())  # what the mailbox says when it is told to stop
        self.cancelled = list[str]()

    class RayError(Exception):
        """The class of all of Ray's errors."""

    def remote(self, what: Any) -> Any:
        def begin(job: Any, *_: Any) -> FakeTask:
            self.given.append(job.key)
            self.mail += [(job.key, "start", {}), (job.key, "progress", {"done": 1, "of": 2}), (job.key, "done", {})]
            return FakeTask(job.key, self.script[job.key].pop(0))

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=begin))

    def put(self, value: Any) -> Any:
        return value

    def wait(self, tasks: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        return tasks[:1], tasks[1:]

    def get(self, task: FakeTask, timeout: float | None = None) -> Any:
        if isinstance(task.end, Exception):
            raise task.end
        return task.end

    def nodes(self) -> list[dict[str, Any]]:
        return [ONE_CORE]

    def cancel(self, task: FakeTask, force: bool = False) -> None:
        self.cancelled.append(task.key)

    def kill(self, actor: Any) -> None:
        pass


@pytest.fixture
def seen() -> list[tuple[str, str]]:
    return []


@pytest.fixture(autouse=True)
def no_mailbox(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(run: Any) -> list[Any]:
        mail, run._ray.mail = run._ray.mail, []
        return mail

    def mailbox(run: Any) -> Any:
        return SimpleNamespace(stop=SimpleNamespace(remote=lambda: run._ray.begun))

    monkeypatch.setattr(cluster_run._ClusterRun, "_actor", mailbox)
    monkeypatch.setattr(cluster_run._ClusterRun, "_taken", taken)


def run(jobs: list[Any], ray: FakeRay, seen: list[tuple[str, str]], most: int = 1) -> None:
    """Run jobs on a fake cluster."""
    expected, needs = Expected("home", "token", "", (), "", ()), {job.key: Needs(1.0, 0.0, 0) for job in jobs}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "ray", ray)
        on_event = lambda job, kind, values: seen.append((job.key, kind))  # noqa: E731
        with cluster_run._ClusterRun(jobs, needs, most, expected, on_event) as made:
            made.run()


def test_cells_begin_in_order_and_their_events_come_before_their_end(seen: list[tuple[str, str]]) -> None:
    ray = FakeRay({key: [Ended("done")] for key in "abc"})
    run([needing("c", "a", "b"), needing("a"), needing("b")], ray, seen)
    assert ray.given == ["a", "b", "c"]
    assert seen == [(key, kind) for key in "abc" for kind in ("start", "progress", "done")]


@pytest.mark.parametrize("kind", LOST)
def test_a_lost_cell_is_given_out_again_before_the_others(kind: str, seen: list[tuple[str, str]]) -> None:
    ray = FakeRay({"a": [], "b": [Ended("done")]})
    ray.script["a"] = [getattr(ray.exceptions, kind)("gone"), Ended("stopped"), Ended("done")]
    run([fake(key="a"), fake(key="b")], ray, seen)
    assert ray.given == ["a", "a", "a", "b"]
    assert [kind for key, kind in seen if key == "a" and kind in ("note", "done")] == ["note", "note", "done"]


def test_a_cell_that_is_lost_again_and_again_ends_the_run(seen: list[tuple[str, str]]) -> None:
    ray = FakeRay({})
    ray.script["a"] = [ray.exceptions.OutOfMemoryError("gone") for _ in range(9)]
    with pytest.raises(UserError, match=r"fake was lost 4 times .*ran out of memory.*executor.memory_gb"):
        run([fake(key="a")], ray, seen)
    assert ray.given == ["a"] * 4


@pytest.fixture(params=["error", "unfit", "ray"])
def trouble(request: pytest.FixtureRequest) -> Iterator[tuple[Any, type[UserError], str]]:
    """How a task ends, and what the run ends with: what no cell has caused ends a search, not a trial of it."""
    yield {
        "error": (Ended("error", UserError("lower train.lr")), UserError, "lower train.lr"),
        "unfit": (Ended("unfit", "has another foldline"), TryAgain, "a node that joined later has another foldline"),
        "ray": (FakeRay.RayError("no\nway"), TryAgain, "Ray could not run fake: no way"),
    }[request.param]


def test_what_ends_a_run_takes_back_what_has_not_begun(
    trouble: tuple[Any, type[UserError], str], seen: list[tuple[str, str]]
) -> None:
    how, kind, message = trouble
    ray = FakeRay({"a": [how], "b": [Ended("done")]})
    with pytest.raises(kind, match=message):
        run([fake(key="a"), fake(key="b")], ray, seen, most=2)
    assert ray.given == ["a", "b"] and ("a", "done") not in seen
    assert ray.cancelled == ["b"]


def test_what_has_begun_or_may_have_is_never_taken_back(seen: list[tuple[str, str]]) -> None:
    """A cell that is taken back saves nothing. Where the mailbox is being started again nobody knows who has begun."""
    for said, taken_back in (({"b"}, ["c"]), (FakeRay.RayError("being started again"), [])):
        ray = FakeRay({"a": [Ended("error", UserError("no"))], "b": [Ended("stopped")], "c": [Ended("stopped")]})
        ray.begun = FakeTask("stop", said)
        with pytest.raises(UserError, match="no"):
            run([fake(key=key) for key in "abc"], ray, seen, most=3)
        assert ray.cancelled == taken_back


def test_a_cluster_that_has_lost_its_nodes_is_waited_for_and_then_given_up(
    seen: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ray, now = FakeRay({"a": [Ended("done")]}), [0.0]

    def wait(tasks: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        now[0] += 30.0
        return [], tasks

    monkeypatch.setattr(ray, "wait", wait)
    monkeypatch.setattr(ray, "nodes", lambda: [{**ONE_CORE, "Alive": now[0] < 100.0}])
    monkeypatch.setattr(cluster_run.time, "monotonic", lambda: now[0])
    with pytest.raises(TryAgain, match="No node is left"):
        run([fake(key="a")], ray, seen)
    assert now[0] > 90.0 + cluster_run.NO_NODE_S
