"""From a checked submission to its score: the gate once more, the daily limit, the upload, the wait, the ledger.

A submission's message at Kaggle ends in the first digits of its SHA-256. So a run that was interrupted while it waited
finds its submission there and waits on, instead of spending another one of the day's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from foldline.core import files
from foldline.core.errors import Finding, UserError
from foldline.data import loading
from foldline.data.target_range import Expected
from foldline.experiment.config import Config, from_tables
from foldline.output import submission
from foldline.output.kaggle.service import Service, Submission
from foldline.run import ledger

POLL_S = 10.0  # between two looks at the score
PATIENCE_S = 1800.0  # after that the score is left to a later run


@dataclass(frozen=True)
class Ready:
    """A submission that stands in the ledger, and the experiment that it came from."""

    path: Path
    sha256: str
    entry: dict[str, str]  # its line
    config: Config
    levels: loading.Levels
    expected: list[Expected]

    @property
    def folder(self) -> Path:
        """The experiment's."""
        return files.runs() / self.entry["config"] / self.entry["experiment"]

    @property
    def message(self) -> str:
        """What Kaggle shows beside it."""
        return (
            f"{self.entry['config']} {self.entry['experiment']}, out-of-fold {self.entry['out_of_fold']}, {self.mark}"
        )

    @property
    def mark(self) -> str:
        """What it is recognised by."""
        return f"sha256 {self.sha256[:12]}"

    def check(self, source: str) -> None:
        """The gate. source: the folder of test and sample files; empty: the experiment's own.

        Raises:
            Finding: it is refused.
        """
        data = replace(self.config.data, source=source or self.config.data.source)
        _, sample = loading.load_test(data, self.levels)
        submission.check(data, self.path, sample, self.expected)


def find(what: str) -> Ready:
    """The submission that is meant by a file, or by a config's name: then that of its latest experiment.

    Raises:
        UserError: there is none, it is of simulated data, or the ledger does not know it.
    """
    path = Path(what) if what.endswith(".csv") else _latest(what)
    if not path.is_file():
        raise UserError(f"{path} is not there. Give a file under submissions/, or the name of a trained config.")
    sha256 = files.sha256(path)
    if any(row["sha256"] == sha256 for row in ledger.entries(ledger.ledger_path(simulated=True))):
        raise UserError(f"{path} predicts simulated series, which no competition asks for. Train on real data first.")
    entry = next((row for row in ledger.entries(ledger.ledger_path(False)) if row["sha256"] == sha256), None)
    if entry is None:
        raise UserError(
            f"{path} is not in {ledger.ledger_path(False)}: only files that train, blend or infer wrote and that have "
            "passed the gate are submitted. If you changed it by hand, do that in [post] instead."
        )
    return _ready(path, sha256, entry)


def _latest(config: str) -> Path:
    name = Path(config).name.removesuffix(".toml")
    path = files.runs() / name / "latest" / "submission.csv"
    if not path.is_file():
        raise UserError(f"There is no submission of {name!r} ({path} is not there). Run `./run.sh train {name}` first.")
    return path


def _ready(path: Path, sha256: str, entry: dict[str, str]) -> Ready:
    record = files.runs() / entry["config"] / entry["experiment"] / "experiment.json"
    if not record.is_file():
        raise UserError(
            f"{record} is gone, which says what {path} must look like. Run `./run.sh train {entry['config']}` again."
        )
    value = files.read_json(record)
    return Ready(
        path=path,
        sha256=sha256,
        entry=entry,
        config=from_tables(value["name"], value["config"], str(record)),
        levels={column: tuple(values) for column, values in value["levels"].items()},
        expected=[Expected(**target) for target in value["expected"]],
    )


def submitted(service: Service, ready: Ready) -> Submission | None:
    """The submission as Kaggle has it, if it is there already."""
    return next((found for found in service.submissions() if found.description.endswith(ready.mark)), None)


def send(service: Service, ready: Ready) -> int:
    """Upload it, if today's limit allows one more; how many are left after it.

    Raises:
        UserError: none is left, or Kaggle refuses.
    """
    limits = service.limits()
    if limits.left < 1:
        limit = "the competition's total is reached" if limits.by_total else "try again after midnight UTC"
        raise UserError(f"No submission is left ({limits.today} were made today); {limit}. Nothing was uploaded.")
    service.submit(ready.path, ready.message)
    return limits.left - 1


def wait(service: Service, ready: Ready, on_wait: Callable[[float, float], None]) -> Submission:
    """Wait for its score, write that into the ledger, and return it. on_wait(seconds so far, patience).

    Raises:
        Finding: Kaggle could not score it.
        UserError: the score does not come.
    """
    began = time.monotonic()
    while True:
        found = submitted(service, ready)
        if found is not None and found.status == "COMPLETE":
            ledger.enter_scores(ledger.ledger_path(False), ready.sha256, found.public, found.private)
            return found
        if found is not None and found.status == "ERROR":
            raise Finding(f"Kaggle could not score {ready.path}: {found.error or 'it gives no reason'}.")
        waited = time.monotonic() - began
        if waited > PATIENCE_S:
            raise UserError(
                f"Kaggle has not scored {ready.path} after {PATIENCE_S / 60:.0f} minutes. It is submitted: run the "
                "same command later, and it only looks for the score."
            )
        on_wait(waited, PATIENCE_S)
        time.sleep(POLL_S)
