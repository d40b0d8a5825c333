"""`init`: look at the files of a competition, and write a config that says what each column is, and why."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from foldline.cli.config_reference import toml
from foldline.cli.main import Arguments
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data import folds, inspected_files, inspection, loading, metrics
from foldline.data.findings import Findings
from foldline.data.fold_assignment import FoldsConfig
from foldline.data.inspected_files import Tables
from foldline.data.inspected_forecast import SeenForecast
from foldline.data.table import Table
from foldline.experiment import config as configs
from foldline.experiment import default_models
from foldline.experiment.default_models import DefaultModels

ATTRIBUTES = {"column_template": "column", "id_template": "template"}  # of what was found, for keys of other names
OPTIONAL = ("group", "labels")  # keys that are left out where nothing was found
MANY = 512  # series; of fewer, batches are smaller
LONG, WINDOW = 2000, 1000  # steps: of longer series windows are named, so long
STEPS = 8  # an epoch, at least, where batches are
FOLDS = 5  # of fewer series, or groups of them, as many as there are
STRATIFIED: Final = "stratified-group"  # kinds of folds
PLAIN: Final = "group"


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Look, write the config, and show the evidence and what could not be told."""
    if not arguments.words:
        raise UserError("init needs the folder (or zip) with train and test: ./run.sh init FOLDER [out=CONFIG.toml].")
    folder, out = Path(arguments.words[0]), _out(arguments)
    if out.exists():
        raise UserError(f"{out} is there already: name another file with out=CONFIG.toml, or move it away.")
    tables = inspected_files.find(folder)
    found = inspection.inspect(tables.train, tables.test, tables.sample, tables.labels)
    files.write_text(out, config_text(folder, found, tables))
    evidence, unclear = tables.evidence | found.evidence, [*tables.unclear, *found.unclear]
    terminal.table(str(folder), ["key", "value", "because"], [_row(found, tables, name) for name in evidence])
    problem = _first_problem(out, found)
    for sentence in [*unclear, *([problem] if problem else [])]:
        terminal.say(f"? {sentence}")
    terminal.say("")
    terminal.say(f"Next: name the metric in {out}, then ./run.sh train {out} --dry-run")
    answer = {"path": str(out), "found": evidence, "unclear": unclear, "problem": problem}
    terminal.result(answer, f"config: {out}")
    return 0


def _out(arguments: Arguments) -> Path:
    given = dict(word.split("=", 1) for word in arguments.overrides)
    if set(given) - {"out"}:
        raise UserError(f"init takes out=CONFIG.toml, but not {min(set(given) - {'out'})}.")
    stem = Path(arguments.words[0]).resolve().name.split(".")[0]
    return Path(given.get("out", files.home() / "configs" / f"{stem}.toml")).expanduser()


def _first_problem(out: Path, found: Findings) -> str:
    """Return what foldline refuses in the files as they are, a sentence; empty where it takes them.

    Folds that can't be made of them as the config says become plain ones there.
    """
    names = metrics.names_for(found.kind)  # type: ignore[arg-type]
    metric = "accuracy" if found.asks_labels and "accuracy" in names else names[0]  # any that fits the sample
    try:
        written = configs.load(out, [f"data.metric={metric}"])
        _settle_folds(out, written.folds, loading.load(written.data).train)
    except UserError as error:
        return str(error)
    return ""


def _settle_folds(out: Path, wanted: FoldsConfig, train: Table) -> None:
    """Check that folds can be made; where strata have too few series for that, write plain ones."""
    try:
        folds.make(out, wanted, train, save=False)
    except UserError:
        if wanted.kind != STRATIFIED:
            raise
        folds.make(out, replace(wanted, kind=PLAIN), train, save=False)
        text = out.read_text(encoding="utf-8")
        files.write_text(out, text.replace(f'kind = "{STRATIFIED}"', f'kind = "{PLAIN}"'))


