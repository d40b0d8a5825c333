"""The driver of a run on a cluster: gives cells to workers, hands their events on, and gives lost cells out again."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from foldline.core import artefacts, interrupt
from foldline.core.errors import TryAgain, UserError, complain
from foldline.run.cells import Job
from foldline.run.executor_config import ExecutorConfig
from foldline.run.on_ray import nodes, parcels, session, worker
from foldline.run.on_ray.nodes import Needs
from foldline.run.process_executor import SAVING_S
from foldline.run.schedule import Schedule
from foldline.run.turns import OnEvent

LOOK_S = 0.2  # longest wait for a cell's end before events are handed on
MOST_LOST = 3  # times that a cell is lost with its worker or node and given out again
NODES_S = 5.0  # how often the nodes are looked at
NO_NODE_S = 120.0  # longest wait while no node is left that holds a waiting cell: a new one may come


def execute(jobs: Sequence[Job], config: ExecutorConfig, on_event: OnEvent) -> None:
    """Run jobs on a cluster; as executors.execute.

    Raises:
        TryAgain: a cluster is not there, or a node does not have what cells need. No cell has caused that.
        UserError: also where Ray is not installed, or a cell was lost with its worker again and again.
    """
    if config.data == "object-store":
        parcels.refuse_channels(jobs)
    wanted = nodes.expected(config.data == "shared", _metric_files(jobs))
    with session.opened(config), interrupt.deferred(signal.SIGTERM), wanted as expected:
        needs = {job.key: Needs.of(job, config) for job in jobs}
        nodes.refuse_unfit(expected, list(dict.fromkeys(needs.values())))
        with _ClusterRun(jobs, needs, config.workers, expected, on_event) as run:
            run.run()


def _metric_files(jobs: Sequence[Job]) -> tuple[str, ...]:
    """Name the files of the competition's own metric that cells read, each once."""
    chosen = (job.cell.metric.file for job in jobs if job.cell.metric is not None)
    paths = (path for file in chosen if file is not None for path in (file.path, file.solution) if path)
    return tuple(dict.fromkeys(paths))


