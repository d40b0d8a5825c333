"""Makes docs/python-reference.md from the functions and results that `import foldline` offers: `./run.sh reference`.

What a function and its arguments mean is its docstring; what a field of a result holds, the comment beside it.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from functools import cached_property
from typing import Any

import foldline
from foldline.cli.config_reference import PAGE as CONFIGS
from foldline.cli.config_reference import comments

PAGE = CONFIGS.with_name("python-reference.md")
HEAD = """\
# Reference of `import foldline`

Made by `./run.sh reference` from the source; change it there. [How to use it](how-to/python.md). Keys that `**tables`
changes are those of [the configs](reference.md). Every function raises one type, `foldline.Error`, with the sentence
that the command line prints.
"""
LONGEST_LINE = 100
CHAPTERS = ("Args", "Returns", "Raises")


def page() -> str:
    """Make the whole page, as Markdown."""
    offered = {name: getattr(foldline, name) for name in foldline.__all__}
    parts = [HEAD, "## Functions\n"]
    parts += [_function(name, each) for name, each in offered.items() if inspect.isfunction(each)]
    parts.append("## What they return\n")
    parts += [_result(name, each) for name, each in offered.items() if dataclasses.is_dataclass(each)]
    return "\n".join(parts).rstrip() + "\n"


def _function(name: str, function: Any) -> str:
    """Make the section of a function: its signature, what it does, a table of its arguments, what it raises."""
    about, chapters = _split(inspect.getdoc(function) or "")
    lines = [f"### {name}\n", f"```python\n{_signature(name, function)}\n```\n", f"{about}\n"]
    lines += ["| | |", "|---|---|", *(f"| `{each}` | {text} |" for each, text in chapters.get("Args", {}).items()), ""]
    lines += [f"- raises `{each}`: {text}" for each, text in chapters.get("Raises", {}).items()]
    return "\n".join(lines) + "\n"


def _signature(name: str, function: Any) -> str:
    """Write a signature: in one line where it is short, else an argument a line."""
    signature, words = inspect.signature(function), list[str]()
    for each in signature.parameters.values():
        if each.kind is each.KEYWORD_ONLY and not any(word.startswith("*") for word in words):
            words.append("*")
        prefix = "*" if each.kind is each.VAR_POSITIONAL else "**" if each.kind is each.VAR_KEYWORD else ""
        default = "" if each.default is each.empty else f" = {each.default!r}"
        words.append(f"{prefix}{each.name}: {each.annotation}{default}")
    text = f"{name}({', '.join(words)}) -> {signature.return_annotation}"
    if len(text) <= LONGEST_LINE:
        return text
    lines = "".join(f"    {word},\n" for word in words)
    return f"{name}(\n{lines}) -> {signature.return_annotation}"


def _result(name: str, kind: Any) -> str:
    """Make the section of a result: what it is, a table of its fields, properties and methods."""
    explained = comments(kind)
    lines = [f"### {name}\n", f"{_split(inspect.getdoc(kind) or '')[0]}\n", "| | | |", "|---|---|---|"]
    rows = [(field.name, str(field.type), explained.get(field.name, "")) for field in dataclasses.fields(kind)]
    for called, member in inspect.getmembers(kind, lambda each: isinstance(each, property | cached_property)):
        getter: Any = member.fget if isinstance(member, property) else member.func
        returned = inspect.signature(getter).return_annotation
        rows.append((called, str(returned), _split(inspect.getdoc(member) or "")[0]))
    for called, member in inspect.getmembers(kind, inspect.isfunction):
        if not called.startswith("_") and member.__doc__:
            returned = inspect.signature(member).return_annotation
            rows.append((f"{called}()", str(returned), _split(inspect.getdoc(member) or "")[0]))
    lines += [f"| `{called}` | `{_cell(of)}` | {_cell(text)} |" for called, of, text in rows]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _split(text: str) -> tuple[str, dict[str, dict[str, str]]]:
    """Split a docstring into what stands before its chapters, on one line, and the entries of each chapter."""
    before, *rest = re.split(rf"^({'|'.join(CHAPTERS)}):$", text, flags=re.MULTILINE)
    chapters = {}
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        entries = re.findall(r"^    (\S+): (.*(?:\n {8}.*)*)", body, flags=re.MULTILINE)
        chapters[title] = {name: _cell(" ".join(said.split())) for name, said in entries}
    return " ".join(before.split()), chapters
