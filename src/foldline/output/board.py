"""The board: recorded experiments by out-of-fold score, what each cost, what the leaderboard said, how it differs.

Only experiments that are scored alike on the same training data can be compared, so each such group is a table of its
own. Intervals are those of each score by itself, over series; to compare two recipes, `ablate` pairs them instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from foldline.experiment.records import Record

SILENT = ("data.source", "track", "executor", "folds.file")  # keys that change no score


@dataclass(frozen=True)
class Line:
    """An experiment on the board."""

    experiment: str  # NAME/HASH
    latest: bool
    score: float  # out-of-fold, of what was submitted
    low: float  # 95 % interval over series; NaN where none was recorded
    high: float
    blend: str
    cells: int
    minutes: float  # training time of all cells, added up; NaN where one is gone
    public: str  # of its last scored submission; empty: none
    private: str
    differs: tuple[str, ...]  # key=value that the group's best does not have; without key=value that only it has


@dataclass(frozen=True)
class Group:
    """Experiments that can be compared, best first."""

    metric: str
    source: str  # of the best one
    data: str  # fingerprint of the training data; empty where no cell is left that knows it
    lines: list[Line]


def groups(records: list[Record]) -> list[Group]:
    """The board's tables, the one with the most experiments first."""
    together: dict[tuple[object, ...], list[Record]] = {}
    for record in records:
        data = record.config["data"]
        alike = (data["metric"], str(data["target"]), data.get("scored", ""), data.get("observed", 0), record.data)
        together.setdefault(alike, []).append(record)
    return sorted((_group(found) for found in together.values()), key=lambda group: -len(group.lines))


def _group(records: list[Record]) -> Group:
    ranked = sorted(records, key=lambda record: record.scores[-1])
    data, best = ranked[0].config["data"], flat(ranked[0].config)
    lines = [_line(record, best) for record in ranked]
    return Group(data["metric"], data.get("source", "simulate"), ranked[0].data, lines)


def _line(record: Record, best: dict[str, Any]) -> Line:
    low, high = record.interval
    scored = [line for line in record.lines if line["public"] or line["private"]]
    return Line(
        experiment=f"{record.name}/{record.folder.name}",
        latest=record.latest,
        score=record.scores[-1],
        low=low,
        high=high,
        blend=record.blend,
        cells=len(record.keys),
        minutes=record.minutes,
        public=scored[-1]["public"] if scored else "",
        private=scored[-1]["private"] if scored else "",
        differs=differences(best, flat(record.config)),
    )


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted keys; an element of a list by its number."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = {str(number): item for number, item in enumerate(value)}
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        name: leaf
        for key, item in value.items()
        for name, leaf in flat(item, f"{prefix}.{key}" if prefix else key).items()
    }


def differences(best: dict[str, Any], other: dict[str, Any]) -> tuple[str, ...]:
    """What one flat config says differently, as key=value; `without key=value` where it leaves to a default."""
    keys = [key for key in sorted(best.keys() | other.keys()) if not _silent(key) and best.get(key) != other.get(key)]
    keys = [key for key in keys if not all(_filled_in(key, config) for config in (best, other))]
    return tuple(f"{key}={other[key]}" if key in other else f"without {key}={best[key]}" for key in keys)


def _filled_in(key: str, config: dict[str, Any]) -> bool:
    """A block's width that is its model's: who changes the one says all of it."""
    found = re.fullmatch(r"(model\.\d+)\.blocks\.\d+\.width", key)
    return found is not None and config.get(key) == config.get(f"{found[1]}.width")


def _silent(key: str) -> bool:
    return any(key == silent or key.startswith(f"{silent}.") for silent in SILENT)
