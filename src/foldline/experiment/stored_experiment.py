"""One experiment's record under runs/NAME/HASH: written when it ends, read back to predict or to make its report.

experiment.json holds the configs with the keys of their cells (config_plans.py), the fitted blend, grids and scores;
config.toml reproduces it. Its Python files are copied beside them (python_copies.py).
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tomli_w

from foldline.core import artefacts, files, requirements
from foldline.core.errors import UserError
from foldline.data import competition_file, metrics
from foldline.data.column_facts import ColumnFacts
from foldline.data.loading import Competition
from foldline.data.roles import DataConfig
from foldline.data.target_grid import Grid
from foldline.data.target_range import TargetRange
from foldline.data.times import Clock
from foldline.ensemble import Blend
from foldline.ensemble.decisions import Decisions
from foldline.ensemble.members import Member
from foldline.ensemble.tidying import Tidying
from foldline.experiment import config_plans, python_copies, runs_index
from foldline.experiment.config import Config, from_tables
from foldline.experiment.config_plans import ConfigPlan
from foldline.experiment.result import Result
from foldline.run.cells import Cell
from foldline.run.ledger import Origin


def folder_of(config: Config, plan: Sequence[Cell], test: str, outside_members: Sequence[Member] = ()) -> Path:
    """Return runs/NAME/HASH: the same experiment has the same folder. test: fingerprint of the test table."""
    tables = config.tables()
    hashed = [tables["blend"], tables["post"], config.data.metric, sorted(cell.key for cell in plan), test]
    if config.data.has_metric_file or config.data.metric_options.changed():
        hashed.append({**metrics.key_of(*config.data.metric_choice(0)), "sources": []})
    own = competition_file.of(config.data.code_path)
    hashed += [{"code": files.digest(own.text)}] if own is not None else []
    hashed += [sorted(member.source for member in outside_members)] if outside_members else []
    return files.runs() / config.name / files.digest(hashed)


def measured_by(data: DataConfig) -> list[object]:
    """Return what the name of a search's or an ablation's folder hashes of the metric; its file with its arguments.

    Options only where they are used: older folders keep their names.
    """
    options = [[name, getattr(data.metric_options, name)] for name in data.metric_options.changed()]
    file = [metrics.loaded(data.metric_choice(0)).key()] if data.has_metric_file else []
    return [data.metric, *options, *file]


def origin(config: Config, plan: Sequence[Cell], folder: Path, test: str, score: float) -> Origin:
    """Make the ledger's entry for a submission of this experiment. test: fingerprint of the test table."""
    return Origin(
        config=config.name,
        config_hash=files.digest(python_copies.recorded(config)),
        experiment=folder.name,
        cells=files.digest(sorted(cell.key for cell in plan)),
        test=test,
        out_of_fold=score,
        simulated=config.data.simulated,
    )


def write(
    folder: Path,
    config: Config,
    plans: Sequence[ConfigPlan],
    outside_members: Sequence[Member],
    result: Result,
    competition: Competition,
    expected: list[TargetRange],
    latest: bool = True,
) -> None:
    """Write experiment.json, which `read` reads, and config.toml, which reproduces it; point `latest` to the folder.

    Args:
        config: has the experiment's name, [data], [blend] and [post].
        competition: its tables: what training says of columns and labels is kept, for test tables to follow.
        expected: (K,) range and digits of each target, for the gate of later submissions.
        latest: whether `latest` shall point to it; not to the record of one target of several.
    """
    value = {
        "format": runs_index.FORMAT,
        "name": config.name,
        "config": python_copies.recorded(config),
        **python_copies.copy(config, [each.config for each in plans], folder),
        **config_plans.to_json(plans, outside_members),
        "levels": {name: list(values) for name, values in competition.levels.items()},
        "classes": list(competition.train.classes),
        **({"columns": competition.train.facts.to_json()} if competition.train.facts.to_json() else {}),
        "clock": asdict(competition.train.clock),
        "blend": result.blend.to_json(),
        "grids": [None if grid is None else asdict(grid) for grid in result.grids],
        "tidied": result.tidied.to_json(),
        "decisions": result.decisions.to_json(),
        "expected": [asdict(target) for target in expected],
        "scores": [[name, _finite(values)] for name, values in result.scores.items()],
        "baselines": [[name, _finite(values)] for name, values in result.baselines.items()],
        "best_baseline": result.best_baseline,
        "lost_to_baseline": result.lost,
        "higher_is_better": result.rows.metric.higher_is_better,
        "interval": _finite(result.interval),
        **config.interval_over,
        **({"held_out": len(result.rows.y)} if len(result.rows.y) < result.total else {}),  # answers; others: all
        "environment": environment(),
    }
    artefacts.write_json(folder / "experiment.json", value)
    files.write_text(folder / "config.toml", tomli_w.dumps(python_copies.recorded(config)))
    if latest:
        files.replace_symlink(folder.parent / "latest", folder)


