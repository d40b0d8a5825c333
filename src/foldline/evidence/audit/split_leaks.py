"""Series or groups on both sides of a split: fold file, inner split, teachers, stored cells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl

from foldline.core import files
from foldline.core.errors import UserError
from foldline.data import identity, time_spans
from foldline.data.folds import Folds
from foldline.data.table import Table
from foldline.evidence.audit.audit_check import CheckResult, listed
from foldline.evidence.audit.audit_context import AuditContext
from foldline.experiment import runs_index, stored_experiment
from foldline.fit import labelled_series, pretraining, watched_split
from foldline.run import cells
from foldline.run.cells import Cell, ModelConfig

UNSEEN = 0.95  # share of test series whose group is in no training series: test keeps groups apart
SEEN = 0.5  # share of training series whose group is in several folds: the folds do not
GROUPS = 5  # with fewer values in the test file a column is not checked


def whole_series(context: AuditContext) -> CheckResult:
    """Every series is in one fold, by the key on each of its rows."""
    table, assigned = context.competition.train, context.folds
    key = table.data.key
    rows = pl.DataFrame({key: table.frame[key], "fold": np.repeat(assigned.assignment, table.lengths)})
    spread = rows.group_by(key).agg(pl.col("fold").unique().sort()).filter(pl.col("fold").list.len() > 1).sort(key)
    if spread.height:
        folds = " and ".join(map(str, spread["fold"][0].to_list()))
        return CheckResult("LEAK", f"{key} {spread[key][0]} is in folds {folds}; {spread.height} such series")
    missing = np.flatnonzero((assigned.assignment < -1) | (assigned.assignment >= assigned.k))
    if len(missing):
        return CheckResult(
            "LEAK", f"{key} {table.keys[int(missing[0])]} is in no fold that there is; {len(missing)} such series"
        )
    for fold in range(assigned.k):
        both = np.intersect1d(assigned.held_out(fold), assigned.inside(fold))
        if len(both):
            return CheckResult(
                "LEAK", f"{key} {table.keys[int(both[0])]} is trained on by fold {fold}, which holds it out"
            )
    never = int((assigned.assignment < 0).sum())
    others = f"; {never} are never held out" if never else ""
    return CheckResult("clean", f"{len(table.lengths) - never} series, each in one of {assigned.k} folds{others}")


def order_of_time(context: AuditContext) -> CheckResult:
    """With time folds, what a fold's cells are fitted on ends before the gap ahead of what the fold holds out."""
    config, assigned, table = context.config.folds, context.folds, context.competition.train
    if config.kind != "time":
        return CheckResult("clean", "folds do not go by time")
    spans, key = time_spans.read(config, table), table.data.key
    for fold in range(assigned.k):
        begins, inside = spans.first[assigned.held_out(fold)].min(), assigned.inside(fold)
        late = inside[spans.last[inside] >= begins - spans.gap]
        if len(late):
            return CheckResult(
                "LEAK",
                f"fold {fold} begins at {spans.shown(begins)}, less a gap of {config.gap:g}, but is trained on {key} "
                f"{table.keys[int(late[0])]}, which ends at {spans.shown(spans.last[late[0]])}; {len(late)} such",
            )
    return CheckResult("clean", f"{assigned.k} folds are trained on what ends before their gap ({config.gap:g})")


def whole_groups(context: AuditContext) -> CheckResult:
    """Every known group (data.group) is in one fold; with time folds no group is on both sides of one."""
    table, data = context.competition.train, context.config.data
    column, name = data.group_column, data.group or data.key
    if not column or (context.folds.time is not None and not data.named_group):
        return CheckResult("clean", "no group is known: data.group is empty")
    if context.folds.time is not None:
        return _groups_by_time(context)
    pairs = pl.DataFrame({"group": table.groups, "fold": context.folds.assignment})
    each = pairs.group_by("group", maintain_order=True).agg(pl.col("fold").unique().sort())
    spread = each.filter(pl.col("fold").list.len() > 1)
    if spread.height:
        first = spread.sort("group").row(0, named=True)
        shown = table.frame[column][int(table.starts[np.flatnonzero(table.groups == first["group"])[0]])]
        folds = " and ".join(map(str, first["fold"]))
        return CheckResult("LEAK", f"{name} {shown} is in folds {folds}; {spread.height} such groups")
    return CheckResult("clean", f"{table.groups.max() + 1} groups of {name!r}, each in one fold")


def _groups_by_time(context: AuditContext) -> CheckResult:
    """No group of a held-out block is trained on."""
    table, assigned, name = context.competition.train, context.folds, context.config.data.group
    for fold in range(assigned.k):
        inside = assigned.inside(fold)
        both = inside[np.isin(table.groups[inside], table.groups[assigned.held_out(fold)])]
        if len(both):
            shown = table.frame[name][int(table.starts[both[0]])]
            return CheckResult("LEAK", f"{name} {shown} is on both sides of fold {fold}; {len(both)} such series")
    return CheckResult("clean", f"{table.groups.max() + 1} groups of {name!r}, none on both sides of a time fold")


