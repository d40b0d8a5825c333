"""`init`: look at the files of a competition, and write a config that says what each column is, and why."""

from __future__ import annotations

import json
from pathlib import Path

from foldline.cli.main import Arguments
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data import inspection, loading, metrics, readers
from foldline.data.inspection import Findings
from foldline.experiment import config as configs

LABELS = "train_labels"  # a file of this name holds the targets of the training series
SERIES_FAMILIES = ("raw", "time", "summary", "quantiles", "trend", "autocorrelation", "shape", "spectrum")
OPTIONAL = ("group", "labels")  # keys that are left out where nothing was found
MODELS = """\
[[model]]
name = "hybrid"
width = 48
blocks = [{kind = "conv"}, {kind = "bilstm"}]

[[model]]
name = "lightgbm"
rounds = 300
"""


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Look, write the config, and show the evidence and what could not be told."""
    if not arguments.words:
        raise UserError("init needs the folder (or zip) with train and test: ./run.sh init FOLDER [out=CONFIG.toml].")
    folder, out = Path(arguments.words[0]), _out(arguments)
    if out.exists():
        raise UserError(f"{out} is there already: name another file with out=CONFIG.toml, or move it away.")
    found = _findings(folder)
    text = config_text(folder, found)
    files.write_text(out, text)
    terminal.table(str(folder), ["key", "value", "because"], [_row(found, name) for name in found.evidence])
    problem = _first_problem(out, found)
    for sentence in [*found.unclear, *([problem] if problem else [])]:
        terminal.say(f"? {sentence}")
    terminal.say("")
    terminal.say(f"Next: name the metric in {out}, then ./run.sh train {out} --dry-run")
    answer = {"path": str(out), "found": found.evidence, "unclear": found.unclear, "problem": problem}
    terminal.result(answer, f"config: {out}")
    return 0


def _out(arguments: Arguments) -> Path:
    given = dict(word.split("=", 1) for word in arguments.overrides)
    if set(given) - {"out"}:
        raise UserError(f"init takes out=CONFIG.toml, but not {min(set(given) - {'out'})}.")
    stem = Path(arguments.words[0]).resolve().name.split(".")[0]
    return Path(given.get("out", files.home() / "configs" / f"{stem}.toml"))


def _findings(folder: Path) -> Findings:
    """Read the files and look at them.

    Raises:
        UserError: train or test is not there, or a file is damaged.
    """
    train, test = (readers.look(readers.locate(folder, stem)) for stem in ("train", "test"))
    sample, labels = (readers.find(folder, stem) for stem in ("sample_submission", LABELS))
    return inspection.inspect(
        train,
        test,
        None if sample is None else readers.look(sample),
        None if labels is None else (LABELS, readers.look(labels)),
    )


def _first_problem(out: Path, found: Findings) -> str:
    """Return what foldline refuses in the files as they are, a sentence; empty where it takes them."""
    names = metrics.names_for(found.kind)  # type: ignore[arg-type]
    metric = "accuracy" if found.asks_labels and "accuracy" in names else names[0]  # any that fits the sample
    try:
        loading.load(configs.load(out, [f"data.metric={metric}"]).data)
    except UserError as error:
        return str(error)
    return ""


def config_text(folder: Path, found: Findings) -> str:
    """Return the config: a line for each role, with its evidence behind it."""
    data = [f"source = {json.dumps(str(folder))}"]
    if found.level != "step":
        data.append(_line("level", found.level, found.evidence.get("level", "")))
    if found.level == "window":
        data.append(f'windows = {{length = {found.length}, stride = {found.length}, answer = "last"}}')
    if found.id and found.id != found.key:
        data.append(_line("id", found.id, found.evidence.get("id", "")))
    data += [_line(role, getattr(found, role), found.evidence.get(role, "")) for role in ("key", "order")]
    data += [_line(role, getattr(found, role), found.evidence[role]) for role in OPTIONAL if getattr(found, role)]
    data += [f"inputs = {json.dumps(found.inputs)}"]
    data += [f"static = {json.dumps(found.static)}"] if found.static else []
    data += [_line("target", found.target, found.evidence.get("target", ""))]
    data += [_line("kind", found.kind, found.evidence.get("kind", ""))]
    data += [f"classes = {json.dumps(found.classes)}"] if found.classes else []
    names = ", ".join(metrics.names_for(found.kind))  # type: ignore[arg-type]
    data += [f'metric = "?"  # the competition\'s: {names}, or its own file, "metric.py"']
    unclear = "".join(f"# ? {sentence}\n" for sentence in found.unclear)
    families = f"[features]\nfamilies = {json.dumps(SERIES_FAMILIES)}\n\n" if found.level != "step" else ""
    stratified = found.static or (found.level != "step" and found.kind in ("binary", "multiclass", "ordinal"))
    kind = "stratified-group" if stratified else "group"
    return (
        f"# Written by `./run.sh init`, which has looked at the files. Lines with a ? say what they leave open.\n"
        f"# All keys with their types, defaults and units: docs/reference.md.\n{unclear}\n"
        f"[data]\n" + "\n".join(data) + f'\n\n{families}[folds]\nkind = "{kind}"\nk = 5\n\n'
        f"[train]\nepochs = 20\nbatch = 64\nlr = 3e-3\n\n{MODELS}"
    )


def _row(found: Findings, name: str) -> list[str]:
    """Return a row of the table. name: of the evidence, a key, or one and a column."""
    key, _, column = name.partition(" ")
    value = column or getattr(found, key)
    return [key, ", ".join(value) if isinstance(value, list) else value, found.evidence[name]]


def _line(name: str, value: str | list[str], why: str) -> str:
    return f"{name} = {json.dumps(value)}" + (f"  # {why}" if why else "")