def config_text(folder: Path, found: Findings, tables: Tables) -> str:
    """Return the config: a line for each role, with its evidence behind it."""
    data = [f"source = {_text(str(folder))}"]
    data += [_line(key, name, tables.evidence[key]) for key, name in tables.named.items()]
    if found.level != "step":
        data.append(_line("level", found.level, found.evidence.get("level", "")))
    if found.level == "window":
        data.append(f'windows = {{length = {found.length}, stride = {found.length}, answer = "last"}}')
    if found.id and found.id != found.key:
        data.append(_line("id", found.id, found.evidence.get("id", "")))
    data += [_line(role, getattr(found, role), found.evidence.get(role, "")) for role in ("key", "order")]
    if found.copies:
        pairs = ", ".join(f"{_key(second)} = {_text(name)}" for second, name in found.copies.items())
        data.append(f"copies = {{{pairs}}}  # {found.evidence['copies']}")
    if found.template:
        data.append(_line("id_template", found.template, found.evidence["id_template"]))
    if found.column:
        data.append(_line("column_template", found.column, found.evidence["column_template"]))
    data += [_line(role, getattr(found, role), found.evidence[role]) for role in OPTIONAL if getattr(found, role)]
    data += [f"inputs = {_text(found.inputs)}"]
    data += [f"categorical = {_text(found.categorical)}"] if found.categorical else []
    data += [f"static = {_text(found.static)}"] if found.static else []
    data += [_line("target", found.target, found.evidence.get("target", ""))]
    data += [_line("known", found.known, found.evidence["known"])] if found.known else []
    data += _forecast(found)
    data += [_line("kind", found.kind, found.evidence.get("kind", ""))]
    data += [f"classes = {_text(found.classes)}"] if found.classes else []
    names = ", ".join(metrics.names_for(found.kind))  # type: ignore[arg-type]
    data += [f'metric = "?"  # the competition\'s: {names}, or its own file, "metric.py"']
    unclear = "".join(f"# ? {sentence}\n" for sentence in [*tables.unclear, *found.unclear])
    default = _default(found, tables)
    written = default.families_for(bool(found.static), dates=False)
    families = f"[features]\nfamilies = {_text(written)}\n\n" if written else ""
    families = _families(found, tables) if found.forecast is not None else families
    stratified = found.static or (found.level != "step" and found.kind in ("binary", "multiclass", "ordinal"))
    kind = STRATIFIED if stratified else PLAIN
    by_time = '  # or "time", by origins: docs/how-to/time-folds.md' if found.forecast is not None else ""
    if found.by_time:
        by = "" if found.by_time == found.order else f", with by = {_text(found.by_time)}"
        by_time = f'  # or "time"{by}: test lies after train, docs/how-to/time-folds.md'
    return (
        f"# Written by `./run.sh init`, which has looked at the files. Lines with a ? say what they leave open.\n"
        f"# All keys with their types, defaults and units: docs/reference.md.\n{unclear}\n"
        f"[data]\n"
        + "\n".join([*data, *_joins(tables)])
        + f'\n\n{families}[folds]\nkind = "{kind}"{by_time}\nk = {_folds(found, tables)}\n\n'
        f"[train]\n{_sizes(found, tables)}\nlr = 3e-3\n{_windows(found, tables)}\n"
        f"{_models(found, default)}"
    )


def _forecast(found: Findings) -> list[str]:
    """Return the lines of [data] that make it a forecast."""
    seen = found.forecast
    if seen is None:
        return []
    gap = f", gap = {seen.gap}" if seen.gap else ""
    numbers = f"history = {seen.history}, horizon = {seen.horizon}{gap}, windows = {seen.windows}"
    lines = [f"forecast = {{{numbers}}}  # rows; {seen.evidence}"]
    return lines + (['target_transform = "standardise"  # by the known rows of each series'] if seen.complete else [])


def _families(found: Findings, tables: Tables) -> str:
    """Return [features] of a forecast: what is known of the future, and of the target's past."""
    seen = found.forecast
    assert seen is not None, "only forecasts have a past"
    dates = tables.train[found.copies.get(found.order, found.order)].dtype.is_temporal()
    families = ["raw"] * bool(found.inputs) + ["static"] * bool(found.static) + ["target_lags"] + ["calendar"] * dates
    lags = sorted({1, 2, 3, seen.season or 4, 2 * seen.season or 5})
    last = sorted({seen.season or seen.horizon, seen.history})
    scale = ', scale = "standardise"' if seen.complete else ""
    season = f", season = {seen.season}" if seen.season else ""
    return (
        f"[features]\nfamilies = {_text(families)}\ntarget_lags = {{lags = {lags}{season}, last = {last}{scale}}}\n\n"
    )


