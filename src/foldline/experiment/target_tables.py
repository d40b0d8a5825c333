"""[[target]]: several targets of several kinds. Each is an experiment of its own, whose config is made here.

    [[target]]                       [[target]]
    columns = ["pressure"]           columns = ["state"]
    metric = "mae"                   kind = "multiclass"
    share = 0.5                      metric = "f1"
                                     metric_options = {average = "macro"}
                                     share = 0.5

The score is the mean of the targets' scores, weighted by share. Nothing in such a mean can gain from looking at two
targets at once: its best blend, decisions and stopping epoch are each target's own. So a target's experiment is what it
would be alone, but for two things: its networks learn the other targets beside it (models/heads/joint.py), and it takes
its own columns and rows of the sample submission (data.partial).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foldline.core import strict_tables
from foldline.core.errors import UserError, unknown
from foldline.data.metrics import KaggleFile, from_file, metric
from foldline.data.metrics.default_losses import head_of
from foldline.data.metrics.options import Kind, MetricOptions
from foldline.data.roles import DataConfig
from foldline.models.heads import joint

NAME = re.compile(r"[A-Za-z0-9_-]+")
TABLE, ONLY = "target", "targets"  # the table; the key of a [[model]] that names its targets
MOVED = ("target", "kind", "classes", "metric", "metric_options", "target_transform", "answer", "column_template")
OF_FILES = ("higher_is_better", "metric_arguments", "metric_columns")  # keys of [data] that are a target's own as well
OWN_TABLES = ("post", "blend")


@dataclass(frozen=True, kw_only=True)
class TargetConfig:
    """[[target]]: one of several targets; a config with such tables has no target in [data]."""

    columns: tuple[str, ...]  # as data.target
    name: str = ""  # its folder in the record, and the end of CONFIG.NAME; empty: its first column
    share: float = 1.0  # weight of its score in the experiment's; they are divided by their sum
    beside: float = 0.2  # weight of its loss in networks of the other targets, beside theirs of 1; 0: not learned there
    kind: Kind = "regression"  # this and the next eight as in [data]
    classes: tuple[str, ...] = ()
    metric: str = ""
    metric_options: MetricOptions = field(default_factory=MetricOptions)
    target_transform: str = ""
    answer: str = ""
    column_template: str = ""
    higher_is_better: bool | None = None
    metric_arguments: dict[str, Any] = field(default_factory=dict)
    metric_columns: tuple[str, ...] = ()
    post: dict[str, Any] = field(default_factory=dict)  # what it changes of [post]
    blend: dict[str, Any] = field(default_factory=dict)  # what it changes of [blend]

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("columns must name at least one column")
        if not NAME.fullmatch(self.called):
            raise ValueError(f"name must be letters, digits, - and _ only, but is {self.called!r}: give another name")
        if not self.share > 0 or self.beside < 0:
            raise ValueError(f"share must be above 0 and beside not below, but are {self.share} and {self.beside}")

    @property
    def called(self) -> str:
        """Its name, given or not."""
        return self.name or self.columns[0]


@dataclass(frozen=True, kw_only=True)
class WholeChoice:
    """A metric file in [data] beside [[target]] tables: it scores all targets together."""

    metric: str  # its path
    higher_is_better: bool | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()  # of the training table

    def loaded(self) -> KaggleFile:
        """Load the file."""
        return from_file(Path(self.metric), higher_is_better=self.higher_is_better, arguments=self.arguments)


@dataclass(frozen=True)
class TargetTables:
    """A target, and the tables of its experiment's config."""

    target: TargetConfig
    share: float  # of all targets together 1
    tables: dict[str, Any]

    def head_beside(self, data: DataConfig) -> dict[str, Any]:
        """Return the entry of `beside` on this target in the others' networks: the head that its metric would have.

        data: of its resolved config. Its numbers are scaled there, so that no loss in their own unit will do.
        """
        chosen = head_of(metric(*data.metric_choice(0)), data.kind, own_unit=False)
        return {"target": data.target[0], "weight": self.target.beside, **chosen}


