"""Run a job's pairs: both versions in turn, the first of a pair being now one, now the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.versions import checkouts, process_costs
from benchmarks.versions.checkouts import Side
from benchmarks.versions.jobs import Command, Job, Run

FAILED = "failed"


@dataclass
class Compared:
    """The runs of a job, pair by pair."""

    name: str
    title: str
    at_most: str
    measure: str  # of Run
    runs: dict[str, list[Run]] = field(default_factory=dict)  # "now", "before", "pandas" -> one a pair
    remark: str = ""


def compare(name: str, job: Job, pairs: int, say: Callable[[str], None]) -> Compared:
    """Run all pairs.

    Raises:
        RuntimeError: a command failed; with its last lines.
    """
    sides = [job.bench.before, job.bench.now]
    found = Compared(name, job.title, job.at_most, job.measure)
    for side in sides:
        say(f"{name}: preparing {side.name}")
        job.prepare(side)
    for number in range(pairs):
        for side in sides if number % 2 == 0 else sides[::-1]:
            job.before(side)
            found.runs.setdefault(side.name, []).append(_run(job, job.command(side)))
        if (rival := job.rival()) is not None:
            found.runs.setdefault("pandas", []).append(_run(job, rival))
        told = ", ".join(f"{name} {getattr(runs[-1], job.measure):.2f} s" for name, runs in found.runs.items())
        say(f"{name}: pair {number + 1} of {pairs}: {told}")
    found.remark = job.check()
    return found


def _run(job: Job, command: Command) -> Run:
    cost = process_costs.run(command.words, command.folder, checkouts.environment() | command.variables)
    if cost.code not in job.codes:
        checkouts.succeeded(cost, command.words)
    return job.run_of(cost)


def name_of(side: Side) -> str:
    """Return a side with its commit, shortened."""
    return f"{side.name} ({side.commit[:7]})"
