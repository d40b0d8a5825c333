"""[space]: what a search may vary. Any key of the config: ranges, choices, and entries that depend on a choice.

    [space]
    "train.lr"       = {low = 1e-4, high = 1e-2, log = true}
    "model.0.width"  = {low = 32, high = 128, step = 32}
    "train.schedule" = {choices = ["cosine", "flat-cosine", "restarts"]}
    "train.cycles"   = {low = 2, high = 6, when = {"train.schedule" = "restarts"}}
    "model.0.blocks" = {choices = {lstm = [{kind = "bilstm"}], both = [{kind = "bilstm"}, {kind = "conv"}]}}

A trial's values are overrides of the base config, in this order: what `./run.sh train BASE key=value ...` takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import optuna

from foldline.core import strict_tables
from foldline.core.errors import UserError, unknown
from foldline.experiment.config import Config

FIXED = {
    "data": "trials would be scored on different data",
    "folds": "trials would be scored on different series",
    "track": "it changes no score",
    "executor": "it changes no score",
    "serve": "it changes no score",
}
SCORED_STEP = "post.snap"  # after the blend, the only one that trials take: trial_evaluation.py
SCALARS = (str, int, float, bool)


@dataclass(frozen=True, kw_only=True)
class SpaceEntry:
    """One line of [space]: a range, or choices. Whole numbers where all its numbers are whole."""

    low: int | float | None = None
    high: int | float | None = None  # included
    step: int | float | None = None  # from low on
    log: bool = False  # sampled evenly in its logarithm
    choices: Any = None  # a list of plain values, or a table: name -> any value, a list of blocks for instance
    when: dict[str, Any] = field(
        default_factory=dict
    )  # entry further up -> its value, or values, with which this one applies

    def __post_init__(self) -> None:
        if self.choices is not None:
            self._check_choices()
        else:
            self._check_range()

    def _check_choices(self) -> None:
        if (self.low, self.high, self.step, self.log) != (None, None, None, False):
            raise ValueError("give either choices or low and high, not both")
        if not isinstance(self.choices, list | dict) or not self.choices:
            raise ValueError(f"choices must be a list of values or a table of named ones, but is {self.choices!r}")
        if isinstance(self.choices, list) and not all(isinstance(value, SCALARS) for value in self.choices):
            raise ValueError("choices that are lists or tables need names: choices = {deep = [...], wide = [...]}")

    def _check_range(self) -> None:
        if self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        if not self.low < self.high:
            raise ValueError(f"low must be below high, but they are {self.low} and {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs low above 0, and no step")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step must be above 0, but is {self.step}")
        if self.step is not None and not self._on_grid(self.high):
            raise ValueError(f"high must be low and some whole steps, but {self.low} and {self.step}s miss {self.high}")

    def _on_grid(self, value: float) -> bool:
        """Whether a value lies a whole number of steps above low; without a step any does."""
        steps = (value - self.low) / self.step if self.step and self.low is not None else 0.0
        return bool(abs(steps - round(steps)) < 1e-9)

    @property
    def whole(self) -> bool:
        """The range is one of whole numbers."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step) if value is not None)

    @property
    def names(self) -> list[Any]:
        """The choices, as Optuna sees them: plain values, or names."""
        return list(self.choices)

    @property
    def ends(self) -> list[Any]:
        """Values that are checked on the base config: all choices, or both ends of the range."""
        return self.names if self.choices is not None else [self.low, self.high]

    def value(self, name: Any) -> Any:
        """Translate a trial's parameter into the config's value."""
        return self.choices[name] if isinstance(self.choices, dict) else name

    def suggest(self, trial: optuna.Trial, key: str) -> Any:
        """Sample a parameter."""
        if self.choices is not None:
            return trial.suggest_categorical(key, self.names)
        assert self.low is not None and self.high is not None, "checked when it was made"
        if self.whole:
            return trial.suggest_int(key, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return trial.suggest_float(key, self.low, self.high, step=self.step, log=self.log)

    def holds(self, value: Any) -> bool:
        """Whether a value is a number in the range, and on its grid."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        assert self.low is not None and self.high is not None, "checked when it was made"
        return bool(self.low <= value <= self.high) and self._on_grid(value)

    def applies(self, params: dict[str, Any]) -> bool:
        """Whether all conditions of `when` hold."""
        return all(
            key in params and params[key] in (wanted if isinstance(wanted, list) else [wanted])
            for key, wanted in self.when.items()
        )


@dataclass(frozen=True)
class SearchSpace:
    """All entries of [space], in the order of the file."""

    entries: dict[str, SpaceEntry]

    @classmethod
    def build(cls, table: Any, where: str) -> SearchSpace:
        """Build the space from the TOML table.

        Raises:
            UserError: an entry is malformed, or varies a fixed key.
        """
        if not isinstance(table, dict) or not table:
            raise UserError(f'{where}: give at least one entry, for instance "train.lr" = {{low = 1e-4, high = 1e-2}}.')
        entries: dict[str, SpaceEntry] = {}
        for key, value in table.items():
            _check_key(key, value, where)
            entry = strict_tables.build(SpaceEntry, value, f'{where}."{key}"')
            for other, wanted in entry.when.items():
                _check_condition(other, wanted, entries, f'{where}."{key}".when')
            entries[key] = entry
        return cls(entries)

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Sample a trial's parameters: entry -> value, or name of a choice; without entries that do not apply."""
        params: dict[str, Any] = {}
        for key, entry in self.entries.items():
            if entry.applies(params):
                params[key] = entry.suggest(trial, key)
        return params

    def overrides(self, params: dict[str, Any]) -> list[str]:
        """Translate parameters into overrides, `key=value`."""
        return [f"{key}={inline(entry.value(params[key]))}" for key, entry in self.entries.items() if key in params]

    def check(self, config: Callable[[dict[str, Any]], Config], where: str) -> None:
        """Check every choice and both ends of every range on the base config, with the choices they depend on.

        Raises:
            UserError: a value makes no valid config.
        """
        for key, entry in self.entries.items():
            for end in entry.ends:
                try:
                    made = config({**self._needed(entry), key: end})
                except UserError as error:
                    raise UserError(f'{where}."{key}" = {end!r} makes no config. {error}') from error
                if entry.choices is None and entry.whole and isinstance(_lookup(made.tables(), key.split(".")), float):
                    raise UserError(
                        f'{where}."{key}" is no whole number: write low = {float(entry.low or 0)}, or only whole '
                        "numbers are tried."
                    )

    def _needed(self, entry: SpaceEntry) -> dict[str, Any]:
        """Parameters with which an entry applies."""
        params: dict[str, Any] = {}
        for key, wanted in entry.when.items():
            params |= self._needed(self.entries[key])
            params[key] = wanted[0] if isinstance(wanted, list) else wanted
        return params

    def express(self, load: Callable[[list[str]], Config], name: str) -> dict[str, Any]:
        """Find the parameters that make a given config.

        Args:
            load: reads that config with overrides.
            name: of it, for the message.

        Raises:
            UserError: it has a value outside the space.
        """
        tables = load([]).tables()
        params: dict[str, Any] = {}
        for key, entry in self.entries.items():
            if entry.applies(params):
                params[key] = _expressed(key, entry, load, tables, name)
        return params


def _check_key(key: str, value: Any, where: str) -> None:
    if isinstance(value, dict) and value and all(isinstance(item, dict) for item in value.values()) and "." not in key:
        raise UserError(f'{where}: write keys with dots in quotes: "{key}.{next(iter(value))}" = {{...}}.')
    table = key.split(".")[0]
    if table in FIXED:
        raise UserError(f"{where}: {key} can't be varied: {FIXED[table]}.")
    if table == "post" and key != SCORED_STEP:
        raise UserError(
            f"{where}: {key} can't be varied: of [post] only {SCORED_STEP} changes what trials are scored by. What "
            "another step gains, `train` shows; it trains nothing again."
        )
    if key.split(".")[-1] in ("seeds", "full_seeds"):
        raise UserError(f"{where}: {key} can't be varied; tune.seeds says what the search sees.")


def _check_condition(key: str, wanted: Any, entries: dict[str, SpaceEntry], where: str) -> None:
    if key not in entries:
        raise unknown("entry further up", key, entries, where)
    names = entries[key].names if entries[key].choices is not None else None
    if names is None:
        raise UserError(f"{where}: a condition can only be on choices, but {key} is a range.")
    for value in wanted if isinstance(wanted, list) else [wanted]:
        if value not in names:
            raise UserError(f"{where}: {key} is one of {', '.join(map(str, names))}, but never {value!r}.")


def _expressed(
    key: str, entry: SpaceEntry, load: Callable[[list[str]], Config], tables: dict[str, Any], name: str
) -> Any:
    """Find one parameter of a given config."""
    if entry.choices is None:
        value = _lookup(tables, key.split("."))
        if entry.holds(value):
            return value
        shown = "no value" if value is None else value
        raise UserError(f"{name} has {shown} for {key}, but the space goes from {entry.low} to {entry.high}.")
    for choice in entry.names:
        try:
            if load([f"{key}={inline(entry.value(choice))}"]).tables() == tables:
                return choice
        except UserError:
            continue  # a choice that makes no valid config is not the one it has
    raise UserError(f"{name} has none of the choices {', '.join(map(str, entry.names))} for {key}.")


def _lookup(tables: Any, names: list[str]) -> Any:
    """Look up a path in resolved tables, or None; a model's [train] falls back to the common one."""
    place = tables
    for name in names:
        if isinstance(place, list):
            place = place[int(name)] if name.isdigit() and int(name) < len(place) else None
        elif isinstance(place, dict) and name in place:
            place = place[name]
        else:
            return _lookup(tables, names[2:]) if names[0] == "model" and names[2:3] == ["train"] else None
    return place


def inline(value: Any) -> str:
    """Format a value as TOML on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, dict):
        pairs = (
            f"{key if re.fullmatch('[A-Za-z0-9_-]+', key) else json.dumps(key)} = {inline(item)}"
            for key, item in value.items()
        )
        return f"{{{', '.join(pairs)}}}"
    return repr(value)
