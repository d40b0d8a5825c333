"""`train`: from the competition's files to a checked submission, step by step."""

from __future__ import annotations

from pathlib import Path

from foldline.cli import train_targets
from foldline.cli.dry_run import Estimate
from foldline.cli.main import Arguments
from foldline.cli.trained import Trained, timed
from foldline.core.console import Terminal
from foldline.data import loading
from foldline.experiment import config as configs
from foldline.experiment import preparation, stored_experiment
from foldline.experiment.config import SeveralTargets
from foldline.experiment.preparation import short_path
from foldline.output import submission


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Train what is not trained, blend, post-process, gate, record, report."""
    config = configs.load_any(Path(arguments.config), arguments.overrides)
    dry, force = "--dry-run" in arguments.flags, "--force" in arguments.flags
    if isinstance(config, SeveralTargets):
        return train_targets.run(config, dry, force, arguments.command_line, terminal)
    configs.refuse_partial(config, "train")
    seconds: dict[str, float] = {}
    with timed(seconds, "data, features, plan"):
        with terminal.bar("reading", "MB") as update:
            competition = loading.load(config.data, update)
        submission.rehearse(competition.test)
        prepared = preparation.prepare(config, terminal, dry, competition)
    preparation.print_summary(prepared, terminal)
    stages = prepared.jobs(force)
    if dry:
        Estimate.of([(prepared, stages)], terminal).show(terminal)
        return 0
    folder = stored_experiment.folder_of(config, prepared.plan, prepared.test.fingerprint, prepared.outside_members)
    trained = Trained.of(prepared, stages, folder, arguments.command_line, seconds, terminal)
    trained.show(terminal)
    path = _publish(trained)
    trained.track_summary(path, terminal)
    answer = {"submission": str(path), "experiment": folder.name, **trained.to_json()}
    terminal.result(answer, f"submission: {short_path(path)}")
    return 0


def _publish(trained: Trained) -> Path:
    """Write the submission, check it at the gate, and return its path."""
    prepared, folder, score = trained.prepared, trained.folder, trained.result.score
    origin = stored_experiment.origin(prepared.config, prepared.plan, folder, prepared.test.fingerprint, score)
    return submission.publish(origin, folder / "submission.csv", trained.submission(), trained.gate)
