"""Upload a submission and wait for its score: the gate, the daily limit, the upload, the wait, the ledger.

A submission's message at Kaggle ends in the first digits of its SHA-256. So a run that was interrupted while it waited
finds its submission there and goes on waiting, instead of using up another one of the day's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from foldline.core import files, strict_tables
from foldline.core.errors import Finding, UserError
from foldline.data import loading
from foldline.data.column_facts import ColumnFacts
from foldline.data.roles import DataConfig
from foldline.data.target_range import TargetRange
from foldline.experiment import runs_index, several_targets
from foldline.output import joined_submission
from foldline.output.kaggle.service import Service, Submission
from foldline.output.submission import Gate
from foldline.run import ledger

POLL_S = 10.0  # between two requests for the score
TIMEOUT_S = 1800.0  # longest wait for the score; a later run can go on waiting


@dataclass(frozen=True)
class RecordedTarget:
    """What the gate needs of an experiment of one target."""

    data: DataConfig
    levels: loading.Levels
    classes: tuple[object, ...]  # labels of its target, where it has any
    facts: ColumnFacts  # of its training table's columns
    expected: list[TargetRange]
    check_range: bool  # post.check_range

    @staticmethod
    def of(folder: Path) -> RecordedTarget:
        """Read it from the record in a folder."""
        value = runs_index.read_record(folder)
        data = strict_tables.build(DataConfig, value["config"]["data"], f"{folder / 'experiment.json'}: data")
        if data.code:  # the files are copied beside the record
            data = replace(data, code_folder=str(folder))
        if data.has_metric_file:
            data = replace(data, metric_folder=str(folder))
        return RecordedTarget(
            data=data,
            levels={column: tuple(values) for column, values in value["levels"].items()},
            classes=tuple(value.get("classes", ())),  # an older record has none
            facts=ColumnFacts.from_json(value.get("columns", {})),
            expected=[TargetRange(**target) for target in value["expected"]],
            check_range=value["config"].get("post", {}).get("check_range", True),
        )

    def gate(self, source: str) -> Gate:
        """Read the test table and the sample. source: their folder; empty: the experiment's own."""
        data = replace(self.data, source=source or self.data.source)
        test, sample = loading.load_test(data, self.levels, self.classes, self.facts)
        return Gate(test, sample, self.expected, self.check_range)


@dataclass(frozen=True)
class LedgerSubmission:
    """A submission of the ledger, and what the gate needs of the experiment that made it."""

    path: Path
    sha256: str
    entry: dict[str, str]  # its line
    folder: Path  # of the experiment that made it
    targets: dict[str, RecordedTarget]  # by name where there are several, else one without a name

    @property
    def data(self) -> DataConfig:
        """Return [data] of the experiment, or of the first of its targets."""
        return next(iter(self.targets.values())).data

    @property
    def message(self) -> str:
        """The text that Kaggle shows beside it."""
        return (
            f"{self.entry['config']} {self.entry['experiment']}, out-of-fold {self.entry['out_of_fold']}, {self.mark}"
        )

    @property
    def mark(self) -> str:
        """The end of the message, by which it is found again at Kaggle."""
        return f"sha256 {self.sha256[:12]}"

    def check(self, source: str) -> None:
        """Check it at the gate. source: folder of the test and sample files; empty: the experiment's own.

        Raises:
            Finding: it is refused.
        """
        gates = {name: target.gate(source) for name, target in self.targets.items()}
        if "" in gates:
            gates[""].check(self.path)
        else:
            joined_submission.check_written(self.path, gates)


def find(what: str) -> LedgerSubmission:
    """Find a submission by its file, or by a config's name: then that of its latest experiment.

    Raises:
        UserError: there is none, it is of simulated data, or the ledger does not know it.
    """
    path = Path(what) if what.endswith((".csv", ".parquet")) else _latest(what)
    if not path.is_file():
        raise UserError(f"{path} is not there. Give a file under submissions/, or the name of a trained config.")
    sha256 = files.sha256(path)
    if any(row["sha256"] == sha256 for row in ledger.entries(ledger.ledger_path(simulated=True))):
        raise UserError(f"{path} predicts simulated series, which no competition takes. Train on real data first.")
    entry = next((row for row in ledger.entries(ledger.ledger_path(False)) if row["sha256"] == sha256), None)
    if entry is None:
        raise UserError(
            f"{path} is not in {ledger.ledger_path(False)}: only files that train, blend or infer wrote and that have "
            "passed the gate are submitted. Instead of changing a file by hand, use [post]."
        )
    return _with_record(path, sha256, entry)


def _latest(config: str) -> Path:
    name = Path(config).name.removesuffix(".toml")
    path = files.runs() / name / "latest" / "submission.csv"
    if not path.is_file():
        path = path.with_suffix(".parquet") if path.with_suffix(".parquet").is_file() else path
    if not path.is_file():
        way_out = f"Run `{runs_index.to_make(name)}` first."
        raise UserError(f"There is no submission of {name!r} ({path} is not there). {way_out}")
    return path


def _with_record(path: Path, sha256: str, entry: dict[str, str]) -> LedgerSubmission:
    folder = files.runs() / entry["config"] / entry["experiment"]
    if not (folder / "experiment.json").is_file() and (path.resolve().parent / "experiment.json").is_file():
        folder = path.resolve().parent  # another experiment has made the same bytes later
    record = folder / "experiment.json"
    if not record.is_file():
        raise UserError(f"{record}, by which {path} is checked, is gone. Run `{runs_index.made_by(folder)}` again.")
    names = several_targets.names_of(folder)
    targets = {name: RecordedTarget.of(folder / name) for name in names or [""]}
    return LedgerSubmission(path=path, sha256=sha256, entry=entry, folder=folder, targets=targets)


def submitted(service: Service, chosen: LedgerSubmission) -> Submission | None:
    """Find the submission at Kaggle; None where it is not there."""
    return next((found for found in service.submissions() if found.description.endswith(chosen.mark)), None)


def send(service: Service, chosen: LedgerSubmission) -> int:
    """Upload it, if today's limit allows one more, and return how many are left after it.

    Raises:
        UserError: none is left, or Kaggle refuses.
    """
    limits = service.limits()
    if limits.left < 1:
        limit = "the competition's total is reached" if limits.by_total else "try again after midnight UTC"
        raise UserError(f"No submission is left ({limits.today} were made today); {limit}. Nothing was uploaded.")
    service.submit(chosen.path, chosen.message)
    return limits.left - 1


def wait(service: Service, chosen: LedgerSubmission, on_wait: Callable[[float, float], None]) -> Submission:
    """Wait for its score, write that into the ledger, and return it. on_wait(seconds so far, TIMEOUT_S).

    Raises:
        Finding: Kaggle could not score it.
        UserError: the score does not come.
    """
    began = time.monotonic()
    while True:
        found = submitted(service, chosen)
        if found is not None and found.status == "COMPLETE":
            ledger.add_scores(ledger.ledger_path(False), chosen.sha256, found.public, found.private)
            return found
        if found is not None and found.status == "ERROR":
            raise Finding(f"Kaggle could not score {chosen.path}: {found.error or 'it gives no reason'}.")
        waited = time.monotonic() - began
        if waited > TIMEOUT_S:
            raise UserError(
                f"Kaggle has not scored {chosen.path} after {TIMEOUT_S / 60:.0f} minutes. It is submitted: run the "
                "same command later; it then only fetches the score."
            )
        on_wait(waited, TIMEOUT_S)
        time.sleep(POLL_S)
