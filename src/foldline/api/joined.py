"""What `train` and `blend` do with several targets once each is made: one record, one page, one submission."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import polars as pl

from foldline.api.results import Outcome
from foldline.core.console import Terminal
from foldline.data.loading import Competition
from foldline.data.store import Store
from foldline.experiment import several_targets
from foldline.experiment.config import SeveralTargets
from foldline.experiment.runs_index import short_path
from foldline.experiment.several_targets import JoinedResult
from foldline.experiment.whole_metric import WholeMetric
from foldline.output import joined_submission, submission, targets_page
from foldline.output.report import Provenance, ReportData
from foldline.output.submission import Gate, Published


class Made(Protocol):
    """A target's experiment, recorded below the folder of all."""

    @property
    def report(self) -> ReportData:
        """Return its data and results."""
        ...

    @property
    def gate(self) -> Gate:
        """Return what its part of the submission is checked by."""
        ...

    def submission(self) -> pl.DataFrame:
        """Return its part of the submission."""
        ...

    def track_summary(self, path: Path, terminal: Terminal) -> None:
        """Send its summary to the tracker. path: of the submission."""

    def to_json(self) -> dict[str, object]:
        """Return what --json says of it."""
        ...


def conclude(
    several: SeveralTargets, folder: Path, made: Mapping[str, Made], command: str, terminal: Terminal
) -> Outcome:
    """Record and show all targets together, make their submission, and check it at the gate.

    Args:
        folder: of the record; each target's lies in it.
        made: by the target's name.
        command: as it was typed.
    """
    reports = [each.report for each in made.values()]
    whole = WholeMetric.of(several, [each.competition for each in reports], [each.train for each in reports])
    joined = JoinedResult(several, [each.result for each in reports], whole)
    several_targets.write(folder, joined)
    page = targets_page.write(folder, joined, Provenance.here(command))
    terminal.table("", *joined.table())
    terminal.say(f"report: {short_path(page)}")
    published = _publish(folder, made)
    for each in made.values():
        each.track_summary(published.path, terminal)
    answer = {
        "submission": str(published.path),
        "report": str(page),
        "score": joined.score,
        "baseline": joined.baseline,
        "lost_to_baseline": joined.lost,
        "experiment": folder.name,
        "targets": {name: each.to_json() for name, each in made.items()},
    }
    return Outcome(
        name=several.name,
        folder=folder,
        page=page,
        published=published,
        parts={name: each.report for name, each in made.items()},
        joined=joined,
        answer=answer,
    )


def check(several: SeveralTargets, competitions: Mapping[str, Competition], stores: Sequence[Store]) -> None:
    """Check, before any training, the sample and the metric file against all targets.

    Args:
        competitions: by the target's name.
        stores: of the training series, one a target.

    Raises:
        UserError: the sample asks for what no target predicts; the metric file does not score the targets.
    """
    joined_submission.check({name: (each.test, each.sample) for name, each in competitions.items()})
    whole = WholeMetric.of(several, list(competitions.values()), stores)
    if whole is not None:
        whole.check()


def _publish(folder: Path, made: Mapping[str, Made]) -> Published:
    test = next(iter(made.values())).gate.test
    draft = submission.draft_of(folder, "submission", test.data)
    parts = {
        name: joined_submission.Part(folder / name / draft.name, each.submission(), each.gate)
        for name, each in made.items()
    }
    stored = several_targets.read_folder(folder, to_predict=False)
    assert isinstance(stored, several_targets.StoredTargets), "it was written as one of several"
    return joined_submission.publish(draft, parts, stored.origin(test.fingerprint), stored.metric)