class _ClusterRun:
    """Jobs of one run on a cluster that this process is part of; a context that leaves no cell running."""

    def __init__(
        self, jobs: Sequence[Job], needs: dict[str, Needs], most: int, expected: nodes.Expected, on_event: OnEvent
    ) -> None:
        import ray

        self._ray, self._needs, self._on_event = ray, needs, on_event
        self._most = most or len(jobs)  # Ray itself holds back what no node has room for
        self._schedule, self._by_key, self._left = Schedule(jobs), {job.key: job for job in jobs}, len(jobs)
        self._running: dict[Any, Job] = {}  # reference of a task -> its job
        self._again: list[Job] = []  # lost, to be given out before all others
        self._started: set[str] = set()  # begun, as far as is known here
        self._lost = Counter[str]()
        self._looked = self._fit = time.monotonic()  # when nodes were looked at; when one was last seen to hold a cell
        self._mailbox = self._actor()
        self._post = None if expected.token else parcels.Post()
        given = worker.Shared(self._mailbox, expected, artefacts.checked(), worker.blas_threads())
        self._shared = ray.put(given)
        self._task = ray.remote(worker.run_cell)

    def _actor(self) -> Any:
        """Start the mailbox, on this node: it ends with the run, and is started again where it is killed."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(self._ray.get_runtime_context().get_node_id(), soft=True)
        options = {"num_cpus": 0, "max_restarts": -1, "scheduling_strategy": here}
        return self._ray.remote(worker.Mailbox).options(**options).remote()

    def __enter__(self) -> _ClusterRun:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._running:
                self._stop()
        finally:
            for task in self._running:
                self._ray.cancel(task, force=True)
            self._ray.kill(self._mailbox)

    def run(self) -> None:
        """Run until all jobs are done."""
        while self._left:
            interrupt.stop_if_requested()
            self._give()
            ended, _ = self._ray.wait(list(self._running), timeout=LOOK_S)
            self._hear(self._taken())  # before a cell's end: its last events are there by then
            for task in ended:
                self._end(task)
            self._look_at_nodes()

    def _give(self) -> None:
        """Give out what may begin, as much as may run at once."""
        while len(self._running) < self._most:
            job = self._again.pop(0) if self._again else self._schedule.ready()
            if job is None:
                return
            need = self._needs[job.key]
            options: dict[str, Any] = {"num_cpus": need.cpus, "num_gpus": need.gpus, "name": job.cell.name}
            if need.memory:
                options["memory"] = need.memory
            sent = [] if self._post is None else self._post.parcels(job)
            # Ray's own retries would begin behind this run's back, and without an end.
            self._running[self._task.options(**options, max_retries=0).remote(job, self._shared, sent)] = job

    def _end(self, task: Any) -> None:
        """Take the end of a task: the cell is done, is lost, or ends the run."""
        job = self._running.pop(task)
        errors = self._ray.exceptions
        try:
            how, what, left = self._ray.get(task)
        except (
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.LocalRayletDiedError,
            errors.OutOfMemoryError,
            errors.ObjectLostError,
        ) as error:
            self._lose(job, _reason(error))
            return
        except errors.RayError as error:
            raise TryAgain(f"Ray could not run {job.cell.name}: {' '.join(str(error).split())}") from error
        parcels.receive(job.cell, left)
        if how == "error":
            raise what
        if how == "unfit":
            raise TryAgain(f"executor.kind = 'ray': a node that joined later {what}. Finished cells are kept.")
        if how == "stopped":
            self._lose(job, "its worker was told to end")
            return
        self._left -= 1
        self._schedule.done(job)
        self._emit(job, "done", {})

    def _lose(self, job: Job, why: str) -> None:
        """Give a cell out again that was lost with its worker.

        Raises:
            UserError: that has happened too often.
        """
        self._lost[job.key] += 1
        if self._lost[job.key] > MOST_LOST:
            raise UserError(
                f"{job.cell.name} was lost {self._lost[job.key]} times with its worker or node; the last time {why}. "
                "Often that is memory: executor.memory_gb says how much a cell needs. Finished cells are kept: run the "
                "same command again."
            )
        self._again.append(job)
        self._emit(job, "note", {"text": f"{why}; it goes on elsewhere, from its last checkpoint"})

    def _taken(self) -> list[worker.Event]:
        try:
            events: list[worker.Event] = self._ray.get(self._mailbox.take.remote())
        except self._ray.exceptions.RayError:  # killed, and being started again
            return []
        return events

    def _hear(self, events: Iterable[worker.Event]) -> None:
        for key, kind, values in events:
            if kind == worker.COMPLAINT:
                complain(values["text"])
            elif kind != "done":  # that is the task's result
                self._emit(self._by_key[key], kind, values)

    def _emit(self, job: Job, kind: str, values: dict[str, Any]) -> None:
        """Hand an event on. A cell's first one is its start, which may be lost with the mailbox."""
        if kind != "start" and job.key not in self._started:
            self._on_event(job, "start", {})
        self._started.add(job.key)
        self._on_event(job, kind, values)

    def _look_at_nodes(self) -> None:
        """Notice that no node is left for what waits or runs.

        Raises:
            TryAgain: none has been for a while.
        """
        now = time.monotonic()
        if now - self._looked < NODES_S:
            return
        self._looked = now
        alive = self._ray.nodes()
        if any(self._needs[job.key].held_by(node) for job in self._running.values() for node in alive):
            self._fit = now
        elif now - self._fit > NO_NODE_S:
            raise TryAgain(
                "No node is left in the cluster that could hold one of the cells that wait. Finished cells and "
                "checkpoints are kept: start nodes, and run the same command again."
            )

    def _stop(self) -> None:
        """Let running cells finish their step and save; those that have not begun are taken back."""
        begun = self._begun_before_the_word_to_stop()
        for task in list(self._running):
            if task.task_id().hex() not in begun:
                self._ray.cancel(task)
        until = time.monotonic() + SAVING_S
        while self._running and time.monotonic() < until:
            self._mailbox.stop.remote()  # again and again: one that was started again knows nothing
            ended, _ = self._ray.wait(list(self._running), timeout=LOOK_S)
            for text in (values["text"] for _, kind, values in self._taken() if kind == worker.COMPLAINT):
                complain(text)
            for task in ended:
                self._take_what_is_left(self._running.pop(task), task)

    def _begun_before_the_word_to_stop(self) -> set[str]:
        """Say it, and return the ids of tasks that may have something to save: what is taken back saves nothing."""
        try:
            begun: set[str] = self._ray.get(self._mailbox.stop.remote(), timeout=SAVING_S)
        except self._ray.exceptions.RayError:  # killed, and being started again: nobody knows
            return {task.task_id().hex() for task in self._running}
        return begun

    def _take_what_is_left(self, job: Job, task: Any) -> None:
        """Keep what a stopped cell has sent: its checkpoint."""
        with suppress(self._ray.exceptions.RayError):  # taken back, or lost: there is nothing
            parcels.receive(job.cell, self._ray.get(task).left)


def _reason(error: Exception) -> str:
    """Say in a clause how a cell was lost."""
    return {
        "WorkerCrashedError": "its worker was killed",
        "OutOfMemoryError": "its node ran out of memory, and Ray ended its worker",
    }.get(type(error).__name__, "its node was lost")
