"""A config file in, a frozen `Config` out: TOML, one level of `extends`, dotted overrides, nothing unknown passes.

Each table's dataclass stands beside its owner (table.py has [data], recipe.py [train], ...): fields, units, defaults.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from foldline import models
from foldline.blend import BlendConfig
from foldline.blend.post_processing import PostConfig
from foldline.core import files, schema
from foldline.core.errors import UserError, unknown
from foldline.core.overrides import with_overrides
from foldline.data import featurize
from foldline.data.featurize import FeaturesConfig
from foldline.data.folds import FoldsConfig
from foldline.data.metrics import METRICS, metric
from foldline.data.roles import DataConfig
from foldline.fit.pretraining import PretrainConfig
from foldline.fit.pseudo_labels import TeacherConfig
from foldline.fit.scaler import KINDS
from foldline.fit.train_config import TrainConfig
from foldline.run.cells import ModelConfig
from foldline.run.executors import ExecutorConfig
from foldline.run.tracking import TrackConfig

TABLES: dict[str, type[Any]] = {
    "data": DataConfig,
    "features": FeaturesConfig,
    "folds": FoldsConfig,
    "train": TrainConfig,
    "blend": BlendConfig,
    "post": PostConfig,
    "track": TrackConfig,
    "executor": ExecutorConfig,
}

OTHERS = {  # table that is in files other than configs only -> what such a file is, and its verb
    "space": ("a search", "tune"),
    "variant": ("an ablation", "ablate"),
    "system": ("a study", "study"),
}


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

    def tables(self) -> dict[str, Any]:
        """The resolved config as TOML tables; `from_tables` reads them back."""
        tables = {name: schema.plain(getattr(self, name)) for name in TABLES}
        tables["features"] |= tables["features"].pop("tables")
        tables["model"] = [
            {
                "name": model.name,
                "label": model.label,
                **schema.plain(model.params),
                "train": _changes(model.train, self.train),
                **schema.plain({"teacher": model.teacher, "pretrain": model.pretrain}),
            }
            for model in self.models
        ]
        return tables


def _changes(mine: Any, common: Any) -> dict[str, Any]:
    """What a model's [train] says differently, table by table."""
    changes: dict[str, Any] = {}
    for f in fields(mine):
        own, other = getattr(mine, f.name), getattr(common, f.name)
        if own != other:
            changes[f.name] = _changes(own, other) if is_dataclass(own) else schema.plain(own)
    return changes


def load(path: Path, overrides: list[str] | None = None) -> Config:
    """Read a config file.

    Args:
        path: a .toml file; a bare name is looked up in configs/.
        overrides: `table.key=value` texts, values parsed as TOML; where that fails, the raw text is the value.

    Raises:
        UserError: no such file, broken TOML, unknown key, wrong type, impossible value.
    """
    path, texts = locate(path, trainable=True), overrides or []
    tables = _extended(path)
    resolved = with_overrides(tables, texts)
    try:
        return from_tables(path.stem, resolved, str(path))
    except UserError as error:
        guilty = " ".join(_guilty(tables, texts))
        if not guilty:
            raise
        raise UserError(f"{str(error).rstrip('.')}. What is wrong is the override {guilty}, not the file.") from error


def _extended(path: Path) -> dict[str, Any]:
    """A config file's tables, over those of the one that it extends."""
    tables = _read(path)
    for table, (kind, verb) in OTHERS.items():
        if table in tables:
            raise UserError(f"{path} is no config, but {kind}: `./run.sh {verb} {path.stem}` reads it.")
    if "extends" not in tables:
        return tables
    name = str(tables.pop("extends"))
    beside, packed = path.parent / name, files.packed_configs() / name
    base = packed if packed.is_file() and not beside.is_file() else beside
    below = _read(base)
    if "extends" in below:
        raise UserError(f"{path}: extends reaches one level only, but {base} extends {below['extends']} itself.")
    return schema.merged(below, tables)


def locate(path: Path, trainable: bool = False) -> Path:
    """The file meant by a path or a bare name; configs/NAME is looked up as NAME is.

    Args:
        trainable: where there is none, list only configs that have models; else searches, ablations, studies, too.
    """
    if path.is_file():
        return path
    name, known = path.name.removesuffix(".toml"), named_configs()
    if name in known and path.parent in (Path(), Path("configs")):
        return known[name]
    there = [name for name, file in known.items() if not trainable or _has_models(file)]
    raise unknown("config", str(path), there, "CONFIG")


def named_configs() -> dict[str, Path]:
    """List the files that a bare name may mean: those that an installed foldline brings, and over them configs/."""
    folders = (files.packed_configs(), files.home() / "configs")
    return {file.stem: file for folder in folders for file in folder.glob("*.toml")}