def _in_several(context: AuditContext, values: pl.Series) -> float:
    """Return the share of series whose value is in several folds, or on both sides of a time fold.

    values: (N,); a series without one is in no group.
    """
    assigned = context.folds
    if assigned.time is None:
        groups = pl.DataFrame({"value": values, "fold": assigned.assignment})
        alone = groups.select((pl.col("fold").n_unique().over("value") == 1) | pl.col("value").is_null()).to_series()
        return 1 - float(alone.mean())  # type: ignore[arg-type]
    seen = [
        values[assigned.held_out(fold)].is_in(values[assigned.inside(fold)].implode()).fill_null(False)
        for fold in range(assigned.k)
    ]
    return float(pl.concat(seen).mean())  # type: ignore[arg-type]


def groups_of_test(context: AuditContext) -> CheckResult:
    """No column groups series such that its groups are never in both files, but in several folds."""
    train, test = context.competition.train, context.competition.test
    names = [*train.data.static, *_other_columns(train, test)]
    for name in names:
        known, new = _values(train, name), _values(test, name)
        if known is None or new is None or new.n_unique() < GROUPS:
            continue
        unseen = 1 - float(new.is_in(known.implode()).mean())  # type: ignore[arg-type]
        seen = _in_several(context, known)
        if unseen >= UNSEEN and seen >= SEEN:
            return CheckResult(
                "LEAK",
                f"column {name!r} groups the series: {unseen:.0%} of the test series have a value that no training "
                f"series has, but {seen:.0%} of the training series have a value that is in several folds. "
                f"Assign whole {name!r} groups to folds",
            )
    return CheckResult(
        "clean", f"columns checked: {listed(names)}" if names else "no column besides key, id and inputs"
    )


def _other_columns(train: Table, test: Table) -> list[str]:
    """Columns of both files that have no role."""
    data = train.data
    own = {data.group_column, data.known_column}
    roles = {data.id, data.key, data.order, *own, *data.inputs, *data.static, *data.target}
    there = _columns(test)
    return [name for name in _columns(train) if name in there and name not in roles]


def _columns(table: Table) -> list[str]:
    return table.source.columns() if table.source is not None else table.frame.columns


def _values(table: Table, name: str) -> pl.Series | None:
    """(N,) a column's value of each series, as text, null where it is missing; None if it cannot name groups."""
    key = table.data.key
    try:
        if name in table.frame.columns or table.source is None:
            frame = table.frame
        else:
            frame = table.source.read({key: None, name: pl.String()}).frame
    except UserError:  # dates and lists cannot be read here
        return None
    rows = pl.DataFrame({"key": identity.texts(frame[key]), "value": frame[name]})
    value = pl.col("value")
    found = rows.group_by("key", maintain_order=True).agg(value.n_unique().alias("count"), value.first())
    if found["count"].max() != 1:  # it varies inside a series
        return None
    keys = pl.DataFrame({"key": identity.texts(table.keys)})
    joined = keys.join(found, on="key", how="left", maintain_order="left")
    return identity.texts(joined["value"])


def inner_split(context: AuditContext) -> CheckResult:
    """Series that early stopping and the like watch are outside the fold, and not trained on."""
    prepared = context.baseline.prepared
    watching = [model for model in context.small_config.models if model.watched_share]
    outside = prepared.folds.inside(0)
    spans = prepared.folds.spans_of(outside)
    for model in watching:
        labelled_sets = [labelled_series.labelled_series(prepared.train, outside).at(spans)]
        trained, watched = watched_split.inner_split(labelled_sets, model.watched_share, model.train.seeds[0])
        trained_series, watched_series = (
            np.concatenate([part.series for part in parts]) for parts in (trained, watched)
        )
        keys, key = prepared.train.keys, context.config.data.key
        both = np.intersect1d(trained_series, watched_series)
        held = np.setdiff1d(np.append(trained_series, watched_series), outside)
        if len(both):
            return CheckResult(
                "LEAK", f"{model.label}: {key} {keys[both[0]]} is trained on and watched; {len(both)} such"
            )
        if len(held):
            return CheckResult(
                "LEAK", f"{model.label}: {key} {keys[held[0]]} of the held-out fold is in the inner split"
            )
        if early := _before_trained(prepared.folds, trained_series, watched_series):
            return CheckResult("LEAK", f"{model.label}: {early} watched series begin before others are over")
    if not watching:
        return CheckResult("clean", "no model watches a score while it is fitted")
    return CheckResult("clean", f"{listed([model.label for model in watching])}: watched series are not trained on")


def _before_trained(folds: Folds, trained: np.ndarray, watched: np.ndarray) -> int:
    """Count the watched series that begin before all that is trained on is over, where folds go by time."""
    if folds.time is None:
        return 0
    spans = folds.time.spans
    return int((spans.first[watched] <= spans.last[trained].max() + spans.gap).sum())


