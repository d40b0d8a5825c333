"""`submit`: a checked submission to Kaggle, and its score into the ledger."""

from __future__ import annotations

from pathlib import Path

from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.core.overrides import parse_override
from foldline.experiment import records
from foldline.output.kaggle import download, upload
from foldline.output.kaggle.service import Service
from foldline.output.kaggle.upload import Ready


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Gate, limit, upload, wait, ledger; a submission that Kaggle has already is only asked for its score."""
    given = _overrides(arguments.overrides)
    ready = upload.find(arguments.config)
    source = given.get("data.source", "")
    terminal.say(f"from {records.described(ready.folder)}")
    ready.check(source)
    terminal.say(f"{ready.path} has passed the gate")
    if "--dry-run" in arguments.flags:
        terminal.result({"submission": str(ready.path), "passed": True}, "dry run: nothing was uploaded")
        return 0
    service = Service(given.get("competition") or _competition(ready, source))
    if upload.submitted(service, ready) is None:
        terminal.say(f"submitted to {service.competition}; {upload.send(service, ready)} are left today")
    else:
        terminal.say(f"{service.competition} has it already")
    with terminal.bar("waiting for the score", "s") as update:
        found = upload.wait(service, ready, lambda done, of: update(int(done), int(of)))
    answer = {"submission": str(ready.path), "public": found.public, "private": found.private}
    private = f", private {found.private}" if found.private else ""
    terminal.result(answer, f"score: public {found.public}{private} (out-of-fold {ready.entry['out_of_fold']})")
    return 0


def _overrides(texts: list[str]) -> dict[str, str]:
    given = {}
    for text in texts:
        path, value = parse_override(text)
        given[".".join(path)] = str(value)
    for key in given:
        if key not in ("data.source", "competition"):
            raise UserError(
                f"`submit` sends what was made; only data.source=DIR can be given, and competition=NAME, but got {key}."
            )
    return given


def _competition(ready: Ready, source: str) -> str:
    """The competition that the data were downloaded from."""
    folder = Path(source or ready.config.data.source).expanduser()
    named = download.competition_of(folder)
    if not named:
        raise UserError(
            f"Which competition? {folder / download.NOTE} would say so, but it is not there: the files did not come by "
            "`./run.sh download`. Give competition=NAME, the end of the competition's address."
        )
    return named
