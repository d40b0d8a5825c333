"""Several configs (and members from outside) as one experiment: the same data, the same folds, all their models.

[data], [post], [blend] and [executor] are the first config's; the name is all names joined by +.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from foldline.core.console import Terminal
from foldline.core.errors import UserError, shortened
from foldline.data import competition_file
from foldline.data.folds import Folds
from foldline.data.loading import Competition
from foldline.data.metrics import metric
from foldline.data.store import Store
from foldline.ensemble import applicability, members, outside_members
from foldline.ensemble.members import Member
from foldline.experiment import preparation, stored_experiment
from foldline.experiment.config import Config, without_outside_members
from foldline.experiment.config_plans import ConfigPlan
from foldline.experiment.preparation import PreparedExperiment
from foldline.run.cells import Cell


@dataclass(frozen=True)
class MultiConfigExperiment:
    """Several prepared configs and members from outside, to be blended."""

    config: Config  # the experiment's
    prepared: list[PreparedExperiment]  # one a config
    outside_members: list[Member]

    @property
    def competition(self) -> Competition:
        """Return the first config's tables."""
        return self.prepared[0].competition

    @property
    def train(self) -> Store:
        """Return the training series. Features are the first config's; all else is the same in all configs."""
        return self.prepared[0].train

    @property
    def test(self) -> Store:
        """Return the test series, with the first config's features."""
        return self.prepared[0].test

    @property
    def folds(self) -> Folds:
        """Return the folds, the same in all configs."""
        return self.prepared[0].folds

    @property
    def config_plans(self) -> list[ConfigPlan]:
        """Return each config with its cells."""
        prefixes = _prefixes([each.config.name for each in self.prepared])
        return [
            ConfigPlan(each.config, each.plan, prefix) for each, prefix in zip(self.prepared, prefixes, strict=True)
        ]

    @property
    def plan(self) -> list[Cell]:
        """Return all cells."""
        return [cell for one in self.config_plans for cell in one.plan]

    @property
    def members(self) -> list[Member]:
        """Return all members, each once."""
        own = [member for one in self.config_plans for member in one.members]
        return [*members.without_duplicates(own), *self.outside_members]

    @property
    def folder(self) -> Path:
        """Return where the experiment is recorded."""
        return stored_experiment.folder_of(self.config, self.plan, self.test.fingerprint, self.outside_members)

    def store_of(self, member: Member) -> Store:
        """Return the test series with the features that the member's cells use."""
        keys = {cell.key for cell in member.cells}
        return next((each.test for each in self.prepared if keys & {cell.key for cell in each.plan}), self.test)


def prepare(
    configs: Sequence[Config], outside_options: Sequence[str], terminal: Terminal, dry: bool
) -> MultiConfigExperiment:
    """Prepare all configs, read what comes from outside, and refuse what can't be blended.

    Args:
        outside_options: members from outside besides those of [blend], as NAME=OOF_FILE,TEST_FILE[,FOLD_COLUMN].
        dry: do not write a fold file.

    Raises:
        UserError: other data or folds, names that are taken, one member only, and whatever is wrong with a file.
    """
    _refuse_other_code(configs)
    first = configs[0]
    added = tuple(outside_members.parse(text, "--outside") for text in outside_options)
    table = replace(first.blend, method=first.blend.method or "auto")
    try:
        table = replace(table, outside=table.outside + added)
    except ValueError as error:
        raise UserError(f"--outside: {error}.") from error
    config = replace(first, name="+".join(dict.fromkeys(each.name for each in configs)), blend=table)
    # members from outside are read once, below: those of the other configs' [blend] are not blended
    prepared = _prepared([without_outside_members(each) for each in configs], terminal, dry)
    one = prepared[0]
    from_outside = outside_members.load_all(table.outside, one.competition, one.folds, terminal)
    applicability.check(table, metric(*one.train.metric_choice(config.data)), one.train.task.kind, one.train.targets)
    experiment = MultiConfigExperiment(config, prepared, from_outside)
    members.refuse_same_names(experiment.members)
    _refuse_one(experiment)
    return experiment


def _prepared(configs: Sequence[Config], terminal: Terminal, dry: bool) -> list[PreparedExperiment]:
    """Prepare each config; configs of the same [data] share the tables of the first."""
    first = preparation.prepare(configs[0], terminal, dry)
    found = [first]
    for config in configs[1:]:
        shared = first.competition if config.data == first.config.data else None
        found.append(preparation.prepare(config, terminal, dry, shared))
        _refuse_different(first, found[-1])
    return found


