"""The board: recorded experiments ranked by out-of-fold score, with their cost, leaderboard scores and configs.

Only experiments that are scored in the same way on the same training data can be compared: each such group is a table.
Intervals are those of each score by itself, over series or their groups; to compare two configs, `ablate` pairs them.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import Any

from foldline.core.dotted_names import flat
from foldline.data.metrics.options import DEFAULTS
from foldline.data.simulate_config import SimulateConfig
from foldline.experiment import runs_index
from foldline.experiment.runs_index import ExperimentRecord
from foldline.run import cell_cost
from foldline.run.cell_cost import Spent

IGNORED = ("data.source", "track", "executor", "serve", "folds.file")  # keys that change no score


@dataclass(frozen=True)
class Line:
    """An experiment on the board."""

    experiment: str  # NAME/HASH
    latest: bool
    current: bool  # whether infer, report and bundle of this version of foldline take it
    score: float  # out-of-fold, of what was submitted
    models_alone: float | None  # before exact rows took the place of predictions; None where none did
    low: float  # 95 % interval over `drawn`; NaN where none was recorded
    high: float
    drawn: str  # series, or what they are grouped by
    blend: str
    cells: int
    minutes: float  # training time of all cells, added up; NaN where one is gone
    public: str  # of its last scored submission; empty: none
    private: str
    baseline: str  # the best trivial one and its score; empty: none was recorded
    lost: tuple[str, ...]  # models and steps that lose to it
    submitted_lost: bool  # what is submitted loses to it
    refused: bool  # the gate refused its submission
    differs: tuple[str, ...]  # key=value that the best of the group does not have; `without key=value` that only it has


@dataclass(frozen=True)
class Group:
    """Experiments that can be compared, best first."""

    title: str  # what the data are: source or simulation; with the fingerprint where two groups would be called alike
    metric: str
    source: str  # of the best one
    data: str  # fingerprint of the training data; empty where its cells are gone
    lines: list[Line]


def groups(records: list[ExperimentRecord]) -> list[Group]:
    """Group experiments into the board's tables, the one with the most experiments first."""
    comparable: dict[tuple[object, ...], list[ExperimentRecord]] = {}
    for record in records:
        data = record.config["data"]
        known = str(data.get("known", ()))
        scored = (data.get("scored", ""), data.get("observed", 0), known, *_held_out(record))
        scoring = (str(data["target"]), *scored, record.data)
        comparable.setdefault((*_measure(data), *_file(record), *scoring), []).append(record)
    found = sorted(map(_group, comparable.values()), key=lambda group: -len(group.lines))
    alike = Counter(group.title for group in found)
    return [
        replace(group, title=f"{group.title} (training data {group.data or 'unknown'})")
        if alike[group.title] > 1
        else group
        for group in found
    ]


def fleet(records: list[ExperimentRecord]) -> list[Spent]:
    """Add up what the cells of experiments have cost, each once, for each device of each node."""
    needed = runs_index.cells_needed({key for record in records for key in record.keys})
    return cell_cost.by_device(cell_cost.costs_of(needed))


def _measure(data: dict[str, Any]) -> tuple[object, ...]:
    """Return what a score measures: the metric with the options that are not the default, weights, level and kind."""
    given = data.get("metric_options", {})
    options = tuple(sorted((name, value) for name, value in given.items() if value != getattr(DEFAULTS, name, None)))
    group = data.get("group", "") if "groups" in dict(options) else ""
    names = (data["metric"], data.get("weight", ""), group, data.get("level", "step"), data.get("kind", "regression"))
    return options, *names


def _held_out(record: ExperimentRecord) -> tuple[object, ...]:
    """Return what decides which answers folds hold out, and so score; empty where they hold out all."""
    folds, data = record.config.get("folds", {}), record.config["data"]
    if folds.get("kind") != "time":  # a file may leave series out
        held_out = record.value.get("held_out")
        return (folds.get("file", ""), held_out) if held_out else ()
    return folds["k"], folds.get("by") or data.get("order", ""), folds.get("file", "")


def _file(record: ExperimentRecord) -> tuple[object, ...]:
    """Return what a metric file's score hangs on besides; empty for named metrics: their options say all."""
    file = record.value.get("metric_file", {})
    return tuple(str(each) for each in (file.get("file", ""), file.get("arguments"))) if file else ()


def _group(records: list[ExperimentRecord]) -> Group:
    ranked = sorted(records, key=lambda record: record.cost)
    data, best = ranked[0].config["data"], flat(ranked[0].config, numbered=True)
    lines = [_line(record, best) for record in ranked]
    source = data.get("source", "simulate")
    return Group(_title(source, data.get("simulate", {})), data["metric"], source, ranked[0].data, lines)


def _title(source: str, simulate: dict[str, Any]) -> str:
    """Say what data are. simulate: the recorded [data.simulate], which a later version may have given more keys."""
    known = {field.name: simulate[field.name] for field in fields(SimulateConfig) if field.name in simulate}
    return SimulateConfig(**known).title if source == "simulate" else source


def _line(record: ExperimentRecord, best: dict[str, Any]) -> Line:
    low, high = record.interval
    scored = [line for line in record.lines if line["public"] or line["private"]]
    return Line(
        experiment=f"{record.name}/{record.folder.name}",
        latest=record.latest,
        current=record.current,
        score=record.scores[-1],
        models_alone=record.models_alone,
        low=low,
        high=high,
        drawn=record.drawn,
        blend=record.blend,
        cells=len(record.keys),
        minutes=record.minutes,
        public=scored[-1]["public"] if scored else "",
        private=scored[-1]["private"] if scored else "",
        baseline=record.baseline,
        lost=record.lost,
        submitted_lost=record.value["scores"][-1][0] in record.lost,
        refused=record.refused,
        differs=differences(best, flat(record.config, numbered=True)),
    )


def differences(best: dict[str, Any], other: dict[str, Any]) -> tuple[str, ...]:
    """List where a flat config differs from the best, as key=value; `without key=value` for a key that it lacks."""
    keys = [key for key in sorted(best.keys() | other.keys()) if not _ignored(key) and best.get(key) != other.get(key)]
    keys = [key for key in keys if not all(_derived_width(key, config) for config in (best, other))]
    return tuple(f"{key}={other[key]}" if key in other else f"without {key}={best[key]}" for key in keys)


def _derived_width(key: str, config: dict[str, Any]) -> bool:
    """Return whether a key is a block's width that follows its model's: the model's width says it already."""
    found = re.fullmatch(r"(model\.\d+)\.blocks\.\d+\.width", key)
    return found is not None and config.get(key) == config.get(f"{found[1]}.width")


def _ignored(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in IGNORED)
