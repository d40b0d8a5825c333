"""`train` of several targets: each target's experiment, then one submission and the mean of the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foldline.api import joined
from foldline.api.results import Outcome
from foldline.api.trained import Trained, timed
from foldline.core.console import Terminal
from foldline.experiment import plan_summary, preparation, several_targets, stored_experiment
from foldline.experiment.config import SeveralTargets
from foldline.experiment.preparation import PreparedExperiment
from foldline.run.cells import Job


def plan(several: SeveralTargets, command: str, terminal: Terminal, dry: bool, force: bool) -> PlanOfTargets:
    """Prepare and check all targets; arguments are those of train.plan."""
    seconds: dict[str, dict[str, float]] = {part.name: {} for part in several.parts}
    prepared = {}
    for part in several.parts:
        with timed(seconds[part.name], "data, features, plan"):
            prepared[part.name] = preparation.prepare(part.config, terminal, dry)
    competitions = {name: each.competition for name, each in prepared.items()}
    joined.check(several, competitions, [each.train for each in prepared.values()])
    for each in prepared.values():
        plan_summary.print_summary(each, terminal)
    jobs = {name: each.jobs(force) for name, each in prepared.items()}
    return PlanOfTargets(several, prepared, jobs, seconds, command)


@dataclass(frozen=True)
class PlanOfTargets:
    """The plan for several targets; all by the target's name."""

    several: SeveralTargets
    prepared: Mapping[str, PreparedExperiment]
    jobs: Mapping[str, list[Job]]
    seconds: Mapping[str, dict[str, float]]  # how long each step took so far; steps are added
    command: str

    @property
    def parts(self) -> Sequence[tuple[PreparedExperiment, list[Job]]]:
        """Return the targets' experiments, each with its jobs."""
        return [(self.prepared[name], self.jobs[name]) for name in self.prepared]

    def carry_out(self, terminal: Terminal) -> Outcome:
        """Train, blend, decide and record each target; then join them."""
        alone = [
            stored_experiment.folder_of(each.config, each.plan, each.test.fingerprint, each.outside_members)
            for each in self.prepared.values()
        ]
        folder, trained = several_targets.folder_of(self.several, alone), {}
        for name, each in self.prepared.items():
            own = (self.jobs[name], folder / name, self.command, self.seconds[name], terminal)
            trained[name] = Trained.of(each, *own, latest=False)
            trained[name].show(terminal)
        return joined.conclude(self.several, folder, trained, self.command, terminal)
