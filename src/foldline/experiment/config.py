"""Read a config file into a frozen `Config`: TOML, one level of `extends`, dotted overrides; unknown keys are refused.

The dataclass of each table, with fields, units and defaults, stands beside its owner: [data] in data/roles.py, [train]
in fit/train_config.py, and so on, as the imports below say. [[model]] is read by model_tables.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from foldline.core import files, strict_tables
from foldline.core.errors import UserError, unknown
from foldline.core.overrides import with_overrides
from foldline.data import featurize, sample_submission, task
from foldline.data.featurize import FeaturesConfig
from foldline.data.fold_assignment import FoldsConfig
from foldline.data.metrics import metric
from foldline.data.roles import DataConfig
from foldline.ensemble import BlendConfig, post_processing
from foldline.ensemble.post_processing import PostConfig
from foldline.experiment import (
    config_files,
    default_models,
    model_checks,
    model_tables,
    python_files,
    serve_config,
    target_tables,
)
from foldline.experiment.serve_config import ServeConfig
from foldline.fit.scaler import KINDS
from foldline.fit.train_config import TrainConfig
from foldline.run import executor_config
from foldline.run.cells import ModelConfig
from foldline.run.executor_config import ExecutorConfig
from foldline.run.tracker import TrackConfig

TABLES: dict[str, type[Any]] = {
    "data": DataConfig,
    "features": FeaturesConfig,
    "folds": FoldsConfig,
    "train": TrainConfig,
    "blend": BlendConfig,
    "post": PostConfig,
    "track": TrackConfig,
    "executor": ExecutorConfig,
    "serve": ServeConfig,
}
NEWER = ("serve",)  # tables that older versions did not have: a record has them where they are used


@dataclass(frozen=True, kw_only=True)
class Config:
    """One experiment, resolved: every default filled in, every value checked."""

    name: str  # the file's name without .toml: the experiment's folder under runs/
    data: DataConfig
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    folds: FoldsConfig = field(default_factory=FoldsConfig)
    models: tuple[ModelConfig, ...]
    train: TrainConfig = field(default_factory=TrainConfig)
    blend: BlendConfig = field(default_factory=BlendConfig)
    post: PostConfig = field(default_factory=PostConfig)
    track: TrackConfig = field(default_factory=TrackConfig)
    executor: ExecutorConfig = field(default_factory=ExecutorConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)
    default: str = ""  # which default its models are, and why; empty: the config names them

    @property
    def units(self) -> str:
        """Name in the plural what is drawn at random for intervals: series, or what is held together of them."""
        return self.data.units if self.folds.similar is None else f"clusters of similar {self.data.units}"

    @property
    def interval_over(self) -> dict[str, str]:
        """Return what a record says of that: nothing where each series is drawn by itself."""
        return {"interval_over": self.units} if self.data.group or self.folds.similar else {}

    def tables(self) -> dict[str, Any]:
        """Return the resolved config as TOML tables; `from_tables` reads them back."""
        used = [name for name, kind in TABLES.items() if name not in NEWER or getattr(self, name) != kind()]
        tables = {name: strict_tables.plain(getattr(self, name)) for name in used}
        unset = [name for name in post_processing.NEWER if getattr(self.post, name) == getattr(PostConfig(), name)]
        tables["post"] = {name: value for name, value in tables["post"].items() if name not in unset}
        tables["features"] |= tables["features"].pop("tables")
        default = ExecutorConfig()
        for name in (name for name in executor_config.NEWER if getattr(self.executor, name) == getattr(default, name)):
            tables["executor"].pop(name)
        for name in ("competition_file", "times"):  # data.code and train.patches say them
            tables["features"].pop(name)
        tables["model"] = [model_tables.to_table(model, self.train) for model in self.models]
        return tables


@dataclass(frozen=True, kw_only=True)
class TargetPart:
    """One of several targets, with the config of its own experiment."""

    name: str  # of the [[target]]
    share: float  # of its score in the experiment's
    config: Config  # called CONFIG.NAME


@dataclass(frozen=True, kw_only=True)
class SeveralTargets:
    """A config with [[target]] tables: one experiment a target, and the mean of their scores."""

    name: str  # the file's
    parts: tuple[TargetPart, ...]
    given: dict[str, Any]  # the tables as they stand in the file, with overrides
    metric: target_tables.WholeChoice | None = None  # the file that scores all targets; None: the mean of their scores


def load(path: Path, overrides: list[str] | None = None) -> Config:
    """Read a config file with one target, or one of several: CONFIG.NAME is a [[target]] of that name.

    Args:
        path: a .toml file; a bare name is looked up in configs/.
        overrides: `table.key=value` texts, values parsed as TOML; where that fails, the raw text is the value.

    Raises:
        UserError: no such file, broken TOML, unknown key, wrong type, impossible value; several targets.
    """
    file, name = config_files.target_of(path)
    found = load_any(file, overrides)
    if isinstance(found, Config):
        return found
    parts = {part.name: part.config for part in found.parts}
    if name in parts:
        return parts[name]
    if name:
        raise unknown("target", name, parts, str(file))
    offered = " or ".join(f"{found.name}.{part}" for part in parts)
    raise UserError(f"{found.name} has {len(parts)} targets, but this is done for one at a time: name {offered}.")


def load_any(path: Path, overrides: list[str] | None = None) -> Config | SeveralTargets:
    """Read a config file, of one target or several; arguments and errors are those of `load`."""
    if config_files.target_of(path)[1]:
        return load(path, overrides)
    path, texts = config_files.locate(path, trainable=True), overrides or []
    tables = config_files.read(path)
    resolved = with_overrides(tables, texts)
    try:
        return _made(path.stem, resolved, str(path))
    except UserError as error:
        wrong = " ".join(_wrong_overrides(tables, texts, str(path)))
        if not wrong:
            raise
        raise UserError(f"{str(error).rstrip('.')}. What is wrong is the override {wrong}, not the file.") from error


def _made(name: str, tables: dict[str, Any], where: str) -> Config | SeveralTargets:
    """Check tables, and make the Config, or one for each [[target]]."""
    if target_tables.TABLE not in tables:
        return from_tables(name, tables, where)
    alone = {}
    for each in target_tables.expanded(tables, where):
        called = each.target.called
        alone[called] = each, from_tables(f"{name}.{called}", each.tables, f"{where} (target {called!r})")
    beside = {called: each.head_beside(config.data) for called, (each, config) in alone.items() if each.target.beside}
    parts = []
    for called, (each, config) in alone.items():
        others = [entry for other, entry in beside.items() if other != called]
        learning = target_tables.with_beside(config.tables(), others)
        joint = from_tables(config.name, learning, f"{where} (target {called!r})")
        joint = replace(joint, default=config.default)
        parts.append(TargetPart(name=called, share=each.share, config=joint))
    _refuse_own_layout(parts[0].config.data, where)
    whole = target_tables.whole_choice(tables, [Path(where).parent, files.home()], where)
    if whole is None:
        _refuse_mixed_directions(parts, where)
    return SeveralTargets(name=name, parts=tuple(parts), given=tables, metric=whole)


def _refuse_own_layout(data: DataConfig, where: str) -> None:
    """Refuse submission() of competition.py: it is given the predictions of one experiment, not of several."""
    if sample_submission.lays_out_itself(data):
        raise UserError(
            f"{where}: submission() of {data.code_path} lays out the predictions of one target, but there are several "
            "[[target]] tables: take submission() out, and name each target's columns or rows by column_template."
        )


def _refuse_mixed_directions(parts: Sequence[TargetPart], where: str) -> None:
    """Refuse a mean of scores of which some are better when higher, and others when lower."""
    better = {part.name: metric(*part.config.data.metric_choice(0)).better for part in parts}
    if len(set(better.values())) > 1:
        said = ", ".join(f"{part.config.data.metric} of {part.name} ({better[part.name]} is better)" for part in parts)
        raise UserError(
            f"{where}: the score is the mean of the targets' scores, so that all must go one way, but there are "
            f"{said}: take a metric of the other direction for some, such as log_loss for accuracy or r2 for mae, "
            "or give the competition's metric file as data.metric."
        )


def refuse_partial(config: Config, verb: str) -> None:
    """Refuse to make a submission of one target of several.

    Raises:
        UserError
    """
    if config.data.partial:
        whole = config.name.rpartition(".")[0]
        way_out = f"./run.sh {verb} {whole}" if whole else "move its [[model]] tables into the config with [[target]]"
        raise UserError(f"{config.name} is one of several targets, and a submission has them all: {way_out}.")


def _wrong_overrides(tables: dict[str, Any], texts: list[str], where: str) -> list[str]:
    """Find the overrides that make a config wrong: each without which the others pass.

    All of them where several are wrong; none where the file alone is wrong already.
    """
    without = [[*texts[:number], *texts[number + 1 :]] for number in range(len(texts))]
    single = [text for text, others in zip(texts, without, strict=True) if _passes(tables, others, where)]
    return single or (texts if _passes(tables, [], where) else [])


def _passes(tables: dict[str, Any], texts: list[str], where: str) -> bool:
    try:
        _made("", with_overrides(tables, texts), where)
    except UserError:
        return False
    return True


def from_tables(name: str, tables: dict[str, Any], where: str) -> Config:
    """Check tables and make the Config.

    Args:
        name: of the experiment.
        where: the tables' file, for messages.

    Raises:
        UserError: an unknown table or key, a wrong type, an impossible value.
    """
    for key in tables:
        if key not in TABLES and key != "model":
            raise unknown("table", key, [*TABLES, target_tables.TABLE, "model", "extends"], where)
    if "data" not in tables:
        raise UserError(f"{where}: the table [data] must be given.")
    default = ""
    if "model" not in tables:
        data = python_files.with_folders(strict_tables.build(DataConfig, tables["data"], f"{where}: data"), where)
        try:
            tables, row = default_models.filled(tables, data)
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        default = row.sentence
    if isinstance(tables.get("features"), dict):
        tables = {**tables, "features": featurize.parse(tables["features"], f"{where}: features")}
    made = {key: strict_tables.build(kind, tables.get(key, {}), f"{where}: {key}") for key, kind in TABLES.items()}
    if made["features"].scaler not in KINDS:
        raise unknown("scaler", made["features"].scaler, KINDS, f"{where}: features.scaler")
    made["data"] = python_files.with_folders(made["data"], where)
    made["features"] = python_files.with_code(made["features"], made["data"], where)
    try:
        chosen = metric(*made["data"].metric_choice(0))
        task.check_answer(made["data"], chosen)
    except UserError as error:  # unknown, or not for this kind of target
        raise UserError(f"{where}: {error}") from error
    if made["post"].decode and len(made["data"].target) != 1:
        raise UserError(
            f"{where}: post.decode = true needs one target, but data.target has {len(made['data'].target)}."
        )
    try:
        serve_config.check(made["serve"], made["data"])
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    models = model_tables.parse(tables["model"], made["train"], made["data"], where)
    model_checks.check_together(models, made["post"], made["executor"], where)
    trains = [train for model in models if model.is_network for train in model.trainings]
    made["features"] = replace(made["features"], times=any(train.patches.by_time for train in trains))
    if made["folds"].kind == "time":
        models = tuple(map(_with_full_cells, models))
    return Config(name=name, models=models, default=default, **made)


def _with_full_cells(model: ModelConfig) -> ModelConfig:
    """Give a model cells on all series unless it has some: with time folds only they have seen all the past."""
    full = model.train.full_seeds or model.train.seeds
    return replace(model, train=replace(model.train, full_seeds=full))


def without_full_cells(config: Config) -> Config:
    """Return the config without cells on all series: they predict test series only, and have no score."""
    models = tuple(replace(model, train=replace(model.train, full_seeds=())) for model in config.models)
    return replace(config, train=replace(config.train, full_seeds=()), models=models)


def without_outside_members(config: Config) -> Config:
    """Return the config without its members from outside."""
    return replace(config, blend=replace(config.blend, outside=()))
