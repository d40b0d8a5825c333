"""The competition's own metric file on all targets at once: data.metric = "metric.py" beside [[target]] tables.

It scores what is submitted. Each target is still trained, blended and decided on by its own metric, because the file
says of no target what is good for it alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from foldline.core.errors import UserError, shortened
from foldline.data import assemble, source_folder
from foldline.data.loading import Competition
from foldline.data.metrics import FileChoice, Interval, KaggleFile, bootstrap, chosen_file, kaggle_file
from foldline.data.metrics.options import Answers
from foldline.data.metrics.resampling import Draw
from foldline.data.roles import DataConfig
from foldline.data.store import Store
from foldline.data.submission_addresses import Addresses
from foldline.experiment import chance
from foldline.experiment.config import SeveralTargets
from foldline.experiment.target_tables import WholeChoice


@dataclass(frozen=True)
class TargetColumns:
    """A target's columns of solution and submission."""

    choice: FileChoice
    answers: Answers
    truth: np.ndarray  # (A, K)

    @staticmethod
    def of(whole: WholeChoice, competition: Competition, store: Store) -> TargetColumns:
        """Find the columns that a submission has for a target.

        Raises:
            UserError: it has rows of its own there, or columns that differ from answer to answer.
        """
        table, sample, task = competition.test, competition.sample, competition.train.task
        addresses = Addresses.of(table, None if sample is None else sample.columns)
        names = [name for name in addresses.columns if isinstance(name, str)]
        if len(names) < len(addresses.columns) or table.data.templates[0].names_target:
            raise UserError(
                f"data.metric = {whole.metric!r} is given the columns of all targets side by side, but "
                f"{shortened(list(task.columns))} has rows, or columns a step, of its own in the submission: leave the "
                "metric file out, and name metrics in [[target]]."
            )
        choice = FileChoice(
            path=whole.metric,
            higher_is_better=whole.higher_is_better,
            arguments="{}",  # of score, which the file itself is loaded with
            row_id=table.data.id,
            columns=tuple(names),
            labels=task.classes if addresses.labels else (),
            decided=addresses.labels,
            solution="",
        )
        return TargetColumns(choice, Answers(task.data.kind, len(task.classes)), np.asarray(store.y))

    def frame(self, values: np.ndarray, true: bool) -> dict[str, np.ndarray]:
        """Return the columns of some answers, as the files have them. values: (a, K)."""
        made = chosen_file.columns(self.choice, self.answers, values, true)
        return {name: made[:, place] for place, name in enumerate(self.choice.columns)}


@dataclass(frozen=True)
class WholeMetric:
    """A metric file with the truth of the answers that all targets count. a of the table's A answers."""

    file: KaggleFile
    row_id: str
    targets: list[TargetColumns]
    order: list[str]  # of all columns, as the sample has them
    answers: np.ndarray  # (a,) int64
    extra: pl.DataFrame  # (a, the id and data.metric_columns): a frame without columns has no rows
    units: np.ndarray  # (a,) int64, what is drawn for intervals

    @staticmethod
    def of(several: SeveralTargets, competitions: Sequence[Competition], stores: Sequence[Store]) -> WholeMetric | None:
        """Load the file of a config; None where it has none. competitions, stores: of each target.

        Raises:
            UserError: it can't be loaded, or a column that it wants has no role.
        """
        whole, table, store = several.metric, competitions[0].train, stores[0]
        if whole is None:
            return None
        answers = np.flatnonzero(np.logical_and.reduce([each.scored for each in stores]))
        lacking = [name for name in whole.columns if name not in table.answers.columns]
        if lacking:
            raise UserError(
                f"data.metric_columns beside [[target]] must have a role in [data], but {lacking[0]!r} has none: name "
                "it in static or inputs, or as group or weight."
            )
        targets = [TargetColumns.of(whole, *each) for each in zip(competitions, stores, strict=True)]
        series = store.series_of_answer[answers]
        return WholeMetric(
            file=whole.loaded(),
            row_id=table.data.id,
            targets=targets,
            order=_order(competitions[0].data, [name for each in targets for name in each.choice.columns]),
            answers=answers,
            extra=table.answers.select(*dict.fromkeys([table.data.id, *whole.columns]))[answers],
            units=series if store.held_together is None else store.held_together[series],
        )

    def score(self, values: Sequence[np.ndarray], rows: np.ndarray | None = None) -> float:
        """Score predictions of the training table. values: (A, K) of each target; rows: (r,) of the a; None: all.

        Raises:
            NotScorable: the file raises, or returns no finite number.
        """
        rows = np.arange(len(self.answers)) if rows is None else rows
        chosen, made = self.answers[rows], []
        for true, each in ((True, [target.truth for target in self.targets]), (False, values)):
            columns: dict[str, np.ndarray] = {}
            for target, own in zip(self.targets, each, strict=True):
                columns |= target.frame(own[chosen], true)
            ordered = {name: columns[name] for name in self.order}
            made.append(pl.DataFrame({self.row_id: np.arange(len(rows)), **ordered}))
        more = self.extra[rows].select(pl.exclude(self.row_id, *made[1].columns))
        return self.file.score(pl.concat([made[0], more], how="horizontal"), made[1], self.row_id)

    def interval(self, values: Sequence[np.ndarray]) -> Interval:
        """Return the 95 % interval of the score, whole series or groups drawn. values: as of `score`."""

        def score(draw: Draw) -> float:
            return self.score(values, draw.rows)

        return bootstrap(score, self.units, effort=self.effort)

    @cached_property
    def effort(self) -> int:
        """How long a score takes, as a number of answers."""
        return kaggle_file.effort(len(self.answers))

    def check(self) -> None:
        """Run the file's own examples, and score the answers against themselves, shuffled, before any training.

        Raises:
            UserError: an example fails; the file raises, or returns no number.
        """
        self.file.check_doctests()
        guesses = []
        for target in self.targets:
            guess = np.array(target.truth)
            guess[self.answers] = chance.shuffled(target.truth[self.answers], halfway=True)
            guesses.append(guess)
        self.score(guesses)


def _order(data: DataConfig, names: list[str]) -> list[str]:
    """Bring the columns into the order of the sample, if there is one: a file may count on it."""
    source = assemble.sample_of(data, source_folder.of(data))
    return names if source is None else [name for name in source.columns() if name in names]
