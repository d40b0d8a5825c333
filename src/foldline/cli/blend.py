"""`blend`: compare all methods to blend the models of one or several configs, and submit the simplest good one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from foldline.cli import blend_targets
from foldline.cli.blended import Blended
from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.experiment import config as configs
from foldline.experiment import multi_config, preparation, stored_experiment
from foldline.experiment.config import Config
from foldline.experiment.preparation import short_path
from foldline.output import submission

OUTSIDE = "outside."  # prefix that --outside NAME=... has among the overrides


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Train what is not trained, weigh, compare, record, gate."""
    overrides = [text for text in arguments.overrides if not text.startswith(OUTSIDE)]
    outside = [text.removeprefix(OUTSIDE) for text in arguments.overrides if text.startswith(OUTSIDE)]
    dry, command = "--dry-run" in arguments.flags, arguments.command_line
    named = [configs.load_any(Path(word), overrides) for word in arguments.words or ["quickstart"]]
    chosen = [each for each in named if isinstance(each, Config)]
    if len(chosen) < len(named):
        return blend_targets.run(named, outside, dry, command, terminal)
    return _of_one_target(chosen, outside, dry, command, terminal)


def _of_one_target(
    chosen: Sequence[Config], outside: Sequence[str], dry: bool, command: str, terminal: Terminal
) -> int:
    for each in chosen:
        configs.refuse_partial(each, "blend")
    mixed = multi_config.prepare(chosen, outside, terminal, dry)
    submission.rehearse(mixed.competition.test)
    for prepared in mixed.prepared:
        preparation.print_summary(prepared, terminal)
    if dry:
        return blend_targets.dry_run([mixed], terminal)
    blended = Blended.of(mixed, mixed.folder, command, terminal)
    blended.show(terminal)
    path = _publish(blended)
    blended.write_report(terminal)
    blended.track_summary(path, terminal)
    answer = {"submission": str(path), "experiment": mixed.folder.name, **blended.to_json()}
    terminal.result(answer, f"submission: {short_path(path)}")
    return 0


def _publish(blended: Blended) -> Path:
    """Write the submission, check it at the gate, and return its path."""
    mixed, folder, score = blended.mixed, blended.folder, blended.result.score
    origin = stored_experiment.origin(mixed.config, mixed.plan, folder, mixed.test.fingerprint, score)
    return submission.publish(origin, folder / "submission.csv", blended.submission(), blended.gate)
