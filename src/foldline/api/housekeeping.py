"""What happens around every verb: `clean` is kept out, the ledger is checked, what kills have left is swept away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foldline.core import files, runs_lock
from foldline.core.console import Terminal
from foldline.run import ledger, run_end

# Verbs that write under runs/, and those that only read there: meanwhile `clean` deletes nothing (core/runs_lock.py).
WRITING_RUNS = (
    "train",
    "tune",
    "ablate",
    "study",
    "blend",
    "infer",
    "audit",
    "report",
    "folds",
    "submit",
    "bundle",
    "bench",
)
READING_RUNS = (
    "board",
    "track",
    "score",
    "doctor",
    "cluster",
)  # `live` may run for days: it takes it that things go away
ENTERING = ("train", "blend", "infer", "submit")  # verbs that write into the ledger: it is checked before they begin
WAITS_FOR_CLEAN = "`clean` deletes something under runs/: this goes on when it is done"
OLD_S = 600.0  # writing one takes less than a second: an older one was left by a kill


@contextmanager
def runs_in_use(verb: str, terminal: Terminal) -> Iterator[None]:
    """Keep `clean` from deleting anything as long as a verb runs that uses runs/; wait while it deletes something.

    What ends the verb is written as the end of the runs whose cells it has trained.
    """
    if verb not in (*READING_RUNS, *WRITING_RUNS) or (verb in READING_RUNS and not files.runs().is_dir()):
        yield
        return
    with runs_lock.shared(lambda: terminal.say(WAITS_FOR_CLEAN, later="")), run_end.watched():
        yield


def before(verb: str, terminal: Terminal) -> None:
    """Do what comes before a verb.

    Raises:
        UserError: it would write into a ledger that has other columns.
    """
    if verb in WRITING_RUNS:
        sweep()
    if verb in ENTERING:
        for simulated in (False, True):
            problem = ledger.check(ledger.ledger_path(simulated))
            if problem:
                terminal.warn(problem)


def sweep() -> list[Path]:
    """Delete the temporary files that kills have left beside fold files, submissions and ledgers, and return them."""
    swept = []
    for folder in (files.home() / "folds", files.home() / "submissions", files.runs()):
        for path in sorted(folder.glob(f".*{files.TEMPORARY}")):
            if path.is_file() and time.time() - path.lstat().st_mtime > OLD_S:
                path.unlink(missing_ok=True)
                swept.append(path)
    return swept
