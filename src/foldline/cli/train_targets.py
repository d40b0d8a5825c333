"""`train` of several targets: each target's experiment, then one submission and the mean of the scores."""

from __future__ import annotations

from foldline.cli import joined
from foldline.cli.dry_run import Estimate
from foldline.cli.trained import Trained, timed
from foldline.core.console import Terminal
from foldline.experiment import preparation, several_targets, stored_experiment
from foldline.experiment.config import SeveralTargets


def run(several: SeveralTargets, dry: bool, force: bool, command: str, terminal: Terminal) -> int:
    """Prepare and check all targets; then train, blend, decide and record each; then join them.

    command: as it was typed.
    """
    seconds: dict[str, dict[str, float]] = {part.name: {} for part in several.parts}
    prepared = {}
    for part in several.parts:
        with timed(seconds[part.name], "data, features, plan"):
            prepared[part.name] = preparation.prepare(part.config, terminal, dry)
    competitions = {name: each.competition for name, each in prepared.items()}
    joined.check(several, competitions, [each.train for each in prepared.values()])
    for each in prepared.values():
        preparation.print_summary(each, terminal)
    stages = {name: each.jobs(force) for name, each in prepared.items()}
    if dry:
        Estimate.of([(prepared[name], stages[name]) for name in prepared], terminal).show(terminal)
        return 0
    alone = [
        stored_experiment.folder_of(each.config, each.plan, each.test.fingerprint, each.outside_members)
        for each in prepared.values()
    ]
    folder, trained = several_targets.folder_of(several, alone), {}
    for name, each in prepared.items():
        own = (stages[name], folder / name, command, seconds[name], terminal)
        trained[name] = Trained.of(each, *own, latest=False)
        trained[name].show(terminal)
    return joined.conclude(several, folder, trained, command, terminal)
