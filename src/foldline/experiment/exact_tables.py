"""Exact rows of a competition's two tables, which the blend needs: decoded beside the cells, or now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from foldline.core.console import Terminal
from foldline.data import decoding_process, exact_rows
from foldline.data.decoding_process import Decoding
from foldline.data.exact_rows import Exact
from foldline.data.loading import Competition
from foldline.experiment.config import Config
from foldline.run.cells import Job


@contextmanager
def beside(
    config: Config, competition: Competition, jobs: Sequence[Job], terminal: Terminal
) -> Iterator[Decoding | None]:
    """Decode what `obtain` will be asked for while the block trains cells; None where there is too little to decode.

    Raises:
        UserError: a table is not of the competition's shape.
    """
    tables = (competition.train, competition.test) if config.post.decode and jobs else ()
    with decoding_process.decoding(tables) as decoding:
        if decoding is not None:  # said before the training, which may take hours
            _warn([exact_rows.doubt_of(table) for table in tables], terminal)
        yield decoding


def obtain(
    config: Config, competition: Competition, terminal: Terminal, decoding: Decoding | None = None
) -> tuple[Exact | None, Exact | None]:
    """Decode the exact rows of the train and test tables, where post.decode is set.

    Args:
        decoding: what does so already, and has said what it doubts.

    Raises:
        UserError: a table is not of the competition's shape, or the process that decodes has ended.
    """
    if not config.post.decode:
        return None, None
    with terminal.bar("decoding", "series") as update:
        if decoding is not None:
            decoding.wait(update)
        found = (exact_rows.obtain(competition.train, update), exact_rows.obtain(competition.test, update))
    if decoding is None:
        _warn([exact.doubt for exact in found], terminal)
    return found


def _warn(doubts: Sequence[str], terminal: Terminal) -> None:
    for doubt in filter(None, doubts):
        terminal.warn(f"{doubt}; exact decoding needs the printed digits, so less can be proven.")