def _finite(values: Sequence[float]) -> list[float | None]:
    """Return scores as JSON has them: null where a metric is not defined, as an AUC on a fold of one class."""
    return [None if np.isnan(value) else value for value in values]


def environment() -> dict[str, str]:
    """Return the versions on which the last bits of results depend."""
    names = ("torch", "numpy", "polars", "lightgbm", "xgboost", "catboost")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{name: version for name in names if (version := requirements.installed(name))},
    }


@dataclass(frozen=True, kw_only=True)
class StoredExperiment:
    """An experiment that was read back: ready to predict new series, or to be reported."""

    config: Config
    config_plans: list[ConfigPlan]
    outside_members: list[Member]
    levels: dict[str, tuple[object, ...]]  # values of each static column in training
    classes: tuple[object, ...]  # labels of the target in training, where it has any
    facts: ColumnFacts  # of the columns in training
    clock: Clock | None  # what the order was in training; None: an older record does not say it
    blend: Blend
    grids: list[Grid | None]
    tidied: Tidying  # what predictions are rounded to, and whether they are renormalised
    decisions: Decisions  # on the labels of predictions
    expected: list[TargetRange]  # (K,) what the gate compares predictions with
    score: float  # out-of-fold
    folder: Path

    @property
    def name(self) -> str:
        """Return the config's name."""
        return self.config.name

    @property
    def metric(self) -> str:
        """Name the metric."""
        return self.config.data.metric

    @property
    def experiments(self) -> list[StoredExperiment]:
        """Return itself: one of several targets has more."""
        return [self]

    @property
    def plan(self) -> list[Cell]:
        """Return all cells."""
        return [cell for one in self.config_plans for cell in one.plan]

    @property
    def members(self) -> list[Member]:
        """Return all members, in any order: the blend selects its own by label."""
        return [member for one in self.config_plans for member in one.members] + self.outside_members


def latest_of(config: Config) -> Path:
    """Return where the latest experiment of a config is recorded; one of several targets, below that of all."""
    whole, _, target = config.name.rpartition(".")
    return files.runs() / whole / "latest" / target if config.data.partial else files.runs() / config.name / "latest"


def latest_folder(name: str) -> Path:
    """Return the folder of the latest experiment of a config.

    Raises:
        UserError: never trained.
    """
    folder = (files.runs() / name / "latest").resolve()
    if not (folder / "experiment.json").exists():
        raise UserError(
            f"There is no trained experiment {name!r} ({folder} is not there). Run `{runs_index.to_make(name)}` first."
        )
    return folder


def read(name: str, to_predict: bool = True) -> StoredExperiment:
    """Read the latest experiment of a config of one target; see `latest_folder` and `read_folder`."""
    return read_folder(latest_folder(name), to_predict)


def read_folder(folder: Path, to_predict: bool = True) -> StoredExperiment:
    """Read an experiment of one target.

    Args:
        folder: of its record, `latest_folder` for instance.
        to_predict: the cells' weights will be used, not only the predictions that they stored.

    Raises:
        UserError: recorded by another version, a cell is gone, or (to_predict) the code has changed.
    """
    value = runs_index.read_record(folder)
    runs_index.refuse_other_format(value, folder)
    python_copies.refuse_changed(value, folder)
    plans, outside_members = config_plans.from_json(value, folder, to_predict)
    return StoredExperiment(
        config=from_tables(value["name"], value["config"], str(folder / "config.toml")),
        config_plans=plans,
        outside_members=outside_members,
        levels={column: tuple(values) for column, values in value["levels"].items()},
        classes=tuple(value.get("classes", ())),  # an older record has none
        facts=ColumnFacts.from_json(value.get("columns", {})),
        clock=Clock(**value["clock"]) if "clock" in value else None,
        blend=Blend.from_json(value["blend"]),
        grids=[None if grid is None else Grid(**grid) for grid in value["grids"]],
        tidied=Tidying.from_json(value.get("tidied")),
        decisions=Decisions.from_json(value.get("decisions")),
        expected=[TargetRange(**target) for target in value["expected"]],
        score=value["scores"][-1][1][-1],
        folder=folder,
    )
