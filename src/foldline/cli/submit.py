"""`submit`: send a checked submission to Kaggle, and write its score into the ledger."""

from __future__ import annotations

from pathlib import Path

from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.core.overrides import parse_override
from foldline.experiment import runs_index
from foldline.output.kaggle import download, upload
from foldline.output.kaggle.service import Service
from foldline.output.kaggle.upload import LedgerSubmission


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Gate, limit, upload, wait, ledger; of a submission that Kaggle has already only the score is fetched."""
    given = _overrides(arguments.overrides)
    chosen = upload.find(arguments.config)
    source = given.get("data.source", "")
    terminal.say(f"from {runs_index.describe(chosen.folder)}")
    chosen.check(source)
    terminal.say(f"{chosen.path} has passed the gate")
    if "--dry-run" in arguments.flags:
        terminal.result({"submission": str(chosen.path), "passed": True}, "dry run: nothing was uploaded")
        return 0
    service = Service(given.get("competition") or _competition(chosen, source))
    if upload.submitted(service, chosen) is None:
        terminal.say(f"submitted to {service.competition}; {upload.send(service, chosen)} are left today")
    else:
        terminal.say(f"{service.competition} has it already")
    with terminal.bar("waiting for the score", "s") as update:
        found = upload.wait(service, chosen, lambda done, of: update(int(done), int(of)))
    answer = {"submission": str(chosen.path), "public": found.public, "private": found.private}
    private = f", private {found.private}" if found.private else ""
    terminal.result(answer, f"score: public {found.public}{private} (out-of-fold {chosen.entry['out_of_fold']})")
    return 0


def _overrides(texts: list[str]) -> dict[str, str]:
    given = {}
    for text in texts:
        path, value = parse_override(text)
        given[".".join(path)] = str(value)
    for key in given:
        if key not in ("data.source", "competition"):
            raise UserError(
                "`submit` sends a submission as it was made; only data.source=DIR and competition=NAME can be given, "
                f"but got {key}."
            )
    return given


def _competition(chosen: LedgerSubmission, source: str) -> str:
    """Find the competition that the data were downloaded from."""
    folder = Path(source or chosen.data.source).expanduser()
    named = download.competition_of(folder)
    if not named:
        raise UserError(
            f"The competition must be named: {folder / download.NOTE}, which would name it, is not there, because the "
            "files did not come by `./run.sh download`. Give competition=NAME, the end of the competition's address."
        )
    return named