def _prefixes(names: Sequence[str]) -> list[str]:
    """Make the prefix of each config's labels: none where there is one config."""
    if len(names) == 1:
        return [""]
    times = [names[:place].count(name) for place, name in enumerate(names)]  # two files in two folders may share a name
    return [f"{name}:" if not again else f"{name}-{again + 1}:" for name, again in zip(names, times, strict=True)]


def _refuse_one(experiment: MultiConfigExperiment) -> None:
    if len(experiment.members) < 2:
        raise UserError(
            f"A blend needs two members at least, but {experiment.config.name} has {experiment.members[0].label} only. "
            "Give it another [[model]], name a second config, or add --outside NAME=OOF_FILE,TEST_FILE."
        )


def _refuse_different(one: PreparedExperiment, other: PreparedExperiment) -> None:
    """Refuse configs of other rows or folds: only predictions of the same rows by the same folds can be blended."""
    names = f"{one.config.name} and {other.config.name}"
    what = "Blend configs of the same data and the same [folds] only."
    first, second = one.config.data, other.config.data
    for role in ("id", "key", "order", "target", "kind", "level", "scored", "observed", "known", "metric"):
        if getattr(first, role) != getattr(second, role):
            raise UserError(
                f"{names} differ: data.{role} is {getattr(first, role)!r} in one and "
                f"{getattr(second, role)!r} in the other. {what}"
            )
    for name, here, there in (
        ("train", one.competition.train, other.competition.train),
        ("test", one.competition.test, other.competition.test),
    ):
        same = here.frame[first.id].equals(there.frame[first.id]) and here.keys.equals(there.keys)
        columns = [*first.target, first.order] if name == "train" else [first.order]
        if not same or not here.frame.select(columns).equals(there.frame.select(columns)):
            raise UserError(f"{names} have different {name} data ({here.path} and {there.path}). {what}")
    _refuse_other_roles(one, other, f"{names} differ: ")
    if not np.array_equal(one.folds.assignment, other.folds.assignment):
        moved = int((one.folds.assignment != other.folds.assignment).sum())
        raise UserError(
            f"{names} have different folds: {moved} of {len(one.folds.assignment)} series lie in other ones in "
            f"{one.folds.path} than in {other.folds.path}. {what}"
        )
    if not _know_the_same(one.folds, other.folds):
        raise UserError(
            f"{names} have different time folds: their gaps differ, so that a blend would be fitted for one on what "
            f"the other may not know. Give both the same folds.by and folds.gap. {what}"
        )


def _refuse_other_code(configs: Sequence[Config]) -> None:
    """Refuse configs with a competition.py each: their record has one copy, by which it predicts."""
    found = [each for each in (competition_file.of(config.data.code_path) for config in configs) if each is not None]
    for other in found[1:]:
        if (other.path.name, other.text) != (found[0].path.name, found[0].text):
            raise UserError(
                f"Configs that are blended share their data.code, but {found[0].path} and {other.path} are two files: "
                "put all functions into one, and name that in both."
            )


def _refuse_other_roles(one: PreparedExperiment, other: PreparedExperiment, differ: str) -> None:
    """Refuse classes in another order, whose columns would be mixed up, and test rows that are read otherwise."""
    first, second = one.competition, other.competition
    if first.train.classes != second.train.classes:
        raise UserError(
            f"{differ}the classes are {shortened(list(map(str, first.train.classes)))} in one and "
            f"{shortened(list(map(str, second.train.classes)))} in the other, and an answer has a column for each, or "
            "is the probability of the last. Give both the same data.classes."
        )
    if first.test.fingerprint != second.test.fingerprint:  # `infer` reads a table once, by the first one's [data]
        raise UserError(
            f"{differ}test rows are read as {_listed(first)} by one and as {_listed(second)} by the other. Give both "
            "the same [data]: what a config's models see of it, its [features] say."
        )


def _listed(competition: Competition) -> str:
    return shortened(competition.test.frame.columns)


def _know_the_same(one: Folds, other: Folds) -> bool:
    """Whether the same series lie before the gap of each fold; how far back models look (the window) may differ."""
    if one.time is None or other.time is None:
        return one.time is other.time
    return np.array_equal(one.time.known_from, other.time.known_from)
