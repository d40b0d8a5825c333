"""An experiment of several targets: one experiment a target, the mean of their scores, and one record of all.

    runs/NAME/HASH/experiment.json    what `board`, `clean` and `infer` ask: targets, shares, cells, score
    runs/NAME/HASH/TARGET/            the record of a target's experiment, as stored_experiment.py writes it

See target_tables.py for why a target can be blended and decided on by itself.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from foldline.core import artefacts, files
from foldline.core.errors import UserError
from foldline.data.metrics import Interval, NotScorable, bootstrap
from foldline.data.metrics.resampling import Draw
from foldline.experiment import python_copies, runs_index, stored_experiment, target_tables
from foldline.experiment.config import SeveralTargets, TargetPart
from foldline.experiment.result import Result
from foldline.experiment.stored_experiment import StoredExperiment
from foldline.experiment.target_tables import WholeChoice
from foldline.experiment.whole_metric import WholeMetric
from foldline.run.cells import Cell
from foldline.run.ledger import Origin

TARGETS, GIVEN = "targets", "given"  # keys of a record of several: these; the config's tables as text, in their order
MEAN, BEST_OF_EACH = "mean of targets", "the best of each target"  # the score; its baseline


@dataclass(frozen=True)
class JoinedResult:
    """The targets' results as one."""

    several: SeveralTargets
    results: Sequence[Result]  # one a target
    whole: WholeMetric | None = None  # the metric file of all targets

    @property
    def name(self) -> str:
        """Name the score, as a row of tables: the mean, or the metric file's."""
        return MEAN if self.whole is None else self.whole.file.path.name

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher score is better."""
        return self.results[0].rows.metric.higher_is_better if self.whole is None else self.whole.file.higher_is_better

    @property
    def shares(self) -> list[float]:
        """Return the weight of each target's score; their sum is 1."""
        return [part.share for part in self.several.parts]

    @cached_property
    def score(self) -> float:
        """Return the mean of the targets' out-of-fold scores, weighted by share, or the score of the metric file."""
        if self.whole is not None:
            return self.whole.score([result.blended for result in self.results])
        return self._mean([result.score for result in self.results])

    @property
    def baseline(self) -> float | None:
        """Return the mean score of the targets' best trivial baselines; None: one has none, or a file scores."""
        if self.whole is not None or not all(result.best_baseline for result in self.results):
            return None
        return self._mean([result.baselines[result.best_baseline][-1] for result in self.results])

    @property
    def lost(self) -> list[str]:
        """Name what loses to the best trivial baseline of its target, and the mean where it loses to that of these."""
        found = [f"{part.name}: {name}" for part, result in self._pairs for name in result.lost]
        metric = self.results[0].rows.metric
        return found + [self.name] * (self.baseline is not None and metric.is_better(self.baseline, self.score))

    @cached_property
    def interval(self) -> Interval:
        """Return the 95 % interval of the score: the same series, or their groups, are drawn for all targets."""
        if self.whole is not None:
            return self.whole.interval([result.blended for result in self.results])
        rows = [result.rows for result in self.results]
        values = [result.blended[result.scored] for result in self.results]
        ends = np.cumsum([len(each.y) for each in rows])

        def score(draw: Draw) -> float:
            found = []
            for answers, predicted, end in zip(rows, values, ends, strict=True):
                own = (draw.rows >= end - len(answers.y)) & (draw.rows < end)
                if not own.any():
                    raise NotScorable("a target has no answer among the drawn ones")
                drawn = Draw(draw.rows[own] - (end - len(answers.y)), draw.number[own])
                found.append(answers.drawn(drawn).score(predicted[drawn.rows]))
            return self._mean(found)

        units = np.concatenate([each.units for each in rows])
        return bootstrap(score, units, effort=sum(each.effort for each in rows))

    @property
    def _pairs(self) -> list[tuple[Any, Result]]:
        return list(zip(self.several.parts, self.results, strict=True))

    def _mean(self, scores: Sequence[float]) -> float:
        return float(np.dot(self.shares, scores))

    def table(self, digits: int = 4) -> tuple[list[str], list[list[str]]]:
        """Return columns and rows of the table of targets; the last row is the mean of all."""
        rows = [
            [
                part.name,
                data.kind,
                data.metric,
                f"{part.share:.3g}",
                f"{result.score:.{digits}f}",
                _best(result, digits),
            ]
            for part, result in self._pairs
            for data in [part.config.data]
        ]
        mean = "" if self.baseline is None else f"{self.baseline:.{digits}f}"
        columns = ["target", "kind", "metric", "share", "out-of-fold", "best baseline"]
        return columns, [*rows, [self.name, "", "", "", f"{self.score:.{digits}f}", mean]]


