"""The [[model]] tables of a config: names, parameters, parts, and each model's own [train]."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

from foldline import models
from foldline.core import strict_tables
from foldline.core.errors import UserError, unknown
from foldline.data.metrics import default_losses, metric
from foldline.data.roles import DataConfig
from foldline.experiment import model_checks, model_sizes, teacher_checks
from foldline.fit import pretraining, pseudo_labels
from foldline.fit.pretraining import PretrainConfig
from foldline.fit.pseudo_labels import TeacherConfig
from foldline.fit.train_config import TrainConfig
from foldline.models.heads import ANY_SCALE, HEADS, joint
from foldline.models.ops import boosting_config
from foldline.run.cells import ModelConfig

COMMON_KEYS = (
    "name",
    "label",
    "train",
    "teacher",
    "pretrain",
    "channels_from",
    "masked_copies",
)  # of every [[model]]; the others are parameters
USED = {  # keys of [train] that matter to models that are no networks, beside augment.drop_channels of rows and series
    "rows": ("threads", "seeds", "full_seeds", "watch"),
    "series": ("threads", "seeds", "full_seeds"),
    "estimator": ("seeds", "full_seeds"),
}


def parse(tables: Any, train: TrainConfig, data: DataConfig, where: str) -> tuple[ModelConfig, ...]:
    """Check the [[model]] tables and resolve them.

    Args:
        train: the config's [train], which a model's `train` changes.
        data: its metric and kind of target decide the default loss.
        where: the file, for messages.

    Raises:
        UserError: an unknown model, key or part, an impossible value, or two models of one label.
    """
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise UserError(f"{where}: model must be a list of tables: write [[model]], with two brackets.")
    made: list[ModelConfig] = []
    for number, table in enumerate(tables):
        model = _model(table, train, data, f"{where}: model[{number}]")
        if "label" not in table:
            same = sum(other.name == model.name for other in made)
            model = replace(model, label=f"{model.name}-{same + 1}") if same else model
        model_checks.check_channels(model, made, data, f"{where}: model[{number}]")
        teacher_checks.check(model, made, data, f"{where}: model[{number}]")
        made.append(model)
    labels = [model.label for model in made]
    if len(set(labels)) < len(labels):
        raise UserError(f"{where}: every [[model]] needs a label of its own, but they are {', '.join(labels)}.")
    return tuple(made)


def _model(table: dict[str, Any], train: TrainConfig, data: DataConfig, where: str) -> ModelConfig:
    name = strict_tables.convert(str, table.get("name", ""), f"{where}.name")
    if name not in models.MODELS:
        raise unknown("model", name, models.MODELS, where)
    params = _params(table, models.MODELS[name].config, data, where)
    own = _own_train(table.get("train", {}), name, train, where)
    model = ModelConfig(
        name=name,
        label=strict_tables.convert(str, table.get("label", name), f"{where}.label"),
        params=params,
        train=own,
        teacher=strict_tables.convert(TeacherConfig | None, table.get("teacher"), f"{where}.teacher"),
        pretrain=strict_tables.convert(PretrainConfig | None, table.get("pretrain"), f"{where}.pretrain"),
        channels_from=strict_tables.convert(str, table.get("channels_from", ""), f"{where}.channels_from"),
        masked_copies=strict_tables.convert(int, table.get("masked_copies", 0), f"{where}.masked_copies"),
    )
    model_checks.check_training(model, data, where)
    return model


def _params(table: dict[str, Any], kind: Any, data: DataConfig, where: str) -> dict[str, Any]:
    """Check a model's parameters, and fill in its defaults. kind: the config class of the model."""
    params = {key: value for key, value in table.items() if key not in COMMON_KEYS}
    known = [*COMMON_KEYS, *(f.name for f in fields(kind) if f.init)]
    for key in params:
        if key not in known:
            raise unknown("key", key, known, where)
    model_sizes.check(table["name"], params, where)
    built = _with_loss_of_metric(strict_tables.build(kind, params, where), table, data, where)
    for part, registry in kind.parts.items():
        value = getattr(built, part)
        if isinstance(value, dict):
            _check_head(value, registry, data, f"{where}.{part}")
            continue
        for number, inner in enumerate(value):
            _check_entry(inner, registry, f"{where}.{part}[{number}]")
    if data.target_transform:
        _refuse_loss_in_own_unit(built, data, where)
    try:
        if hasattr(built, "of_forecast"):
            if not data.has_start:  # data.known: what is wanted may lie before what is known
                raise ValueError(
                    f"{table['name']} forecasts from the known past of the target: give [data.forecast], or "
                    "data.observed"
                )
            built = built.of_forecast(data.forecast.history, data.forecast.horizon)
        if kind.kind == "rows":
            boosting_config.check_kind(built, data.kind)
        elif kind.kind == "series":
            if data.level_inside != "series":
                raise ValueError(f'{table["name"]} has one answer a series: it needs data.level = "series"')
            built = replace(built, channels=built.channels or data.numeric_inputs)
            built.check_kind(data.kind)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    plain: dict[str, Any] = strict_tables.plain(built)
    return plain


