"""Makes docs/reference.md from the dataclasses that read configs and the table of verbs: `./run.sh reference`.

A key's explanation is the comment beside its field, so that there is one place for it: the source.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
import re
import tokenize
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import foldline
from foldline import features, models
from foldline.cli.verb_table import VERBS
from foldline.core import strict_tables
from foldline.evidence.ablation.ablation_file import AblateConfig
from foldline.evidence.study.study_file import StudyConfig, SystemConfig
from foldline.evidence.tuning.tuning_file import TuneConfig
from foldline.experiment.config import TABLES
from foldline.experiment.target_tables import TargetConfig
from foldline.fit.pretraining import PretrainConfig
from foldline.fit.pseudo_labels import TeacherConfig
from foldline.models.blocks import BLOCKS
from foldline.models.contract import Part
from foldline.models.heads import HEADS
from foldline.models.heads.joint import BesideConfig

PAGE = Path(foldline.__path__[0]).parents[1] / "docs" / "reference.md"
NAMES = {int: "whole number", float: "number", str: "text", bool: "true, false", Any: "any"}
HEAD = """\
# Reference

Made by `./run.sh reference` from the source; change it there. Types are TOML's. Any key can be given on the command
line, `train.lr=1e-3`, one of the second model as `model.1.width=32`. A key that does not exist is an error that names
the nearest one.
"""


@dataclass(frozen=True)
class Key:
    """One key of a table."""

    name: str
    kind: str
    default: str  # as TOML; empty: it must be given
    comment: str  # from the source


def page() -> str:
    """Make the whole page, as Markdown."""
    parts = [HEAD, "## Verbs\n", *_verbs(), "## Tables of a config\n"]
    for name, kind in TABLES.items():
        parts += _sections(f"[{name}]", kind, name)
        if name == "features":
            parts += _features()
    parts += _sections("[[target]]", TargetConfig, "target")
    parts += ["### [[model]]\n", MODEL, *_sections("teacher", TeacherConfig), *_sections("pretrain", PretrainConfig)]
    parts += _registry("Models: `name` of a [[model]]", models.MODELS)
    parts += _registry("Blocks: `kind` in `blocks`", BLOCKS)
    parts += _registry("Heads: `kind` in `head`", HEADS)
    parts += _sections("Entries of `beside` in `head`", BesideConfig)
    parts += ["## Tables of other files\n", *_sections("[tune] of a search", TuneConfig)]
    parts += _sections("[ablate] of an ablation", AblateConfig)
    parts += [*_sections("[study] of a study", StudyConfig), *_sections("[[system]] of a study", SystemConfig)]
    return "\n".join(parts).rstrip() + "\n"


MODEL = """\
One table a model, each trained on every fold with every seed. Besides the model's own keys, which are below:

