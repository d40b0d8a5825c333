"""`download`: fetch a competition's files from Kaggle, check and unpack them."""

from __future__ import annotations

from pathlib import Path

from foldline.cli.main import Arguments
from foldline.core.console import Terminal
from foldline.output.kaggle import download
from foldline.output.kaggle.service import Service

DEFAULT = ("ventilator-pressure-prediction", "data/ventilator")  # the competition of configs/, and the folder they name


def run(arguments: Arguments, terminal: Terminal) -> int:
    """Fetch the files that are not there."""
    competition, *rest = arguments.words or [DEFAULT[0]]
    default = DEFAULT[1] if competition == DEFAULT[0] else f"data/{competition}"
    folder = Path(rest[0] if rest else default)
    service = Service(competition)
    terminal.say(f"{competition}: credentials from {service.source}")
    found = download.fetch(service, folder, quiet=terminal.silent)
    for difference in download.differences(folder):
        terminal.warn(difference)
    terminal.table("", ["file", "MB"], [[name, f"{size / 1e6:.1f}"] for name, size in sorted(found.items())])
    answer = {"competition": competition, "folder": str(folder.resolve()), "files": found}
    terminal.result(answer, f"{competition}: {len(found)} files in {folder}")
    return 0