def _has_models(path: Path) -> bool:
    """Its own, or those of the config that it extends; a file that can't be read shall be seen in a list."""
    try:
        return not {"model", "extends"}.isdisjoint(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return True


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist, but a config extends it.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no valid TOML: {error}.") from error


def _guilty(tables: dict[str, Any], texts: list[str]) -> list[str]:
    """Of overrides that don't pass: those without which the others do, else all; none where the file alone doesn't."""
    alone = [text for number, text in enumerate(texts) if _passes(tables, [*texts[:number], *texts[number + 1 :]])]
    return alone or (texts if _passes(tables, []) else [])


def _passes(tables: dict[str, Any], texts: list[str]) -> bool:
    try:
        from_tables("", with_overrides(tables, texts), "")
    except UserError:
        return False
    return True


def from_tables(name: str, tables: dict[str, Any], where: str) -> Config:
    """Check tables and make the Config; `where` names their file for messages."""
    for key in tables:
        if key not in TABLES and key != "model":
            raise unknown("table", key, [*TABLES, "model", "extends"], where)
    for needed in ("data", "model"):
        if needed not in tables:
            raise UserError(
                f"{where}: the table [{needed}] must be given."
                if needed == "data"
                else f"{where}: at least one [[model]] must be given."
            )
    if isinstance(tables.get("features"), dict):
        tables = {**tables, "features": featurize.parse(tables["features"], f"{where}: features")}
    made = {key: schema.build(kind, tables.get(key, {}), f"{where}: {key}") for key, kind in TABLES.items()}
    if made["features"].scaler not in KINDS:
        raise unknown("scaler", made["features"].scaler, KINDS, f"{where}: features.scaler")
    if made["data"].metric not in METRICS:
        raise unknown("metric", made["data"].metric, METRICS, f"{where}: data.metric")
    if made["post"].decode and len(made["data"].target) != 1:
        raise UserError(
            f"{where}: post.decode = true needs one target, but data.target has {len(made['data'].target)}."
        )
    return Config(name=name, models=_models(tables["model"], made["train"], made["data"].metric, where), **made)


def _models(tables: Any, train: TrainConfig, scored_by: str, where: str) -> tuple[ModelConfig, ...]:
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise UserError(f"{where}: model must be a list of tables: write [[model]], with two brackets.")
    made: list[ModelConfig] = []
    for number, table in enumerate(tables):
        model = _model(table, train, scored_by, f"{where}: model[{number}]")
        if "label" not in table:
            same = sum(other.name == model.name for other in made)
            model = replace(model, label=f"{model.name}-{same + 1}") if same else model
        made.append(model)
    labels = [model.label for model in made]
    if len(set(labels)) < len(labels):
        raise UserError(f"{where}: every [[model]] needs a label of its own, but they are {', '.join(labels)}.")
    return tuple(made)


OWN = ("name", "label", "train", "teacher", "pretrain")  # keys of a [[model]] that are not the model's parameters


def _model(table: dict[str, Any], train: TrainConfig, scored_by: str, where: str) -> ModelConfig:
    name = schema.convert(str, table.get("name", ""), f"{where}.name")
    if name not in models.MODELS:
        raise unknown("model", name, models.MODELS, where)
    kind = models.MODELS[name].config
    params = {key: value for key, value in table.items() if key not in OWN}
    known = [*OWN, *(f.name for f in fields(kind) if f.init)]
    for key in params:
        if key not in known:
            raise unknown("key", key, known, where)
    built = _scored_by(schema.build(kind, params, where), params, scored_by)
    for part, registry in kind.parts.items():
        tables = getattr(built, part)
        for number, inner in enumerate([tables] if isinstance(tables, dict) else tables):
            _check_part(inner, registry, f"{where}.{part}" if isinstance(tables, dict) else f"{where}.{part}[{number}]")
    changes = table.get("train", {})
    schema.build(TrainConfig, changes, f"{where}.train")
    ignored = sorted(set(changes) - {"threads", "seeds", "watch"})
    if kind.kind == "rows" and ignored:
        raise UserError(
            f"{where}.train: of [train] only threads, seeds and watch matter to {name}, but got {', '.join(ignored)}."
        )
    own = schema.changed(train, changes, f"{where}.train")
    label = schema.convert(str, table.get("label", name), f"{where}.label")
    teacher = schema.convert(TeacherConfig | None, table.get("teacher"), f"{where}.teacher")
    pretrain = schema.convert(PretrainConfig | None, table.get("pretrain"), f"{where}.pretrain")
    if kind.kind == "rows" and (teacher or pretrain):
        raise UserError(f"{where}: {name} learns from its fold's rows only; leave out teacher and pretrain.")
    first = own if pretrain is None else schema.changed(own, pretrain.train, f"{where}.pretrain.train")
    if kind.kind == "network" and first.epochs == 0:
        way_out = "give pretrain.train.epochs" if pretrain else "give train.epochs, or pretrain it"
        raise UserError(f"{where}: a network must be trained, but for 0 epochs it is not: {way_out}.")
    return ModelConfig(
        name=name, label=label, params=schema.plain(built), train=own, teacher=teacher, pretrain=pretrain
    )


def _scored_by(built: Any, given: dict[str, Any], name: str) -> Any:
    """The model's table with the loss of the competition's metric, where the table names none and the default is L1."""
    loss = metric(name).trained_by
    if "objective" not in given and getattr(built, "objective", "") == "l1":
        return replace(built, objective=loss)
    if "head" not in given and getattr(built, "head", {}).get("kind") == "l1":
        return replace(built, head={**built.head, "kind": loss})
    return built


def _check_part(table: dict[str, Any], registry: dict[str, Any], where: str) -> None:
    kind = schema.convert(str, table.get("kind", ""), f"{where}.kind")
    if kind not in registry:
        raise unknown("kind", kind, registry, where)
    schema.build(registry[kind].config, {key: value for key, value in table.items() if key != "kind"}, where)


def without_outside_members(config: Config) -> Config:
    """The config as it is without its members from outside."""
    return replace(config, blend=replace(config.blend, outside=()))