| key | type | default | |
|---|---|---|---|
| `name` | text | must be given | which model |
| `label` | text | its name | what tables call it; the second of a name is NAME-2 |
| `targets` | list of text | all of them | names of the [[target]]s that it is for, where there are several |
| `train` | table | `{}` | what it changes of [train] |
| `teacher` | table | left out | labels of test series that it is trained on, too |
| `pretrain` | table | left out | series that it is trained on first |
| `channels_from` | text | left out | label of an estimator of open rows: it learns what that leaves by its channels |
| `masked_copies` | whole number | `0` | with channels_from: copies of its series, fewer rows exact, to learn from |
"""


def _verbs() -> list[str]:
    lines = ["| | |", "|---|---|"]
    for name, verb in VERBS.items():
        usage = f"{name} {verb.usage}".strip().replace("|", "\\|")
        lines.append(f"| `{usage}` | {verb.summary} |")
    return ["\n".join(lines), "\n`./run.sh VERB --help` explains each, with examples.\n"]


def _features() -> list[str]:
    intro = "Families, named in `features.families`; each has a table of its own, `features.lags = {lags = [1, 2]}`.\n"
    parts = [intro, "### Feature families\n"]
    for name, family in sorted(features.FAMILIES.items()):  # whose docstring lists its columns
        parts += _entry(name, _sentence(family), family)
    return parts


def _registry(title: str, registry: Mapping[str, Part]) -> list[str]:
    """Make the section of a registry; each entry is described by the docstring of its file."""
    parts = [f"### {title}\n"]
    for name, part in sorted(registry.items()):
        parts += _entry(name, _first_paragraph(inspect.getmodule(part.make)), part.config)
    return parts


def _entry(name: str, about: str, kind: Any) -> list[str]:
    """Make the entry of a registry: its description, a table where it has keys, and those of lists of tables in it."""
    rows = keys(kind)
    parts = [f"**`{name}`**: {about}\n", *([_table(rows)] if rows else [])]
    for key, hint in strict_tables.field_types(kind).items():
        entry = get_args(hint)[0] if get_origin(hint) is tuple else None
        if dataclasses.is_dataclass(entry):
            parts += [f"Entries of its `{key}`:\n", _table(keys(entry))]
    return parts


def _sections(title: str, kind: Any, path: str = "") -> Iterator[str]:
    """Make the section of a table, and those of the tables inside it."""
    yield f"### {title}\n"
    yield f"{_sentence(kind)}\n"
    yield _table(keys(kind))
    for name, hint in strict_tables.field_types(kind).items():
        inner = [choice for choice in (hint, *get_args(hint)) if dataclasses.is_dataclass(choice)]
        for table in inner:
            dotted = f"{path}.{name}" if path else name
            yield from _sections(f"[[{dotted}]]" if get_origin(hint) is tuple else f"[{dotted}]", table, dotted)


def _table(rows: list[Key]) -> str:
    lines = ["| key | type | default | |", "|---|---|---|---|"]
    for row in rows:
        default = f"`{row.default}`" if row.default not in ("", "left out") else row.default or "must be given"
        cells = (f"`{row.name}`", row.kind, default, row.comment)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _sentence(kind: Any) -> str:
    """Return a docstring's first paragraph on one line, without the table's name before it, which the title has."""
    text = re.sub(r"^(\[+[\w.]+\]+|\w+ = \{\.\.\.\} in a \[\[model\]\]): ", "", _first_paragraph(kind))
    return text[:1].upper() + text[1:]


def _first_paragraph(documented: Any) -> str:
    """Return the first paragraph of a docstring on one line."""
    return " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())


def dotted() -> list[str]:
    """List every key of a config outside [[model]], as an override names it: train.augment.mixup."""

    def below(kind: Any, path: str) -> Iterator[str]:
        for key in keys(kind):
            hint = strict_tables.field_types(kind)[key.name]
            inner = dataclasses.is_dataclass(hint)
            yield from below(hint, f"{path}.{key.name}") if inner else [f"{path}.{key.name}"]

    return [name for table, kind in TABLES.items() for name in below(kind, table)]


FILLED_IN = ("tables", "competition_file", "times")  # of [features], by the loader of configs


def keys(kind: Any) -> list[Key]:
    """List the keys of a config's dataclass, in its order."""
    explained = comments(kind)
    hints = strict_tables.field_types(kind)
    return [
        Key(field.name, type_of(hints[field.name]), _default(field), explained.get(field.name, ""))
        for field in dataclasses.fields(kind)
        if field.init and field.name not in FILLED_IN
    ]


def comments(kind: type) -> dict[str, str]:
    """Collect for each field the comment beside it and on the lines just above it, of base classes, too."""
    found: dict[str, str] = {}
    for base in reversed([base for base in kind.__mro__ if dataclasses.is_dataclass(base)]):
        source = inspect.getsource(base)
        beside = _comments_by_line(source)
        lines = source.splitlines()
        (tree,) = ast.parse(source).body
        assert isinstance(tree, ast.ClassDef)
        for node in tree.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                first = node.lineno
                while lines[first - 2].strip().startswith("#"):
                    first -= 1
                numbers = range(first, (node.end_lineno or first) + 1)
                found[node.target.id] = " ".join(beside[number] for number in numbers if number in beside)
    return found


def _comments_by_line(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}


def type_of(hint: Any) -> str:
    """Name an annotation by TOML's types."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return ", ".join(type_of(choice) for choice in arguments if choice is not types.NoneType)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        return f"list of {type_of(arguments[0])}"
    if origin is dict or dataclasses.is_dataclass(hint):
        return "table"
    return NAMES.get(hint, str(hint))


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return toml(field.default)
    return "" if field.default_factory is dataclasses.MISSING else toml(field.default_factory())


def toml(value: Any) -> str:
    """Write a default as TOML; a table with a section of its own is `{}`."""
    if value is None:
        return "left out"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(item)}" for name, item in value.items()) + "}"
    return "{}" if dataclasses.is_dataclass(value) else str(value)
