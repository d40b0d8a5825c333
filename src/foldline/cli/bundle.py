"""`bundle`: pack a trained experiment as a data set and a notebook that predicts on Kaggle with the internet off."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from foldline.cli.main import Arguments
from foldline.core import strict_tables
from foldline.core.console import Terminal
from foldline.core.errors import UserError, unknown
from foldline.core.overrides import parse_override
from foldline.experiment import runs_index, several_targets
from foldline.output.kaggle import bundle, credentials, download

OPTIONS = ("out", "wheels", "user", "competition")


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Pack the latest experiment, and print the commands that upload it."""
    stored = several_targets.read(Path(arguments.config).name.removesuffix(".toml"))
    options = _options(arguments.overrides, stored)
    manifest = bundle.pack(stored, options, terminal)
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    dataset, notebook = (shlex.quote(str(options.out / name)) for name in ("dataset", "notebook"))
    terminal.say(f"from {runs_index.describe(stored.folder)}")
    terminal.say(f"packed {len(bundle.predicting(stored))} cells, {len(manifest['files'])} files, {size / 1e6:.1f} MB")
    if not options.user:
        where = "in both metadata files, or give user=NAME"
        terminal.say(f"replace {bundle.USER_PLACEHOLDER} by your Kaggle name {where}")
    if not options.competition:
        terminal.say("add the competition to the notebook's inputs (or give competition=NAME)")
    terminal.say(f"upload: kaggle datasets create -p {dataset} -r zip")
    terminal.say(f"        kaggle kernels push -p {notebook}")
    answer = {"bundle": str(options.out), "bytes": size, "requires": manifest["requires"]}
    terminal.result(answer, f"bundle: {options.out}")
    return 0


def _options(overrides: list[str], stored: bundle.Stored) -> bundle.Options:
    given, served = {}, {}
    for text in overrides:
        (key, *more), value = parse_override(text)
        if (key, more) == ("data", ["source"]):
            given["source"] = str(value)
        elif key == "serve" and len(more) == 1:
            served[more[0]] = value
        elif key not in OPTIONS or more:
            raise unknown("option", text.partition("=")[0], [*OPTIONS, "data.source", "serve.KEY"], "./run.sh bundle")
        else:
            given[key] = str(value)
    source = given.get("source") or stored.experiments[0].config.data.source
    options = bundle.Options(
        out=Path(given.get("out", stored.folder / "bundle")).expanduser(),
        user=given.get("user", credentials.username()),
        competition=given.get("competition") or download.competition_of(Path(source).expanduser()),
        source=given.get("source", ""),
        serve=strict_tables.changed(stored.experiments[0].config.serve, served, "./run.sh bundle: serve"),
    )
    if "wheels" not in given:
        return options
    wheels = Path(given["wheels"]).expanduser()
    if not any(wheels.glob("*.whl")):
        raise UserError(f"wheels={wheels} must be a folder with .whl files, but there are none in it.")
    return replace(options, wheels=wheels)