def _best(result: Result, digits: int) -> str:
    name = result.best_baseline
    return f"{name} {result.baselines[name][-1]:.{digits}f}" if name else ""


def metric_in_words(several: SeveralTargets) -> str:
    """Name the score: 0.75 log_loss + 0.25 mae, or the metric file's name."""
    if several.metric is not None:
        return Path(several.metric.metric).name
    return " + ".join(f"{part.share:.3g} {part.config.data.metric}" for part in several.parts)


def folder_of(several: SeveralTargets, alone: Sequence[Path]) -> Path:
    """Return runs/NAME/HASH: the same experiment has the same folder.

    alone: where the experiment of each target would be recorded if there were no other.
    """
    parts: list[Any] = [[part.name, part.share, folder.name] for part, folder in zip(several.parts, alone, strict=True)]
    if several.metric is not None:
        parts += [several.metric.loaded().key(), list(several.metric.columns)]
    return files.runs() / several.name / files.digest(parts)


def write(folder: Path, joined: JoinedResult) -> None:
    """Write experiment.json, after those of the targets, and point `latest` to the folder."""
    records = [runs_index.read_record(folder / part.name) for part in joined.several.parts]
    baseline, several = joined.baseline, joined.several
    value = {
        "format": runs_index.FORMAT,
        "name": several.name,
        "config": _shown_config(several),
        GIVEN: tomli_w.dumps(_recorded(several.given)),
        TARGETS: [{"name": part.name, "share": part.share} for part in several.parts],
        "cells": [cell for record in records for cell in record["cells"]],
        "outside": [member for record in records for member in record["outside"]],
        **({python_copies.METRIC: python_copies.copy_metric(joined.whole.file, folder)} if joined.whole else {}),
        **python_copies.copy_code(several.parts[0].config, folder),
        "blend": {"method": MEAN, "labels": [part.name for part in several.parts], "weights": joined.shares},
        "scores": [[joined.name, [joined.score]]],
        "baselines": [] if baseline is None else [[BEST_OF_EACH, [baseline]]],
        "best_baseline": "" if baseline is None else BEST_OF_EACH,
        "lost_to_baseline": joined.lost,
        "higher_is_better": joined.higher_is_better,
        "interval": [None if np.isnan(end) else end for end in (joined.interval.low, joined.interval.high)],
        **several.parts[0].config.interval_over,
        "environment": stored_experiment.environment(),
    }
    artefacts.write_json(folder / "experiment.json", value)
    files.write_text(folder / "config.toml", tomli_w.dumps(_recorded(several.given)))
    files.replace_symlink(folder.parent / "latest", folder)


def _recorded(given: dict[str, Any]) -> dict[str, Any]:
    """Return a config's tables as a record has them: its Python files lie beside it, not where they were."""
    data = given.get("data", {})
    named = {key: Path(data[key]).name for key in ("metric", "code") if str(data.get(key, "")).endswith(".py")}
    return {**given, "data": {**{key: data[key] for key in data if key != "code_folder"}, **named}}


