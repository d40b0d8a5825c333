"""Mutated configs: each is read with the meaning that TOML gives it, or refused by a sentence that names file or key.

A child reads ten mutated configs of the small competition, and of those that it accepts makes all up to the plan.
"""

from __future__ import annotations

import copy
import os
import resource
import shutil
import tomllib
import traceback
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import tiny
import tomli_w

from benchmarks.fault_injection import batches, sheets
from benchmarks.fault_injection.children import Ended
from benchmarks.fault_injection.fault import Fault, Kind, Outcome
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.experiment import config as configs
from foldline.experiment import config_files, preparation

BATCH = 10  # configs that one child reads
MEMORY = 32 << 30  # bytes of addresses that a child may have: absurd sizes must be refused, not tried
VALUES: tuple[Any, ...] = (
    *(0, 1, -1, 2, 10**6, 10**12, 2**63 - 1, -(2**63), 0.5, -0.0, 1e300, 1e-300, float("nan"), float("inf")),
    *(
        True,
        False,
        "",
        "1",
        "none",
        "cpu",
        "é",
        "a\nb",
        'a"b',
        "*",
        "row",
        "speed",
        [],
        [1],
        ["row"],
        [[]],
        {},
        {"a": 1},
    ),
    *(
        [1, 1],
        ["", ""],
        [True],
        [{"kind": "bilstm"}],
        [{"kind": "conv", "kernel": 10**9}],
        {"seed": -1},
        "../x",
        "x" * 999,
    ),
)
NAMES = ("row", "ride", "second", "power", "coasting", "bike", "speed", "fold", "nothing", "", "*", "^.*$", "__step__")
WORDS = (
    *("coasting", "power", "second", "bike", "ride", "row", "speed", '"order"', "'x'", "0", "1", "-1", "1e400", "NULL"),
    *(
        "=",
        "==",
        "<",
        ">=",
        "<>",
        "+",
        "-",
        "*",
        "/",
        "%",
        "AND",
        "OR",
        "NOT",
        "IS",
        "IN",
        "BETWEEN",
        "LIKE",
        "CASE",
        "WHEN",
    ),
    *(
        "THEN",
        "ELSE",
        "END",
        "(",
        ")",
        ",",
        ";",
        "--",
        "SELECT",
        "FROM",
        "MAX(power)",
        "ABS(power)",
        "SQRT(power)",
        "ROUND(",
    ),
    *("CAST(power AS INT)", "COALESCE(bike, 0)", "TRUE", "OVER ()", "SUM(power)", "DATE '2020-01-01'", "x'00'", "||"),
)


@dataclass(frozen=True)
class Mutated:
    """A home folder with one mutated config."""

    home: Path
    text: bytes
    what: str

    @property
    def path(self) -> Path:
        return self.home / "configs" / "rides.toml"


def _leaves(table: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the paths of all values, tables among them."""
    inside = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    return [found for key, value in inside for found in ((*path, key), *_leaves(value, (*path, key)))]


def _parent(tables: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        tables = tables[key]
    return tables


def _change(tables: dict[str, Any], draw: Random) -> str:
    """Change a config's tables in one way."""
    path = draw.choice(_leaves(tables))
    parent, how = (
        _parent(tables, path),
        draw.choice(["value", "value", "drop", "key", "copy", "role", "scored", "twice"]),
    )
    if how in ("role", "scored") and not isinstance(tables.get("data"), dict):
        tables["data"] = {}  # another change has dropped it, or made it something else
    if how == "role":
        role = draw.choice(["id", "key", "order", "inputs", "static", "target"])
        name = draw.choice(NAMES)
        tables["data"][role] = draw.choice([name, [name], [name, draw.choice(NAMES)]])
        return f"data.{role} = {tables['data'][role]!r}"
    if how == "scored":
        tables["data"]["scored"] = " ".join(draw.choice(WORDS) for _ in range(draw.randrange(1, 8)))
        return f"data.scored = {tables['data']['scored']!r}"
    if how == "drop":
        del parent[path[-1]]
    elif how == "key" and isinstance(parent, dict):
        new = draw.choice([f"{path[-1]}s", str(path[-1]).upper(), f"{path[-1]}"[:-1], "epochs", "kind", "é"])
        parent[new] = parent.pop(path[-1])
        return f"{path} renamed {new!r}"
    elif how == "copy":
        value = copy.deepcopy(_parent(tables, path)[path[-1]])
        other = draw.choice(_leaves(tables))
        _parent(tables, other)[other[-1]] = value
        return f"{other} gets the value of {path}"
    elif how == "twice" and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[path[-1]]))
    else:
        parent[path[-1]] = copy.deepcopy(draw.choice(VALUES))
        return f"{path} = {str(parent[path[-1]])[:60]!r}"
    return f"{path} {how}"


