"""`train` of several targets: each target's experiment, then one submission and the mean of the scores."""

from __future__ import annotations

from pathlib import Path

from foldline.cli.dry_run import Estimate
from foldline.cli.trained import Trained, timed
from foldline.core.console import Terminal
from foldline.experiment import preparation, several_targets
from foldline.experiment.config import SeveralTargets
from foldline.experiment.preparation import PreparedExperiment, short_path
from foldline.experiment.several_targets import JoinedResult
from foldline.output import joined_submission, targets_page
from foldline.output.report import Provenance


def run(several: SeveralTargets, dry: bool, force: bool, command: str, terminal: Terminal) -> int:
    """Prepare and check all targets, then train, blend, decide and record each; join, gate, record, report."""
    names = [part.name for part in several.parts]
    seconds: list[dict[str, float]] = [{} for _ in names]
    prepared = []
    for part, own in zip(several.parts, seconds, strict=True):
        with timed(own, "data, features, plan"):
            prepared.append(preparation.prepare(part.config, terminal, dry))
    samples = {
        name: (each.competition.test, each.competition.sample) for name, each in zip(names, prepared, strict=True)
    }
    joined_submission.check(samples)
    for each in prepared:
        preparation.print_summary(each, terminal)
    planned = [(each, each.jobs(force)) for each in prepared]
    if dry:
        Estimate.of(planned, terminal).show(terminal)
        return 0
    folder = several_targets.folder_of(several, prepared)
    trained = {}
    for name, (each, stages), own in zip(names, planned, seconds, strict=True):
        trained[name] = Trained.of(each, stages, folder / name, command, own, terminal, latest=False)
        trained[name].show(terminal)
    return _conclude(several, folder, trained, command, terminal)


def _conclude(
    several: SeveralTargets, folder: Path, trained: dict[str, Trained], command: str, terminal: Terminal
) -> int:
    """Record and show all targets together, and make their submission. trained: by the target's name."""
    joined = JoinedResult(several, [each.result for each in trained.values()])
    several_targets.write(folder, joined)
    page = targets_page.write(folder, joined, Provenance.here(command))
    terminal.table("", *joined.table())
    terminal.say(f"report: {short_path(page)}")
    path = _publish(folder, trained)
    for each in trained.values():
        each.track_summary(path, terminal)
    answer = {
        "submission": str(path),
        "report": str(page),
        "score": joined.score,
        "baseline": joined.baseline,
        "lost_to_baseline": joined.lost,
        "experiment": folder.name,
        "targets": {name: each.to_json() for name, each in trained.items()},
    }
    terminal.result(answer, f"submission: {short_path(path)}")
    return 0


def _publish(folder: Path, trained: dict[str, Trained]) -> Path:
    """Check each target's part at the gate, and publish the submission of all."""
    parts = {}
    for name, each in trained.items():
        competition, config = each.prepared.competition, each.prepared.config
        parts[name] = joined_submission.Part(
            *(each.draft, competition.test, competition.sample, each.submission()),
            *(each.result.expected, config.post.check_range),
        )
    first: PreparedExperiment = next(iter(trained.values())).prepared
    stored = several_targets.read_folder(folder)
    assert isinstance(stored, several_targets.StoredTargets), "it was written as one of several"
    origin = stored.origin(first.test.fingerprint)
    return joined_submission.publish(folder / "submission.csv", parts, origin, stored.metric)[0]
