"""`blend`: compare all methods to blend the models of one or several configs, and submit the simplest good one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import polars as pl

from foldline.api import asked, blend_targets
from foldline.api.asked import ConfigLike
from foldline.api.blended import Blended
from foldline.api.page import Page
from foldline.api.results import Outcome, Run
from foldline.api.session import session
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.experiment import config as configs
from foldline.experiment import multi_config, plan_summary, stored_experiment
from foldline.experiment.config import Config, SeveralTargets
from foldline.experiment.multi_config import MultiConfigExperiment
from foldline.output import submission


@dataclass(frozen=True, kw_only=True, repr=False)
class BlendRun(Run):
    """What `blend` returns. Of several targets the tables have a column `target`, and each has a page of its own."""

    methods: pl.DataFrame  # from simple to complex: method, score, behind, error, beaten
    members: pl.DataFrame  # label, score alone, weight, gain, its error, without: the blend's score without it
    comparisons: Mapping[str, Page]  # the page on methods and members, by target; of one target ""


def blend(
    *config: ConfigLike,
    outside: Mapping[str, str] | None = None,
    home: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **tables: Any,
) -> BlendRun:
    """Train what is not trained, weigh members by every method, and submit the blend of the simplest good one.

    Args:
        config: one or several, as `train` takes them; none: the quickstart.
        outside: members from outside: name -> "OOF_FILE,TEST_FILE", or with ",FOLD_COLUMN".
        home: the folder with runs/, submissions/, folds/ and configs/; None: as the command line finds it.
        quiet: print nothing.
        tables: keys to change in all configs: blend={"method": "ridge"}.

    Raises:
        foldline.Error: a mistake in config or data, one member only; a submission that the gate refuses.
        KeyboardInterrupt: finished cells and checkpoints are kept; the same call goes on.
    """
    given = config or ("quickstart",)
    with session("blend", home, quiet) as notes:
        options = _members(outside or {})
        texts = asked.overrides(tables)
        with ExitStack() as opened:
            paths = [opened.enter_context(asked.as_file(each)) for each in given]
            named = [configs.load_any(path, texts) for path in paths]
        words = [*texts, *(word for option in options for word in ("--outside", option))]
        planned = plan(named, options, asked.command("blend", given, words), notes)
        return _run(planned.carry_out(notes), notes.warnings)


def _members(outside: Mapping[str, str]) -> list[str]:
    """Write members from outside as the options of the command line."""
    if not isinstance(outside, Mapping) or not all(isinstance(each, str) for each in outside.values()):
        raise UserError(f'outside must be a table, {{"NAME": "OOF_FILE,TEST_FILE"}}, but is {outside!r}.')
    return [f"{name}={paths}" for name, paths in outside.items()]


class Plan(Protocol):
    """What is to be blended, all of it checked."""

    @property
    def parts(self) -> Sequence[MultiConfigExperiment]:
        """Return the experiments, one a target."""
        ...

    def carry_out(self, terminal: Terminal) -> Outcome:
        """Train, weigh, compare, record, and write the submission.

        Raises:
            Finding: the gate refuses it; all else is done.
        """
        ...


def plan(
    named: Sequence[Config | SeveralTargets],
    outside: Sequence[str],
    command: str,
    terminal: Terminal,
    dry: bool = False,
) -> Plan:
    """Read the data, check everything, and say what is about to be done.

    Args:
        named: the configs.
        outside: members from outside, NAME=OOF_FILE,TEST_FILE[,FOLD_COLUMN].
        command: that makes the same result, for the record.
        dry: write no fold file.
    """
    chosen = [each for each in named if isinstance(each, Config)]
    if len(chosen) < len(named):
        return blend_targets.plan(named, outside, command, terminal, dry)
    for each in chosen:
        configs.refuse_partial(each, "blend")
    mixed = multi_config.prepare(chosen, outside, terminal, dry)
    submission.rehearse(mixed.competition.test)
    for prepared in mixed.prepared:
        plan_summary.print_summary(prepared, terminal)
    return PlanOfOne(mixed, command)


@dataclass(frozen=True)
class PlanOfOne:
    """The plan for one target."""

    mixed: MultiConfigExperiment
    command: str

    @property
    def parts(self) -> Sequence[MultiConfigExperiment]:
        """Return the experiment."""
        return [self.mixed]

    def carry_out(self, terminal: Terminal) -> Outcome:
        """Train, weigh, compare, record, and write the submission; see `Plan`."""
        mixed, folder = self.mixed, self.mixed.folder
        blended = Blended.of(mixed, folder, self.command, terminal)
        blended.show(terminal)
        page = blended.write_report(terminal)
        score = blended.result.score
        origin = stored_experiment.origin(mixed.config, mixed.plan, folder, mixed.test.fingerprint, score)
        published = submission.publish(
            origin, submission.draft_of(folder, "submission", mixed.config.data), blended.submission(), blended.gate
        )
        blended.track_summary(published.path, terminal)
        return Outcome(
            name=mixed.config.name,
            folder=folder,
            page=page,
            published=published,
            parts={"": blended.report},
            joined=None,
            answer={"submission": str(published.path), "experiment": folder.name, **blended.to_json()},
        )


def _run(found: Outcome, warnings: tuple[str, ...]) -> BlendRun:
    of_targets = found.answer.get("targets")
    answers: Mapping[str, Any] = of_targets if isinstance(of_targets, dict) else {"": found.answer}
    return BlendRun(
        **vars(found.run(warnings)),
        methods=_table(answers, "methods"),
        members=_table(answers, "members"),
        comparisons=MappingProxyType({name: Page(Path(answer["page"])) for name, answer in answers.items()}),
    )


def _table(answers: Mapping[str, Any], kind: str) -> pl.DataFrame:
    """Put the rows of all targets below each other."""
    rows = [{"target": name, **row} if name else row for name, answer in answers.items() for row in answer[kind]]
    return pl.DataFrame(rows, infer_schema_length=None)