def _in_text(text: bytes, draw: Random) -> tuple[bytes, str]:
    """Change the text of a config: lines or bytes."""
    if draw.random() < 0.5:
        return sheets.spoiled(text, draw)
    lines = text.split(b"\n")
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    how = draw.choice(["dropped", "doubled", "moved"])
    line = lines[one] if how == "doubled" else lines.pop(one)
    if how != "dropped":
        lines.insert(other, line)
    return b"\n".join(lines), f"line {one} {how} to {other}"


def made(number: int, seed: int, scratch: Path, source: Path) -> Mutated:
    """Write one mutated config."""
    draw, home = Random(f"config {seed} {number}"), scratch / f"{number}"
    tables, parts = tomllib.loads(tiny.CONFIG.format(source=source)), list[str]()
    text = tiny.CONFIG.format(source=source).encode()
    if draw.random() < 0.75:
        for _ in range(draw.choice([1, 1, 2])):
            parts.append(_change(tables, draw))
        text = tomli_w.dumps(tables).encode()
    if not parts or draw.random() < 0.1:
        text, part = _in_text(text, draw)
        parts.append(part)
    one = Mutated(home, text, f"seed {seed}, number {number}: {'; '.join(parts)}")
    one.path.parent.mkdir(parents=True)
    one.path.write_bytes(text)
    return one


def tried(home: Path) -> tuple[str, str]:
    """Read a config and prepare its experiment, in the child: how that ended, and the sentence or the difference."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.environ["FOLDLINE_HOME"] = str(home)
    os.chdir(home)
    path = home / "configs" / "rides.toml"
    kept: tuple[str, ...] = ("configs",)
    try:
        config = configs.load(path)
        held = config_files.read(path) if b"extends" in path.read_bytes() else tomllib.loads(path.read_text())
        different = _difference(held, config.tables())
        if different:
            return "differs", different
        kept = ("configs", "runs")  # features are stored before a plan is made, for whoever needs them next
        preparation.prepare(config, Terminal(quiet=True), dry=True)
    except UserError as error:
        written = [file for file in tiny.tree(home) if not file.startswith(kept)]
        return ("wrote", str(written)) if written else ("refused", str(error))
    except BaseException:
        return "traceback", traceback.format_exc()
    return "fine", ""


def _difference(held: Any, got: Any, path: str = "") -> str:
    """Say where the resolved config lacks what TOML gives, or has another value; empty where it does neither."""
    pairs: list[tuple[Any, Any, Any]] = []  # name, value held, value got
    if isinstance(held, dict) and isinstance(got, dict):
        pairs = [(key, value, got.get(key, "nothing")) for key, value in held.items()]
    elif isinstance(held, list) and isinstance(got, list) and len(held) == len(got):
        pairs = list(zip(range(len(held)), held, got, strict=True))
    elif held != got or isinstance(held, bool) != isinstance(got, bool):
        return f"{path}: {got!r} instead of {held!r}"
    found = (_difference(one, other, f"{path}.{name}") for name, one, other in pairs)
    return next(filter(None, found), "")


def config_faults(seed: int, scratch: Path) -> Generator[Fault, None, None]:
    """Read mutated configs, without end."""
    source, number = tiny.write(scratch / "rides", tiny.frames()), 0
    while True:
        several = [made(number + place, seed, scratch, source) for place in range(BATCH)]
        number += BATCH
        for one, answer in zip(several, batches.answers(tried, [one.home for one in several], scratch), strict=True):
            yield Fault(one.what, *_judged(one, answer))
            shutil.rmtree(one.home)


def _judged(one: Mutated, answer: Any) -> tuple[Outcome, str]:
    if isinstance(answer, Ended):
        return answer.broken or Outcome.OUTSIDE, answer.err
    how, text = answer
    if how == "refused":
        # What is wrong is in the config, or in tables that do not fit it.
        named = any(word in text for word in ("rides", "data.", "model", "features", "train", "folds", "lightgbm"))
        return (Outcome.FINE if named and "\n" not in text else Outcome.UNCLEAR), text
    outcomes = {
        "fine": Outcome.FINE,
        "differs": Outcome.SILENT,
        "wrote": Outcome.SILENT,
        "traceback": Outcome.TRACEBACK,
    }
    return outcomes[how], text


CONFIGS = Kind(
    name="configs",
    promise="A config means what its TOML says, or one sentence says what is wrong; nothing is trained then, and "
    "nothing written but features under runs/",
    how="values, types, sizes, keys, roles, SQL words, lines and bytes changed; compared with tomllib",
    share=1.5,
    faults=config_faults,
)
