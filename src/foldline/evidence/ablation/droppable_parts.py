"""What a variant may drop, by name: `drop = ["features.lags", "block.conv", "recipe.mixup", "model.lightgbm"]`.

    features.FAMILY   a feature family
    block.KIND        all blocks of that kind, from every hybrid
    head.aux          what all heads learn of the target besides itself (differences of it, ...)
    head.beside       the heads on auxiliary targets, of all models
    recipe.PART       a part of [train] in all models, see RECIPE; also recipe.teacher and recipe.pretrain
    post.STEP         a step after the blend: snap, decode
    model.LABEL       a member of the blend
    outside.NAME      a member from outside

Only what a config has can be dropped from it. `parts_of` lists that, so a misspelt part or one that is not there is an
error. All functions change the tables of a resolved config; `config.from_tables` checks the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from foldline.fit.augmentation import AUGMENTATIONS

Tables = dict[str, Any]
RECIPE: dict[str, tuple[tuple[str, ...], Any]] = {  # part -> (its path in [train], its value when it is off)
    "mixup": (("augment", "mixup"), 0.0),
    "mask_static": (("augment", "mask_static"), 0.0),
    "shuffle": (("augment", "shuffle"), 0.0),
    **{name: (("augment", name, "share"), 0.0) for name in AUGMENTATIONS},
    "ema": (("ema",), 0.0),
    "average": (("average",), 0),
    "crop": (("margin",), -1),
    "clip": (("clip",), 0.0),
    "weight_decay": (("weight_decay",), 0.0),
    "schedule": (("schedule",), "constant"),
}
OF_A_HEAD = ("aux", "beside")  # keys of a network's head
OF_A_MODEL = ("teacher", "pretrain")  # parts of the recipe that are tables of a [[model]]


def parts_of(tables: Tables) -> dict[str, Callable[[Tables], None]]:
    """List what can be dropped from a config: name -> function that removes it from the config's tables.

    Args:
        tables: of a resolved config, as `Config.tables` gives them.
    """
    models = tables["model"]
    found: dict[str, Callable[[Tables], None]] = {}
    found |= {f"features.{name}": partial(_without_family, name) for name in tables["features"]["families"]}
    kinds = sorted({block["kind"] for model in models for block in model.get("blocks", [])})
    found |= {f"block.{kind}": partial(_without_block, kind) for kind in kinds}
    for key in OF_A_HEAD:
        if any(key in head for head in _heads(tables)):
            found[f"head.{key}"] = partial(_without_key_of_heads, key)
    for name, (path, off) in RECIPE.items():
        if any(_inner(train, path, off) != off for train in _trains(tables)):
            found[f"recipe.{name}"] = partial(_switched_off, path, off)
    for name in OF_A_MODEL:
        if any(name in model for model in models):
            found[f"recipe.{name}"] = partial(_without_table, name)
    found |= {f"post.{step}": partial(_without_step, step) for step in ("snap", "decode") if tables["post"][step]}
    if len(models) > 1:
        found |= {f"model.{model['label']}": partial(_without_model, model["label"]) for model in models}
    names = [member["name"] for member in tables["blend"]["outside"]]
    return found | {f"outside.{name}": partial(_without_outside_member, name) for name in names}


def _without_family(name: str, tables: Tables) -> None:
    tables["features"]["families"].remove(name)
    tables["features"].pop(name, None)


def _without_block(kind: str, tables: Tables) -> None:
    for model in tables["model"]:
        if "blocks" in model:
            model["blocks"] = [block for block in model["blocks"] if block["kind"] != kind]


def _heads(tables: Tables) -> Iterator[Tables]:
    return (model["head"] for model in tables["model"] if isinstance(model.get("head"), dict))


def _without_key_of_heads(key: str, tables: Tables) -> None:
    for head in _heads(tables):
        head.pop(key, None)


def _trains(tables: Tables) -> Iterator[Tables]:
    """Yield [train] and each model's changes of it, those for its pre-training too."""
    yield tables["train"]
    for model in tables["model"]:
        yield model["train"]
        yield model.get("pretrain", {}).get("train", {})


def _inner(table: Tables, path: tuple[str, ...], default: Any) -> Any:
    for name in path:
        if name not in table:
            return default
        table = table[name]
    return table


def _switched_off(path: tuple[str, ...], off: Any, tables: Tables) -> None:
    for train in _trains(tables):
        if _inner(train, path, None) is not None:
            for name in path[:-1]:
                train = train[name]
            train[path[-1]] = off


def _without_table(name: str, tables: Tables) -> None:
    for model in tables["model"]:
        model.pop(name, None)


def _without_step(step: str, tables: Tables) -> None:
    tables["post"][step] = False


def _without_model(label: str, tables: Tables) -> None:
    tables["model"] = [model for model in tables["model"] if model["label"] != label]


def _without_outside_member(name: str, tables: Tables) -> None:
    tables["blend"]["outside"] = [member for member in tables["blend"]["outside"] if member["name"] != name]
