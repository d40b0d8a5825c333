"""`live`: the page that shows an experiment while it trains, served on this machine."""

from __future__ import annotations

import os
from contextlib import ExitStack

from foldline.api.paths import path_of
from foldline.api.sentences import sentences
from foldline.core import files
from foldline.core.errors import UserError, unknown
from foldline.experiment import config_files
from foldline.output import live as pages
from foldline.output.live import Live


def live(
    name: str | os.PathLike[str] | None = None, *, home: str | os.PathLike[str] | None = None, port: int = 0
) -> Live:
    """Serve the page that shows an experiment while it trains, until its `close()`; in Jupyter it is shown inline.

    Returns at once, so that the same notebook can train in its next cell.

    Args:
        name: of a config, which may not have run yet; None: the run that goes on, or was the last to begin.
        home: the folder with runs/ and configs/; None: as the command line finds it.
        port: of this machine; 0: a free one.

    Raises:
        foldline.Error: neither a run nor a config has that name; the port is taken.
    """
    with ExitStack() as around:
        around.enter_context(sentences())
        if home is not None:
            around.enter_context(files.at_home(path_of(home, "home").absolute()))
        return pages.start(chosen(name), port=port)


def chosen(name: str | os.PathLike[str] | None) -> str:
    """Choose the experiment: the one that is named, else the one that trains or trained last.

    Raises:
        UserError: neither an experiment nor a config has that name; nothing has run yet.
    """
    if name is None:
        found = pages.newest(files.runs())
        if found is None:
            raise UserError("There is no experiment yet. Run `./run.sh train` first, or give the name of a config.")
        return found
    path = path_of(name, "The name of an experiment")
    stem, known = path.name.removesuffix(".toml"), {*config_files.named_configs(), *pages.names(files.runs())}
    if stem not in known and not path.is_file():
        raise unknown("experiment", str(path), known, "./run.sh live")
    return stem
