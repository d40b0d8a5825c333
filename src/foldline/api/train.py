"""`train`: from the competition's files to a checked submission, step by step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from foldline.api import asked, train_targets
from foldline.api.asked import ConfigLike
from foldline.api.results import Outcome, Run
from foldline.api.session import session
from foldline.api.trained import Trained, timed
from foldline.core.console import Terminal
from foldline.data import loading
from foldline.experiment import config as configs
from foldline.experiment import plan_summary, preparation, stored_experiment
from foldline.experiment.config import Config, SeveralTargets
from foldline.experiment.preparation import PreparedExperiment
from foldline.output import submission
from foldline.run.cells import Job


def train(
    config: ConfigLike = "quickstart",
    *,
    force: bool = False,
    home: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **tables: Any,
) -> Run:
    """Train what is not trained yet, blend, post-process, and write a submission that passes the gate.

    Args:
        config: a path, a name in configs/, or tables with a name, as a config file has them.
        force: train finished cells again.
        home: the folder with runs/, submissions/, folds/ and configs/; None: as the command line finds it.
        quiet: print nothing.
        tables: keys to change: train={"epochs": 5} is train.epochs=5 on the command line.

    Raises:
        foldline.Error: a mistake in config or data, before anything is trained; a submission that the gate refuses.
        KeyboardInterrupt: finished cells and checkpoints are kept; the same call goes on.
    """
    with session("train", home, quiet) as notes:
        texts = asked.overrides(tables)
        with asked.as_file(config) as path:
            chosen = configs.load_any(path, texts)
        planned = plan(chosen, asked.command("train", [config], texts), notes, force=force)
        return planned.carry_out(notes).run(notes.warnings)


class Plan(Protocol):
    """What is left to do for a config, all of it checked."""

    @property
    def parts(self) -> Sequence[tuple[PreparedExperiment, list[Job]]]:
        """Return the experiments, one a target, each with its jobs."""
        ...

    def carry_out(self, terminal: Terminal) -> Outcome:
        """Train, blend, record, report, and write the submission.

        Raises:
            Finding: the gate refuses it; all else is done.
        """
        ...


def plan(
    config: Config | SeveralTargets, command: str, terminal: Terminal, dry: bool = False, force: bool = False
) -> Plan:
    """Read the data, check everything, and say what is about to be done.

    Args:
        command: that makes the same result, for the record.
        dry: write no fold file.
        force: train finished cells again.
    """
    if isinstance(config, SeveralTargets):
        return train_targets.plan(config, command, terminal, dry, force)
    configs.refuse_partial(config, "train")
    seconds: dict[str, float] = {}
    with timed(seconds, "data, features, plan"):
        with terminal.bar("reading", "MB") as update:
            competition = loading.load(config.data, update)
        submission.rehearse(competition.test)
        prepared = preparation.prepare(config, terminal, dry, competition)
    plan_summary.print_summary(prepared, terminal)
    return PlanOfOne(prepared, prepared.jobs(force), seconds, command)


@dataclass(frozen=True)
class PlanOfOne:
    """The plan for one target."""

    prepared: PreparedExperiment
    jobs: list[Job]
    seconds: dict[str, float]  # how long each step took so far; steps are added
    command: str

    @property
    def parts(self) -> Sequence[tuple[PreparedExperiment, list[Job]]]:
        """Return the experiment with its jobs."""
        return [(self.prepared, self.jobs)]

    def carry_out(self, terminal: Terminal) -> Outcome:
        """Train, blend, record, report, and write the submission; see `Plan`."""
        each = self.prepared
        folder = stored_experiment.folder_of(each.config, each.plan, each.test.fingerprint, each.outside_members)
        trained = Trained.of(each, self.jobs, folder, self.command, self.seconds, terminal)
        trained.show(terminal)
        score = trained.result.score
        origin = stored_experiment.origin(each.config, each.plan, folder, each.test.fingerprint, score)
        published = submission.publish(
            origin, submission.draft_of(folder, "submission", each.config.data), trained.submission(), trained.gate
        )
        trained.track_summary(published.path, terminal)
        return Outcome(
            name=each.config.name,
            folder=folder,
            page=trained.page,
            published=published,
            parts={"": trained.report},
            joined=None,
            answer={"submission": str(published.path), "experiment": folder.name, **trained.to_json()},
        )