def _default(found: Findings, tables: Tables) -> DefaultModels:
    """Choose the default for such data."""
    classes = found.kind in default_models.PROBABILITIES
    labels = found.kind == "multiclass" and found.asks_labels  # a binary target's column may hold either
    with_trees = bool(found.static or found.categorical) or (classes and not labels)
    return default_models.choose(found.level != "step", found.forecast is not None, _series(found, tables), with_trees)


def _models(found: Findings, row: DefaultModels) -> str:
    """Return the [[model]] tables of a default, written out so that they can be changed."""
    head = f"# The default for {row.name}: {row.why}.\n"
    tables_of = [f"[[model]]\n{_keys(each)}" for each in row.models]
    if found.kind in default_models.PROBABILITIES:
        tables_of += [f"[{name}]\n{_keys(table)}" for name, table in row.with_classes.items()]
    return head + "\n\n".join(tables_of) + "\n"


def _keys(table: Mapping[str, Any]) -> str:
    """Write a table's keys, a line each."""
    return "\n".join(f"{key} = {toml(value)}" for key, value in table.items())


def _series(found: Findings, tables: Tables) -> int:
    """Count what is learned from: training series, or windows of them."""
    series = tables.train[found.key].n_unique() if found.key else MANY
    series = tables.train.height // found.length if found.level == "window" else series
    return series * (1 if found.forecast is None else found.forecast.windows)


def _folds(found: Findings, tables: Tables) -> int:
    """Return how many folds there are: no more than groups, or series, which a fold holds out whole."""
    held_together = found.group or found.key
    return min(FOLDS, max(2, tables.train[held_together].n_unique())) if held_together else FOLDS


def _sizes(found: Findings, tables: Tables) -> str:
    """Return epochs and batch: of few series smaller batches, so that there are enough steps to learn from them."""
    series = _series(found, tables)
    if series >= MANY:
        return "epochs = 20\nbatch = 64"
    batch = 2 ** max(2, int(math.log2(series / STEPS)))
    return f"epochs = 30\nbatch = {batch}  # series, of {series:,}"


def _windows(found: Findings, tables: Tables) -> str:
    """Return a line that names windows of long series, for networks; empty where there are none."""
    if found.level != "step" or found.forecast is not None or not found.key:
        return ""
    longest = int(tables.train.group_by(found.key, maintain_order=True).len()["len"].max())  # type: ignore[arg-type]
    if longest <= LONG:
        return ""
    why = f"if a network takes too much time or memory: series have up to {longest:,} steps, docs/how-to/long-series.md"
    return f"# windows = {{length = {WINDOW}}}  # {why}\n"


def _joins(tables: Tables) -> list[str]:
    lines = []
    for join in tables.joins:
        on = join.keys[0] if len(join.keys) == 1 else list(join.keys)
        lines += ["", "[[data.join]]", _line("file", join.file, tables.evidence[f"join {join.file}"])]
        lines += [f"on = {_text(on)}"]
        lines += [f"columns = {_text(join.columns)}"] if join.columns else []
        lines += [] if join.required else ["required = false"]
    return lines


def _row(found: Findings, tables: Tables, name: str) -> list[str]:
    """Return a row of the table. name: of the evidence, a key, or one and a column or file."""
    key, _, column = name.partition(" ")
    value = column or tables.named.get(key) or getattr(found, ATTRIBUTES.get(key, key))
    value = "yes" if isinstance(value, SeenForecast) else value
    because = found.evidence.get(name) or tables.evidence[name]
    return [key, value if isinstance(value, str) else ", ".join(value), because]


def _text(value: Any) -> str:
    """Write a text, or a list of them, as TOML: unlike JSON it has no pairs of escapes for one letter."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    """Return a key as TOML has it."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _line(name: str, value: str | list[str], why: str) -> str:
    return f"{name} = {_text(value)}" + (f"  # {why}" if why else "")