def teachers(context: AuditContext) -> CheckResult:
    """Teachers, first weights and fitted simulators have held out the same fold as the cell that uses them."""
    plan, folds = context.baseline.prepared.plan, context.baseline.prepared.folds
    pairs = [(cell, other) for cell in plan for other in _before(cell) if other.pretraining_store is None]
    for cell, other in pairs:
        unknown = np.arange(0) if cell.fold is None else np.union1d(folds.not_known(cell.fold), cell.held_out(folds))
        if np.isin(other.inside(folds), unknown).any():
            return CheckResult(
                "LEAK", f"{cell.name} learns from {other.name}, which was trained on the rows that it holds out"
            )
    simulators = [model for model in context.config.models if model.pretrain and model.pretrain.source == "simulate"]
    for model in simulators:
        seen = _held_out_labels_of_simulator(context, model)
        if seen:
            return CheckResult(
                "LEAK", f"{model.label}: its simulator is fitted to {seen} labelled series of the held-out fold"
            )
    if not pairs and not simulators:
        return CheckResult("clean", "no model has a teacher or a simulator")
    return CheckResult(
        "clean", f"teachers: {len(pairs)}, simulators: {len(simulators)}; each held out its student's fold"
    )


def _before(cell: Cell) -> list[Cell]:
    """List all cells that must be finished before this one."""
    return [found for other in cell.before for found in (other, *_before(other))]


def _held_out_labels_of_simulator(context: AuditContext, model: ModelConfig) -> int:
    """Count the labelled held-out series that a simulator is fitted to; a spy replaces the slow fit."""
    from ventilator import calibrate
    from ventilator.rig import Rig

    assert model.pretrain is not None, "only for pre-trained models"
    prepared, few = context.baseline.prepared, replace(model.pretrain, breaths=1)
    outside = np.zeros(len(prepared.folds.assignment), dtype=bool)
    outside[prepared.folds.inside(0)] = True
    with (
        files.at_home_everywhere(context.scratch / "rig"),
        patch.object(calibrate, "calibrate", return_value=Rig.load()) as spy,
    ):
        pretraining.pretraining_data(few, context.config.features, prepared.competition, np.flatnonzero(outside))
    held, data = prepared.competition.train.keys.filter(pl.Series(~outside)), context.config.data
    given = [call.args[0].filter(pl.col(data.target[0]).is_not_null()) for call in spy.call_args_list]
    return sum(int(frame[data.key].unique().is_in(held.implode()).sum()) for frame in given)


def stored_cells(context: AuditContext) -> CheckResult:
    """The latest experiment's cells predict the series they hold out, each once; their teachers hold out the same."""
    path = stored_experiment.latest_of(context.config) / "experiment.json"
    if not path.exists():
        return CheckResult("not checked", f"{context.config.name} has not been trained here yet")
    stored = [entry for entry in runs_index.read_record(path.parent)["cells"] if entry["fold"] is not None]
    held: dict[tuple[str, int], list[np.ndarray]] = {}
    for entry in stored:
        folder = files.runs() / "cells" / entry["key"]
        if why := cells.damage(folder):
            return CheckResult(
                "not checked", f"cell {folder.name}: {why}; run `./run.sh train {context.config.name}` again"
            )
        name = f"{entry['label']} fold {entry['fold']} seed {entry['seed']}"
        places, depends = files.read_array(folder / "held_out.npy"), files.read_json(folder / "depends.json")
        if files.digest(places.tolist()) != depends["fold"]["held_out"]:
            return CheckResult(
                "LEAK", f"{name} predicts series out of fold that it has not held out (cell {folder.name})"
            )
        if context.folds.time is not None and np.array_equal(places, context.folds.held_out(entry["fold"])):
            inside = files.digest(context.folds.inside(entry["fold"]).tolist())
            if depends["fold"].get("inside") != inside:
                return CheckResult(
                    "LEAK", f"{name} was fitted on other series than lie before its fold (cell {folder.name})"
                )
        if teacher := _unfit_teacher(folder, depends, context.folds):
            return CheckResult("LEAK", f"{name} learnt from cell {teacher}, which has not held out the same series")
        held.setdefault((entry["label"], entry["seed"]), []).append(places)
    for (label, seed), parts in held.items():
        count = np.bincount(np.concatenate(parts))
        if (count > 1).any():
            return CheckResult(
                "LEAK", f"{label} seed {seed}: {int((count > 1).sum())} series are held out by two folds"
            )
    return CheckResult("clean", f"{len(stored)} cells of the latest experiment")


def _unfit_teacher(folder: Path, depends: dict[str, Any], folds: Folds) -> str:
    """Find the key of a teacher that was not kept from what its student holds out; empty if there is none."""
    taught, own = depends.get("teacher", {}), depends["fold"]
    for key in taught.get("cells", []):
        other = folder.with_name(key) / "depends.json"
        if other.exists() and files.read_json(other)["fold"] != own:
            return str(key)
    held_out = files.read_array(folder / "held_out.npy")
    for key in taught.get("out_of_fold", []):
        other = folder.with_name(key) / "depends.json"
        if not other.exists():
            continue
        number, theirs = files.read_json(other)["fold"]["number"], files.read_array(other.with_name("held_out.npy"))
        earlier = folds.time is not None and number < own["number"]
        if not earlier and not np.isin(held_out, theirs).all():
            return str(key)
    return ""
