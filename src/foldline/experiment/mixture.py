"""Several configs (and members from outside) as one experiment: the same data, the same folds, all their models.

[data], [post], [blend] and [executor] are the first config's; the name is all names joined by +.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from foldline.blend import members, outside_members
from foldline.blend.members import Member
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data.folds import Folds
from foldline.data.loading import Competition
from foldline.data.store import Store
from foldline.experiment import preparation, recorded
from foldline.experiment.config import Config, without_outside_members
from foldline.experiment.preparation import Prepared
from foldline.experiment.recorded import Part
from foldline.run.cells import Cell


@dataclass(frozen=True)
class Mixture:
    """What is blended."""

    config: Config  # the experiment's
    prepared: list[Prepared]  # one a config
    others: list[Member]  # from outside

    @property
    def competition(self) -> Competition:
        return self.prepared[0].competition

    @property
    def train(self) -> Store:
        """Its features are the first config's; series, targets and what is scored are everyone's."""
        return self.prepared[0].train

    @property
    def test(self) -> Store:
        return self.prepared[0].test

    @property
    def folds(self) -> Folds:
        return self.prepared[0].folds

    @property
    def parts(self) -> list[Part]:
        """One a config."""
        prefixes = _prefixes([each.config.name for each in self.prepared])
        return [Part(each.config, each.plan, prefix) for each, prefix in zip(self.prepared, prefixes, strict=True)]

    @property
    def plan(self) -> list[Cell]:
        """All cells."""
        return [cell for part in self.parts for cell in part.plan]

    @property
    def members(self) -> list[Member]:
        """All members, without copies."""
        return [*members.once([member for part in self.parts for member in part.members]), *self.others]

    @property
    def folder(self) -> Path:
        """Where the experiment is recorded."""
        return recorded.folder_of(self.config, self.plan, self.test.fingerprint, self.others)

    def store_of(self, member: Member) -> Store:
        """The test series with the features that the member's cells know."""
        keys = {cell.key for cell in member.cells}
        return next((each.test for each in self.prepared if keys & {cell.key for cell in each.plan}), self.test)


def assemble(configs: Sequence[Config], asked: Sequence[str], terminal: Terminal, dry: bool) -> Mixture:
    """Prepare all configs, read what comes from outside, and refuse what can't be blended.

    Args:
        asked: members from outside besides those of [blend], as NAME=OOF_FILE,TEST_FILE[,FOLD_COLUMN].

    Raises:
        UserError: other data or folds, names that are taken, one member only, and whatever is wrong with a file.
    """
    first = configs[0]
    added = tuple(outside_members.parse(text, "--outside") for text in asked)
    table = replace(first.blend, method=first.blend.method or "auto")
    try:
        table = replace(table, outside=table.outside + added)
    except ValueError as error:
        raise UserError(f"--outside: {error}.") from error
    config = replace(first, name="+".join(dict.fromkeys(each.name for each in configs)), blend=table)
    prepared = _prepared([without_outside_members(each) for each in configs], terminal, dry)
    one = prepared[0]
    mixture = Mixture(config, prepared, outside_members.load_all(table.outside, one.competition, one.folds, terminal))
    members.refuse_same_names(mixture.members)
    _refuse_one(mixture)
    return mixture


def _prepared(configs: Sequence[Config], terminal: Terminal, dry: bool) -> list[Prepared]:
    """Each config, prepared; configs of the same [data] share the tables of the first."""
    first = preparation.prepare(configs[0], terminal, dry)
    found = [first]
    for config in configs[1:]:
        known = first.competition if config.data == first.config.data else None
        found.append(preparation.prepare(config, terminal, dry, known))
        _refuse_different(first, found[-1])
    return found


def _prefixes(names: Sequence[str]) -> list[str]:
    """What goes before the labels of each config's models: nothing where there is one config."""
    if len(names) == 1:
        return [""]
    times = [names[:place].count(name) for place, name in enumerate(names)]  # two files in two folders may share a name
    return [f"{name}:" if not again else f"{name}-{again + 1}:" for name, again in zip(names, times, strict=True)]


def _refuse_one(mixture: Mixture) -> None:
    if len(mixture.members) < 2:
        raise UserError(
            f"A blend needs two members at least, but {mixture.config.name} has {mixture.members[0].label} only. Give "
            "it another [[model]], name a second config, or add --outside NAME=OOF_FILE,TEST_FILE."
        )


def _refuse_different(one: Prepared, other: Prepared) -> None:
    """Only predictions of the same rows by the same folds can be weighed against each other."""
    names = f"{one.config.name} and {other.config.name}"
    what = "Blend configs of the same data and the same [folds] only."
    mine, yours = one.config.data, other.config.data
    for role in ("id", "key", "order", "target", "scored", "metric"):
        if getattr(mine, role) != getattr(yours, role):
            raise UserError(
                f"{names} don't ask for the same: data.{role} is {getattr(mine, role)!r} in one and "
                f"{getattr(yours, role)!r} in the other. {what}"
            )
    for name, here, there in (
        ("train", one.competition.train, other.competition.train),
        ("test", one.competition.test, other.competition.test),
    ):
        same = here.frame[mine.id].equals(there.frame[mine.id]) and here.keys.equals(there.keys)
        columns = [*mine.target, mine.order] if name == "train" else [mine.order]
        if not same or not here.frame.select(columns).equals(there.frame.select(columns)):
            raise UserError(f"{names} have different {name} data ({here.path} and {there.path}). {what}")
    if not np.array_equal(one.folds.assignment, other.folds.assignment):
        moved = int((one.folds.assignment != other.folds.assignment).sum())
        raise UserError(
            f"{names} have different folds: {moved} of {len(one.folds.assignment)} series lie in other ones in "
            f"{one.folds.path} than in {other.folds.path}. {what}"
        )
