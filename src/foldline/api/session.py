"""What goes on around a call from Python: its output, its errors, and nothing of it left in the process.

Calls go one after the other, from whatever thread: PyTorch's threads and deterministic operations, the home folder and
the warnings' filters belong to the process, not to a call.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from foldline.api import housekeeping
from foldline.api.paths import path_of
from foldline.api.sentences import sentences
from foldline.core import errors, files
from foldline.core.console import Terminal
from foldline.fit import process_state
from foldline.run.on_ray import session as cluster

LOOK_S = 0.5  # how often a call that waits for another one looks whether that has ended

_one_at_a_time = threading.RLock()


class Notes(Terminal):
    """The output of a call: lines, tables and bars as the command line has them, and its warnings for the result."""

    def __init__(self, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self._warnings: list[str] = []

    def hear(self, text: str) -> None:
        """Take a line that is meant for standard error."""
        self._warnings.append(text.removeprefix("warning: "))
        if not self.silent:
            errors.print_complaint(text)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what the call has warned of, sentences."""
        return tuple(self._warnings)


@contextmanager
def session(verb: str, home: str | os.PathLike[str] | None = None, quiet: bool = False) -> Iterator[Notes]:
    """Do inside the block what the command line does in a process of its own.

    Args:
        verb: as on the command line: what is kept from `clean`, and which ledger is checked, hangs on it.
        home: the folder with runs/, submissions/, folds/ and configs/; None: as the command line finds it.
        quiet: nothing is printed; warnings are kept for the result.

    Raises:
        Error: whatever the user can correct, and what a check has found, with the command line's sentence.
        KeyboardInterrupt: finished cells and checkpoints are kept; the same call goes on.
    """
    with ExitStack() as around:
        around.enter_context(_alone())
        around.enter_context(sentences())
        if home is not None:
            around.enter_context(files.at_home_everywhere(path_of(home, "home").absolute()))
        around.enter_context(process_state.kept())
        around.enter_context(_quiet_optuna())
        around.enter_context(_variables_of_wandb())
        around.enter_context(warnings.catch_warnings())
        notes = Notes(quiet)
        around.enter_context(errors.complaints_to(notes.hear))
        around.enter_context(cluster.kept())
        around.enter_context(housekeeping.runs_in_use(verb, notes))
        housekeeping.before(verb, notes)
        yield notes


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other thread's call goes on; Ctrl-C ends the wait.

    It would not end one without a timeout once polars is imported (findings/polars-ctrl-c-while-waiting.sh).
    """
    while not _one_at_a_time.acquire(timeout=LOOK_S):
        pass
    try:
        yield
    finally:
        _one_at_a_time.release()


@contextmanager
def _variables_of_wandb() -> Iterator[None]:
    """Set back what wandb writes into the environment: where its own process listens."""
    before = _of_wandb()
    try:
        yield
    finally:
        for name in _of_wandb():
            del os.environ[name]
        os.environ.update(before)


def _of_wandb() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("WANDB_")}


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Set back how much Optuna says: searches and blends turn it down."""
    before = _optuna_level()
    try:
        yield
    finally:
        library: Any = sys.modules.get("optuna")
        if library is not None:
            library.logging.set_verbosity(library.logging.INFO if before is None else before)


def _optuna_level() -> int | None:
    """Return how much Optuna says now; None: it is not imported."""
    library: Any = sys.modules.get("optuna")
    return None if library is None else int(library.logging.get_verbosity())