def _shown_config(several: SeveralTargets) -> dict[str, Any]:
    """Return the tables that `board` compares: [data] resolved, without what is said of each target."""
    tables = python_copies.recorded(several.parts[0].config)
    own = (*target_tables.MOVED, *target_tables.OF_FILES, "auxiliary", "partial", "metric_folder")
    data = {key: value for key, value in tables["data"].items() if key not in own}
    data["target"] = [name for part in several.parts for name in part.config.data.target]
    data["metric"] = metric_in_words(several)
    options = {part.name: part.config.data.metric_options for part in several.parts}
    data["metric_options"] = {  # only scores by the same options compare
        name: ", ".join(f"{key}={getattr(each, key)}" for key in each.changed())
        for name, each in options.items()
        if each.changed()
    }
    given = {key: value for key, value in several.given.items() if key in (target_tables.TABLE, "model")}
    return {**tables, "data": data, **given}


@dataclass(frozen=True, kw_only=True)
class StoredTargets:
    """An experiment of several targets that was read back."""

    name: str  # the config's
    parts: dict[str, StoredExperiment]  # by the target's name
    shares: list[float]  # of the targets' scores; their sum is 1
    given: dict[str, Any]  # the config's tables, as they stood in its file
    whole: WholeChoice | None  # the metric file of all targets
    score: float  # out-of-fold
    metric: str  # in words
    folder: Path

    @property
    def several(self) -> SeveralTargets:
        """Return the config, as it was trained."""
        pairs = zip(self.parts.items(), self.shares, strict=True)
        parts = [TargetPart(name=name, share=share, config=each.config) for (name, each), share in pairs]
        return SeveralTargets(name=self.name, parts=tuple(parts), given=self.given, metric=self.whole)

    @property
    def experiments(self) -> list[StoredExperiment]:
        """Return the targets' experiments."""
        return list(self.parts.values())

    @property
    def plan(self) -> list[Cell]:
        """Return all cells of all targets."""
        return [cell for each in self.experiments for cell in each.plan]

    def origin(self, test: str) -> Origin:
        """Make the ledger's entry for a submission of this experiment. test: fingerprint of the test table."""
        origins = [
            stored_experiment.origin(each.config, each.plan, self.folder, test, each.score) for each in self.experiments
        ]
        return Origin(
            config=self.name,
            config_hash=files.digest([each.config_hash for each in origins]),
            experiment=self.folder.name,
            cells=files.digest([each.cells for each in origins]),
            test=test,
            out_of_fold=self.score,
            simulated=origins[0].simulated,
        )


def read(name: str, to_predict: bool = True) -> StoredTargets | StoredExperiment:
    """Read the latest experiment of a config, of several targets or of one.

    Args:
        name: the config's.
        to_predict: as of `stored_experiment.read_folder`.

    Raises:
        UserError: never trained, recorded by another version, a cell is gone, or (to_predict) the code has changed.
    """
    whole, dot, target = name.rpartition(".")
    if dot and not (files.runs() / name).exists() and (files.runs() / whole / "latest" / target).is_dir():
        raise UserError(f"{target!r} is one of the targets of {whole!r}: name that.")
    return read_folder(stored_experiment.latest_folder(name), to_predict)


def names_of(folder: Path) -> list[str]:
    """Name the targets of a recorded experiment; none where it has one alone. Each has a folder of its name there."""
    return [each["name"] for each in runs_index.read_record(folder).get(TARGETS, [])]


def read_folder(folder: Path, to_predict: bool = True) -> StoredTargets | StoredExperiment:
    """Read the experiment of a folder, as `read` does."""
    value = runs_index.read_record(folder)
    if not (names := names_of(folder)):
        return stored_experiment.read_folder(folder, to_predict)
    runs_index.refuse_other_format(value, folder)
    python_copies.refuse_changed(value, folder)
    given = tomllib.loads(value[GIVEN])
    return StoredTargets(
        name=value["name"],
        parts={each: stored_experiment.read_folder(folder / each, to_predict) for each in names},
        shares=[each["share"] for each in value[TARGETS]],
        given=given,
        whole=target_tables.whole_choice(given, [folder], str(folder / "config.toml")),
        score=value["scores"][-1][1][-1],
        metric=value["config"]["data"]["metric"],
        folder=folder,
    )
