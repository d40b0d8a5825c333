"""`live`: show an experiment in the browser while it trains, until Ctrl-C. Reads only."""

from __future__ import annotations

import sys

from foldline.api.live import live
from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.errors import ExitCode, UserError, unknown
from foldline.core.overrides import parse_override


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Serve the page, say where, and wait for Ctrl-C."""
    port = _port(arguments.overrides)
    with live(*arguments.words, port=port) as served:
        try:
            said = f"live: {served.url} shows {served.name}; Ctrl-C ends it"
            terminal.result({"url": served.url, "name": served.name}, said)
            sys.stdout.flush()  # a script that reads the address waits for it
            served.wait()
        except KeyboardInterrupt:
            terminal.say("live has ended; what it showed goes on")
            return ExitCode.INTERRUPTED
    return ExitCode.DONE


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