def with_beside(resolved: dict[str, Any], entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a resolved config's tables with heads on other targets in all networks that can have them.

    One that names its own `beside`, an empty one too, keeps it. entries: of `beside`.
    """
    return {**resolved, "model": [_learning(table, entries) for table in resolved["model"]]}


def expanded(tables: dict[str, Any], where: str) -> list[TargetTables]:
    """Make the tables of each target's config.

    Args:
        tables: of a config with [[target]].
        where: its file, for messages.

    Raises:
        UserError: a key that stands in the wrong table, or targets that do not go together.
    """
    for key in ("data", *OWN_TABLES):
        strict_tables.convert(dict[str, Any], tables.get(key, {}), f"{where}: {key}")
    if not isinstance(tables.get("model", []), list):
        raise UserError(f"{where}: model must be a list of tables: write [[model]], with two brackets.")
    raw = tables[TABLE]
    if not isinstance(raw, list) or not all(isinstance(each, dict) for each in raw) or len(raw) < 2:
        raise UserError(f"{where}: target must be a list of two tables or more: write [[target]], with two brackets.")
    chosen = [strict_tables.build(TargetConfig, each, f"{where}: target[{n}]") for n, each in enumerate(raw)]
    _check(chosen, tables, where)
    total, made = sum(each.share for each in chosen), []
    for number, (own, table) in enumerate(zip(chosen, raw, strict=True)):
        others = tuple(each for each in chosen if each is not own)
        single = _single(tables, table, others, own.called)
        if not single.get("model", True):
            raise UserError(f"{where}: no [[model]] is for target[{number}], {own.called!r}: see their {ONLY}.")
        made.append(TargetTables(own, own.share / total, single))
    return made


def whole_choice(tables: dict[str, Any], folders: Sequence[Path], where: str) -> WholeChoice | None:
    """Read the metric file of all targets, if [data] has one. folders: where it may lie.

    Raises:
        UserError: it is not there, or a key has another type.
    """
    data = tables.get("data", {})
    if not _has_file(data):
        return None
    found = [folder / data["metric"] for folder in folders if (folder / data["metric"]).is_file()]
    if not found:
        looked = " and ".join(str(folder.absolute()) for folder in folders)
        raise UserError(f"{where}: data.metric = {data['metric']!r} is not there; looked for in {looked}.")
    names = {"higher_is_better": "higher_is_better", "metric_arguments": "arguments", "metric_columns": "columns"}
    given = {name: data[key] for key, name in names.items() if key in data}
    return strict_tables.build(WholeChoice, {"metric": str(found[0].absolute()), **given}, f"{where}: data")


def _has_file(data: dict[str, Any]) -> bool:
    return str(data.get("metric", "")).endswith(".py")


def _check(chosen: Sequence[TargetConfig], tables: dict[str, Any], where: str) -> None:
    """Refuse names that are given twice, unknown ones, and what [data] can't say of several targets."""
    names = [each.called for each in chosen]
    if len({name.lower() for name in names}) < len(names):
        raise UserError(f"{where}: every [[target]] needs a name of its own, but they are {', '.join(names)}.")
    data = tables.get("data", {})
    allowed = ("metric", *OF_FILES) if _has_file(data) else ()
    if data.get("known"):
        raise UserError(
            f"{where}: data.known names the known values of one target, or of several alike, but there are "
            f"{len(chosen)} [[target]] tables: leave it out, or give a config to each target."
        )
    moved = [key for key in (*MOVED, *OF_FILES) if key in data and key not in allowed]
    if moved:
        raise UserError(
            f"{where}: data.{moved[0]} is said of each target where there are several: move it into [[target]]"
            f"{', as columns' if moved[0] == 'target' else ''}."
        )
    if tables.get("post", {}).get("decode"):
        raise UserError(f"{where}: post.decode reads one target back, but there are {len(chosen)}: leave it out.")
    for number, model in enumerate(tables.get("model", [])):
        for name in strict_tables.convert(tuple[str, ...], model.get(ONLY, ()), f"{where}: model[{number}].{ONLY}"):
            if name not in names:
                raise unknown("target", name, names, f"{where}: model[{number}].{ONLY}")


def _single(tables: dict[str, Any], own: dict[str, Any], others: Sequence[TargetConfig], name: str) -> dict[str, Any]:
    """Make the tables of one target's config. own: its [[target]], as it stands."""
    said = {key: own[key] for key in (*MOVED, *OF_FILES) if key in own}
    beside = [{"target": list(each.columns), "kind": each.kind, "classes": list(each.classes)} for each in others]
    data = {key: value for key, value in tables.get("data", {}).items() if key not in ("metric", *OF_FILES)}
    auxiliary = [*data.get("auxiliary", []), *beside]
    single = {key: value for key, value in tables.items() if key != TABLE}
    single["data"] = {**data, **said, "target": own["columns"], "auxiliary": auxiliary, "partial": True}
    for key in OWN_TABLES:
        if key in own:
            single[key] = strict_tables.merged(tables.get(key, {}), own[key])
    if "model" in tables:  # else each target has the default of its own kind (default_models.py)
        meant = [model for model in tables["model"] if name in model.get(ONLY, [name])]
        single["model"] = [{key: value for key, value in model.items() if key != ONLY} for model in meant]
    return single


def _learning(table: dict[str, Any], entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a [[model]] table with heads beside its own, where it is a network that has a head and names none."""
    head = table.get("head")
    if not isinstance(head, dict) or head.get(joint.KEY) or table.get("pretrain"):
        return table
    own, _ = joint.split_table(head)
    return {**table, "head": {**own, joint.KEY: entries} if entries and joint.KEY not in head else own}