def _with_loss_of_metric(built: Any, table: dict[str, Any], data: DataConfig, where: str) -> Any:
    """Replace a default loss that is L1, or not for this kind of target, by that of the competition's metric.

    Only where the model's table names no loss.
    """
    chosen, own_unit = metric(*data.metric_choice(0)), not data.target_transform
    if "objective" not in table and getattr(built, "objective", "") == "l1":
        return replace(built, **default_losses.objective_of(chosen, data.kind, own_unit))
    own = getattr(built, "head", None) if built.kind == "network" else None
    if own is None or "head" in table:
        return built
    default = HEADS[own["kind"]].make
    fits = data.kind in default.kinds and data.level_inside in default.target_levels  # type: ignore[attr-defined]
    wanted = default_losses.head_of(chosen, data.kind, own_unit)
    if own["kind"] not in ("l1", wanted["kind"]) and fits:
        return built
    numbers = data.kind == "regression" and data.level == "step"  # others have no auxiliary targets
    head = {**(own if numbers else {}), **wanted}
    if head["kind"] not in built.parts["head"]:
        raise UserError(
            f"{where}: {table['name']} predicts numbers only, by the head {own['kind']!r}, but the target is "
            f"{data.kind}: take another model, such as hybrid or gru."
        )
    return replace(built, head=head)


def _refuse_loss_in_own_unit(built: Any, data: DataConfig, where: str) -> None:
    """Refuse a loss that has no meaning on a transformed scale: of relative errors, counts, or points of a grid.

    Raises:
        UserError
    """
    used, allowed = {"rows": ("objective", boosting_config.ANY_NUMBERS), "network": ("head", ANY_SCALE)}.get(
        built.kind, ("", ())
    )
    table = getattr(built, used, None)
    name = table["kind"] if isinstance(table, dict) else table
    if name is not None and name not in allowed:
        raise UserError(
            f"{where}: {used} {name!r} needs the target in its own unit, but data.target_transform is "
            f"{data.target_transform!r}: choose {', '.join(allowed)}, or drop the transform."
        )


def _check_head(table: dict[str, Any], registry: dict[str, Any], data: DataConfig, where: str) -> None:
    """Check the table of a head, and those of the heads beside it."""
    own, entries = joint.split_table(table)
    _check_part(own, registry, where)
    names = {each.name: each.kind for each in data.auxiliary}
    for number, entry in enumerate(strict_tables.convert(tuple[dict[str, Any], ...], entries, f"{where}.beside")):
        place = f"{where}.beside[{number}]"
        own_fields, inner = joint.split_entry(entry)
        target = strict_tables.build(joint.BesideConfig, own_fields, place).target
        if target not in names:
            raise UserError(
                f"{place}: target = {target!r} must be the first column of a [[data.auxiliary]], but these are "
                f"{', '.join(names) or 'none'}."
            )
        _check_part(inner, HEADS, place)
        fitting = [kind for kind, part in HEADS.items() if names[target] in part.make.kinds]  # type: ignore[attr-defined]
        if inner["kind"] not in fitting:
            raise UserError(
                f"{place}: the {inner['kind']} head does not serve {target!r}, which is {names[target]}: choose "
                f"{', '.join(fitting)}."
            )


def _check_entry(entry: Any, registry: dict[str, Any], where: str) -> None:
    """Check an entry of a list of blocks, or one that has a list of its own, as a branch."""
    if isinstance(entry, dict):
        _check_part(entry, registry, where)
        return
    for number, inner in enumerate(entry.blocks):
        _check_part(inner, registry, f"{where}.blocks[{number}]")


def _check_part(table: dict[str, Any], registry: dict[str, Any], where: str) -> None:
    """Check the table of a block or a head: its kind, and the kind's keys."""
    kind = strict_tables.convert(str, table.get("kind", ""), f"{where}.kind")
    if kind not in registry:
        raise unknown("kind", kind, registry, where)
    strict_tables.build(registry[kind].config, {key: value for key, value in table.items() if key != "kind"}, where)


def _own_train(changes: Any, name: str, train: TrainConfig, where: str) -> TrainConfig:
    """Resolve a model's `train`: the config's [train] with the model's changes."""
    strict_tables.build(
        TrainConfig, changes, f"{where}.train"
    )  # by itself first: `changed` merges tables, and it may be none
    kind = models.MODELS[name].config.kind
    used = USED.get(kind, tuple(changes))
    ignored = sorted(set(changes) - set(used))
    if kind in ("rows", "series") and set(changes.get("augment", ())) == {"drop_channels"}:
        ignored.remove("augment")
    if ignored:
        listed = f"{', '.join(used[:-1])} and {used[-1]}"
        raise UserError(f"{where}.train: of [train] only {listed} matter to {name}, but got {', '.join(ignored)}.")
    return strict_tables.changed(train, changes, f"{where}.train")


def to_table(model: ModelConfig, train: TrainConfig) -> dict[str, Any]:
    """Return a resolved [[model]] table; `parse` reads it back. train: the config's [train]."""
    return {
        "name": model.name,
        "label": model.label,
        **strict_tables.plain(model.params),
        "train": _changes(model.train, train),
        **strict_tables.plain(
            {"teacher": pseudo_labels.to_table(model.teacher), "pretrain": pretraining.to_table(model.pretrain)}
        ),
        **({"channels_from": model.channels_from} if model.channels_from else {}),
        **({"masked_copies": model.masked_copies} if model.masked_copies else {}),
    }


def _changes(own: Any, common: Any) -> dict[str, Any]:
    """Return what a model's [train] has otherwise than the config's, table by table."""
    changes: dict[str, Any] = {}
    for f in fields(own):
        mine, other = getattr(own, f.name), getattr(common, f.name)
        if mine != other:
            changes[f.name] = _changes(mine, other) if is_dataclass(mine) else strict_tables.plain(mine)
    return changes
