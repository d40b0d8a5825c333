"""`live`: show an experiment in the browser while it trains, until Ctrl-C. Reads only."""

from __future__ import annotations

import sys
from pathlib import Path

from foldline.cli.main import Arguments
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import ExitCode, UserError, unknown
from foldline.core.overrides import parse_override
from foldline.experiment import config_files
from foldline.output import live


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Serve the page, say where, and wait for Ctrl-C."""
    name, port = _name(arguments.words), _port(arguments.overrides)
    with live.start(name, port=port) as served:
        terminal.result({"url": served.url, "name": name}, f"live: {served.url} shows {name}; Ctrl-C ends it")
        sys.stdout.flush()  # a script that reads the address waits for it
        try:
            served.wait()
        except KeyboardInterrupt:
            terminal.say("live has ended; what it showed goes on")
            return ExitCode.INTERRUPTED
    return ExitCode.DONE


def _name(words: list[str]) -> str:
    """Choose the experiment: the one that is named, else the one that trains or trained last.

    Raises:
        UserError: neither an experiment nor a config has that name; nothing has run yet.
    """
    if not words:
        found = live.newest(files.runs())
        if found is None:
            raise UserError("There is no experiment yet. Run `./run.sh train` first, or give the name of a config.")
        return found
    name = Path(words[0]).name.removesuffix(".toml")
    known = {*config_files.named_configs(), *live.names(files.runs())}
    if name not in known and not Path(words[0]).is_file():
        raise unknown("experiment", words[0], known, "./run.sh live")
    return name


def _port(overrides: list[str]) -> int:
    port: object = 0
    for text in overrides:
        key, value = parse_override(text)
        if key != ["port"]:
            raise unknown("option", text.partition("=")[0], ["port"], "./run.sh live")
        port = value
    if not isinstance(port, int) or isinstance(port, bool):
        raise UserError(f"./run.sh live: port must be a whole number, but got {port!r}. Leave it out for a free one.")
    return port
